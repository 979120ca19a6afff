"""The spool's tables.

A worker may claim a row of a queue from `due_at` on: the time of the next attempt if the row is pending, the end of the
lease if it is claimed, NULL if it is done or dead. If a worker dies, the lease ends and another worker claims the row.
"""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa

from gateway.storage.database import Instant
from gateway.storage.encrypted import encrypted_column
from gateway.storage.tables import new_metadata

metadata = new_metadata()


class State(StrEnum):
    """State of a queued row."""

    PENDING = "pending"
    CLAIMED = "claimed"
    DONE = "done"
    DEAD = "dead"


class Kind(StrEnum):
    """Kind of an outbox row."""

    DELIVER = "deliver"  # the case's complaint, to the central store
    AMEND = "amend"  # the same, after a replay or a late part has changed it
    INQUIRE = "inquire"  # ask the centre for the status of a case, then answer the citizen
    ADD = "add"  # a further message of the reporter, to the complaint at the centre
    WITHDRAW = "withdraw"  # the reporter withdraws the complaint
    REPLY = "reply"  # a text to a citizen


def _queue_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("state", sa.Text, nullable=False, server_default=State.PENDING),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("due_at", Instant),
        sa.Column("claim", sa.Uuid),  # id of the claim that holds the row; the result of another claim is refused
        sa.Column("reason", sa.Text),  # of the last failure
        sa.Column("finished_at", Instant),
    ]


inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),  # version 7; the correlation id of all that follows
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("dedupe_key", sa.Uuid, nullable=False, unique=True),  # keyed hash of region, channel, envelope key
    sa.Column("lane", sa.Uuid, nullable=False),  # keyed hash of the sender; a lane keeps its order
    sa.Column("content_type", sa.Text, nullable=False),
    encrypted_column("payload", "inbox", nullable=False),
    sa.Column("received_at", Instant, nullable=False),
    *_queue_columns(),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("lane", sa.Uuid, nullable=False),
    sa.Column("case_id", sa.Uuid),
    sa.Column("correlation_id", sa.Uuid, nullable=False),
    encrypted_column("payload", "outbox"),  # text and address of a reply, or the content of a job
    sa.Column("created_at", Instant, nullable=False),
    *_queue_columns(),
)

for _table, _columns in ((inbox, ("due_at",)), (outbox, ("kind", "due_at"))):
    _unfinished = _table.c.due_at.is_not(None)
    sa.Index(
        f"ix_{_table.name}_due",
        *(_table.c[name] for name in _columns),
        postgresql_where=_unfinished,
        sqlite_where=_unfinished,
    )
    # Two conditions for the same rows, on purpose. With one condition and small statistics, the planner takes the wrong
    # index for one of the two queries and reads the whole backlog per row of a batch.
    _open = _table.c.finished_at.is_(None)
    sa.Index(f"ix_{_table.name}_lane", _table.c.lane, _table.c.id, postgresql_where=_open, sqlite_where=_open)
    _dead = _table.c.state == sa.literal_column("'dead'")
    sa.Index(f"ix_{_table.name}_dead", _table.c.id, postgresql_where=_dead, sqlite_where=_dead)

cases = sa.Table(
    "cases",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),  # the complaint's id
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("external_key", sa.Uuid, nullable=False, unique=True),  # one message makes one complaint
    # Keyed hash of the citizen's address: only this sender may ask for the status.
    sa.Column("sender_key", sa.Uuid, nullable=False),
    sa.Column("correlation_id", sa.Uuid, nullable=False),
    encrypted_column("complaint", "case"),  # canonical complaint; NULL once delivered and purged
    encrypted_column("contact", "contact"),  # address to answer; NULL if the sender gets no answer
    sa.Column("opened_at", Instant, nullable=False),
    sa.Column("heard_at", Instant),  # time of the last further message
    sa.Column("withdrawn_at", Instant),
)
_kept = cases.c.complaint.is_not(None)
sa.Index("ix_cases_kept", cases.c.id, postgresql_where=_kept, sqlite_where=_kept)  # for the purge

# Not a column of the cases, because an update would write the whole wide row again.
tickets = sa.Table(
    "ticket",
    metadata,
    sa.Column("case_id", sa.Uuid, primary_key=True),
    sa.Column("number", sa.Text, nullable=False, index=True),  # as the centre gave it
)

sa.Index("ix_cases_sender_key", cases.c.sender_key, cases.c.id)  # for further messages of a sender

follow_ups = sa.Table(  # messages that were added to a case
    "follow_up",
    metadata,
    sa.Column("external_key", sa.Uuid, primary_key=True),  # as in cases: one message is added once
    sa.Column("case_id", sa.Uuid, nullable=False),
    sa.Column("added_at", Instant, nullable=False),
)

drafts = sa.Table(  # long messages in parts; a joined one stays until the purge, because a part may come late
    "draft",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),  # version 7; part of the joined message's external id
    sa.Column("key", sa.Uuid, nullable=False),  # keyed hash of region, channel, sender and the parts' group
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("began_at", Instant, nullable=False),
    sa.Column("due_at", Instant),  # when it is joined without the missing parts; NULL after it was joined
)
sa.Index("ix_draft_key", drafts.c.key, drafts.c.id)
_waiting = drafts.c.due_at.is_not(None)
sa.Index("ix_draft_due", drafts.c.due_at, postgresql_where=_waiting, sqlite_where=_waiting)

parts = sa.Table(
    "part",
    metadata,
    sa.Column("draft_id", sa.Uuid, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),  # from 1
    sa.Column("inbox_id", sa.Uuid, nullable=False, unique=True),
)

consents = sa.Table(
    "consent",
    metadata,
    sa.Column("sender_key", sa.Uuid, primary_key=True),  # keyed hash of the citizen's address
    sa.Column(
        "given", sa.Boolean, nullable=False
    ),  # true after SETUJU, false after STOP: then only commands are answered
    sa.Column("at", Instant, nullable=False),
)

references = sa.Table(
    "reference",
    metadata,
    sa.Column("key", sa.Uuid, primary_key=True),  # keyed hash of region, channel and the provider's id
    sa.Column("outbox_id", sa.Uuid, index=True),  # NULL if the receipt came before we stored that the reply was sent
    sa.Column("delivery", sa.Text, nullable=False),  # a state of `events.Delivery`
    sa.Column("error", sa.Text),
    sa.Column("updated_at", Instant, nullable=False),
)

reply_counts = sa.Table(
    "reply_count",
    metadata,
    sa.Column("lane", sa.Uuid, primary_key=True),  # keyed hash of the citizen's address
    sa.Column("slot", sa.Integer, primary_key=True),  # minutes since the epoch
    sa.Column("replies", sa.Integer, nullable=False),
)

cursors = sa.Table(  # channels that are polled or hold a connection: position, lease, last success and failure
    "cursor",
    metadata,
    sa.Column("region", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("position", sa.Text),
    sa.Column("lease_holder", sa.Uuid),
    sa.Column("lease_until", Instant),
    sa.Column("succeeded_at", Instant),
    sa.Column("failed_at", Instant),
    sa.Column("failing_since", Instant),
    sa.Column("reason", sa.Text),
)

activity = sa.Table(
    "activity",
    metadata,
    sa.Column("region", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("what", sa.Text, primary_key=True),  # accepted, refused, delivered, replied, …; alive: see activity.py
    sa.Column("at", Instant, nullable=False),
    sa.Column("detail", sa.Text),
)
