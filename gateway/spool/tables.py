"""The spool's tables.

`due_at` is the one column that says when a worker may take a row: the next attempt while it is pending, the end of the
lease while it is claimed, NULL once it is done or dead. A worker that dies simply lets its lease end.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from gateway.storage.database import Instant

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


class State(StrEnum):
    """Where a queued row stands."""

    PENDING = "pending"
    CLAIMED = "claimed"
    DONE = "done"
    DEAD = "dead"


class Kind(StrEnum):
    """What an outbox row asks for."""

    DELIVER = "deliver"  # the case's complaint, to the central store
    AMEND = "amend"  # the same, after a replay changed it
    INQUIRE = "inquire"  # ask the centre how a case stands, then answer the citizen
    ADD = "add"  # what the reporter wrote later, to the case's complaint
    WITHDRAW = "withdraw"  # the reporter takes it back
    REPLY = "reply"  # a text, to a citizen


def _queue_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("state", sa.Text, nullable=False, server_default=State.PENDING),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("due_at", Instant),
        sa.Column("claim", sa.Uuid),  # which claim holds the row; a late worker's result is refused by it
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
    sa.Column("payload", sa.LargeBinary, nullable=False),  # encrypted
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
    sa.Column("payload", sa.LargeBinary),  # encrypted text and address of a reply
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
    # Another condition for the same rows, on purpose: with few of them in its statistics the planner takes either index
    # for either question, and reads the whole backlog for each row of a batch.
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
    sa.Column("sender_key", sa.Uuid, nullable=False),  # keyed hash of the citizen's address: who may ask
    sa.Column("correlation_id", sa.Uuid, nullable=False),
    sa.Column("complaint", sa.LargeBinary),  # encrypted canonical complaint; NULL once delivered and purged
    sa.Column("contact", sa.LargeBinary),  # encrypted address to answer; NULL where nobody is to be answered
    sa.Column("opened_at", Instant, nullable=False),
    sa.Column("heard_at", Instant),  # when its sender last added to it
    sa.Column("withdrawn_at", Instant),
)
_kept = cases.c.complaint.is_not(None)
sa.Index("ix_cases_kept", cases.c.id, postgresql_where=_kept, sqlite_where=_kept)  # what a purge looks through

tickets = sa.Table(  # apart from the cases: their rows are wide, and would be written twice for a number
    "ticket",
    metadata,
    sa.Column("case_id", sa.Uuid, primary_key=True),
    sa.Column("number", sa.Text, nullable=False, index=True),  # as the centre gave it
)

sa.Index("ix_cases_sender_key", cases.c.sender_key, cases.c.id)  # what a further message may belong to

follow_ups = sa.Table(  # messages that were added to a case
    "follow_up",
    metadata,
    sa.Column("external_key", sa.Uuid, primary_key=True),  # as in cases: one message is added once
    sa.Column("case_id", sa.Uuid, nullable=False),
    sa.Column("added_at", Instant, nullable=False),
)

drafts = sa.Table(  # long messages of which parts are still missing, and for a while those that are joined
    "draft",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),  # version 7; names the joined message
    sa.Column("key", sa.Uuid, nullable=False),  # keyed hash of region, channel, sender and the parts' group
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("began_at", Instant, nullable=False),
    sa.Column("due_at", Instant),  # when what is there is sent on as it is; NULL once joined
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
    sa.Column("given", sa.Boolean, nullable=False),  # SETUJU, or STOP: then nothing is sent unasked
    sa.Column("at", Instant, nullable=False),
)

references = sa.Table(
    "reference",
    metadata,
    sa.Column("key", sa.Uuid, primary_key=True),  # keyed hash of region, channel and the provider's id
    sa.Column("outbox_id", sa.Uuid, index=True),  # NULL where the receipt came before our own note of the sending
    sa.Column("delivery", sa.Text, nullable=False),  # events.Delivery: how far the reply has come
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

cursors = sa.Table(
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
    sa.Column("what", sa.Text, primary_key=True),  # accepted, refused, delivered, replied; alive: see cursors.py
    sa.Column("at", Instant, nullable=False),
    sa.Column("detail", sa.Text),
)
