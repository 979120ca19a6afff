"""The cases: one row for each complaint that passed through here, and who may ask about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import sqlalchemy as sa

from gateway.domain import complaint as canonical
from gateway.domain.complaint import Complaint
from gateway.domain.errors import Undecryptable
from gateway.domain.ids import first_id_at
from gateway.spool.tables import cases, follow_ups, tickets
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database, any_of

_COMPLAINT = b"case"
_CONTACT = b"contact"
_LONGEST_TALK = timedelta(days=1)  # a conversation that goes on longer begins a new case


@dataclass(frozen=True, kw_only=True, slots=True)
class NewCase:
    """A complaint that is to be opened."""

    complaint: Complaint
    sender: str  # address on the channel; stored as a keyed hash
    contact: str | None  # the same address where it may be answered, else None
    correlation_id: UUID
    opened_at: datetime

    def told_apart(self, why: str) -> NewCase:
        """Return the same, with the reason why it is no addition to an earlier one."""
        return replace(self, complaint=msgspec.structs.replace(self.complaint, apart=why))


class LastCase(NamedTuple):
    """The last case of a sender."""

    id: UUID
    complaint: Complaint
    heard_at: datetime  # when the sender last wrote about it

    def heard_again(self, at: datetime) -> LastCase:
        """Return the same, with a later message."""
        return self._replace(heard_at=max(self.heard_at, at))


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """An opened case."""

    id: UUID
    region: str
    channel: str
    sender_key: UUID
    complaint: Complaint | None  # None once it was delivered and purged
    contact: str | None
    correlation_id: UUID


def opened(new: NewCase, row: Mapping[str, Any]) -> Case:
    """Return a case that was just opened, by the row that `Cases.create` gave for it."""
    return Case(
        id=new.complaint.id,
        region=row["region"],
        channel=row["channel"],
        sender_key=row["sender_key"],
        complaint=new.complaint,
        contact=new.contact,
        correlation_id=new.correlation_id,
    )


class Cases:
    """The cases table."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database, self._keyring = database, keyring

    def create(self, connection: sa.Connection, new: Sequence[NewCase]) -> list[dict[str, Any]]:
        """Open cases; return the rows of those that are new. A message that already has its case opens none."""
        rows = [self._seal(case) for case in new]
        opened = set(self._database.insert(connection, cases, rows, ignore_conflicts=True, returning="id"))
        return [row for row in rows if row["id"] in opened]

    def _seal(self, case: NewCase) -> dict[str, Any]:
        source, encrypt = case.complaint.source, self._keyring.encrypt
        external_key, sender_key = self.keys_of(case)
        return {
            "id": case.complaint.id,
            "region": source.region,
            "channel": source.channel,
            "external_key": external_key,
            "sender_key": sender_key,
            "correlation_id": case.correlation_id,
            "complaint": encrypt(canonical.dump(case.complaint), _COMPLAINT),
            "contact": encrypt(case.contact.encode(), _CONTACT) if case.contact else None,
            "opened_at": case.opened_at,
        }

    def keys_of(self, new: NewCase) -> tuple[UUID, UUID]:
        """Return the keyed hashes of a message and of its sender."""
        source, lookup = new.complaint.source, self._keyring.lookup
        return (
            lookup("message", source.region, source.channel, source.external_id),
            lookup("sender", source.region, source.channel, new.sender),
        )

    def with_case(self, connection: sa.Connection, external: Sequence[UUID]) -> set[UUID]:
        """Return those messages that have opened a case."""
        return self._among(connection, cases.c.external_key, external)

    def with_follow_up(self, connection: sa.Connection, external: Sequence[UUID]) -> set[UUID]:
        """Return those messages that were added to a case."""
        return self._among(connection, follow_ups.c.external_key, external)

    def _among(self, connection: sa.Connection, column: sa.Column[UUID], values: Sequence[UUID]) -> set[UUID]:
        if not values:
            return set()
        found = connection.execute(sa.select(column).where(any_of(column, values, self._database)))
        return set(found.scalars().all())

    def last_cases(self, connection: sa.Connection, senders: Sequence[UUID], since: datetime) -> dict[UUID, LastCase]:
        """Return the last case of each sender about which they wrote since the moment, unless it was withdrawn."""
        last = self._last(connection, senders, first_id_at(since - _LONGEST_TALK))
        if not last:
            return {}
        heard_at = sa.func.coalesce(cases.c.heard_at, cases.c.opened_at)
        chosen = (
            sa.select(cases.c.id, cases.c.sender_key, cases.c.complaint, heard_at.label("heard"))
            .where(any_of(cases.c.id, last, self._database), heard_at >= since, cases.c.complaint.is_not(None))
            .order_by(heard_at, cases.c.id)
        )
        last_heard = {row.sender_key: row for row in connection.execute(chosen).all()}
        found = {}
        for sender, row in last_heard.items():
            with suppress(Undecryptable, msgspec.MsgspecError):  # nothing can be compared with it, so nothing joins it
                complaint = canonical.load(self._keyring.decrypt(row.complaint, _COMPLAINT))
                found[sender] = LastCase(row.id, complaint, row.heard)
        return found

    def _last(self, connection: sa.Connection, senders: Sequence[UUID], after: UUID) -> list[UUID]:
        """Return the cases that senders opened last, those after an id."""
        standing = cases.c.withdrawn_at.is_(None)
        if self._database.is_sqlite:
            mine = sa.select(sa.func.max(cases.c.id)).where(cases.c.sender_key.in_(senders), standing)
            chosen = mine.where(cases.c.id > after).group_by(cases.c.sender_key)
        else:
            # A subquery for each sender: one look into the sender's index. As a join or a list the planner may read all
            # cases of the day for every batch, once it has seen the table empty.
            given = self._database.bulk.each_uuid(senders)
            newest = (
                sa.select(cases.c.id)
                .where(cases.c.sender_key == given.c.id, standing)
                .order_by(cases.c.sender_key.desc(), cases.c.id.desc())
                .limit(1)
                .correlate(given)
                .scalar_subquery()
            )
            chosen = sa.select(newest).select_from(given)
        return [found for found in connection.execute(chosen).scalars().all() if found is not None and found > after]

    def follow(self, connection: sa.Connection, case_id: UUID, external: UUID, at: datetime) -> bool:
        """Note that a message was added to a case; `False` where that was noted before."""
        row = {"external_key": external, "case_id": case_id, "added_at": at}
        if not self._database.insert(connection, follow_ups, [row], ignore_conflicts=True, returning="external_key"):
            return False
        connection.execute(sa.update(cases).where(cases.c.id == case_id).values(heard_at=at))
        return True

    def withdraw(self, connection: sa.Connection, case_id: UUID, at: datetime) -> None:
        """Note that its sender takes a case back: nothing more is added to it."""
        connection.execute(sa.update(cases).where(cases.c.id == case_id).values(withdrawn_at=at))

    def get(self, connection: sa.Connection, ids: Sequence[UUID]) -> tuple[dict[UUID, Case], dict[UUID, Undecryptable]]:
        """Return cases by id, and an error for each that cannot be read."""
        readable: dict[UUID, Case] = {}
        unreadable: dict[UUID, Undecryptable] = {}
        for row in connection.execute(sa.select(cases).where(any_of(cases.c.id, ids, self._database))):
            try:
                readable[row.id] = self._unseal(row)
            except Undecryptable as exc:
                unreadable[row.id] = exc
            except msgspec.MsgspecError:
                unreadable[row.id] = Undecryptable("a stored complaint is not in a form that this version reads")
        return readable, unreadable

    def of_message(self, connection: sa.Connection, region: str, channel: str, external_id: str) -> Case | None:
        """Return the case that a message opened."""
        key = self._keyring.lookup("message", region, channel, external_id)
        row = connection.execute(sa.select(cases).where(cases.c.external_key == key)).one_or_none()
        return self._unseal(row) if row else None

    def followed(self, connection: sa.Connection, region: str, channel: str, external_id: str) -> UUID | None:
        """Return the case to which a message was added."""
        key = self._keyring.lookup("message", region, channel, external_id)
        return connection.execute(sa.select(follow_ups.c.case_id).where(follow_ups.c.external_key == key)).scalar()

    def owned(self, connection: sa.Connection, ticket: str, region: str, channel: str, sender: str) -> UUID | None:
        """Return the case of a ticket if this sender opened it; whether another's exists is not told."""
        key = self._keyring.lookup("sender", region, channel, sender)
        named = cases.join(tickets, tickets.c.case_id == cases.c.id)
        statement = (
            sa.select(cases.c.id).select_from(named).where(tickets.c.number == ticket, cases.c.sender_key == key)
        )
        return connection.execute(statement).scalars().first()

    def _unseal(self, row: sa.Row[Any]) -> Case:
        decrypt = self._keyring.decrypt
        return Case(
            id=row.id,
            region=row.region,
            channel=row.channel,
            sender_key=row.sender_key,
            complaint=canonical.load(decrypt(row.complaint, _COMPLAINT)) if row.complaint else None,
            contact=decrypt(row.contact, _CONTACT).decode() if row.contact else None,
            correlation_id=row.correlation_id,
        )

    def number(self, connection: sa.Connection, given: Sequence[tuple[UUID, str]]) -> None:
        """Write down the tickets that the centre gave."""
        rows = [{"case_id": case_id, "number": ticket} for case_id, ticket in given]
        self._database.insert(connection, tickets, rows, ignore_conflicts=True)

    def rewrite(self, connection: sa.Connection, complaint: Complaint) -> None:
        """Replace the stored complaint of a case, after a replay read its message differently."""
        sealed = self._keyring.encrypt(canonical.dump(complaint), _COMPLAINT)
        connection.execute(sa.update(cases).where(cases.c.id == complaint.id).values(complaint=sealed))

    def purge(self, before: datetime, limit: int) -> int:
        """Drop our copy of up to `limit` complaints that the centre has and that came before the moment.

        What stays is who may ask about which ticket, and that the message has its complaint.
        """
        numbered = sa.exists().where(tickets.c.case_id == cases.c.id)
        chosen = (
            sa.select(cases.c.id)
            .where(cases.c.complaint.is_not(None), numbered, cases.c.id < first_id_at(before))
            .order_by(cases.c.id)
            .limit(limit)
        )
        with self._database.begin() as connection:
            ids = list(connection.execute(chosen).scalars())
            if ids:
                statement = sa.update(cases).where(any_of(cases.c.id, ids, self._database))
                connection.execute(statement.values(complaint=None))
        return len(ids)
