"""The cases: one row for each complaint that passed through here, and who may ask about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from gateway import complaint as canonical
from gateway.complaint import Complaint
from gateway.crypto import Keyring
from gateway.database import Database, any_of
from gateway.errors import Undecryptable
from gateway.ids import first_id_at
from gateway.spool.tables import cases, tickets

_COMPLAINT = b"case"
_CONTACT = b"contact"


@dataclass(frozen=True, kw_only=True, slots=True)
class NewCase:
    """A complaint that is to be opened."""

    complaint: Complaint
    sender: str  # address on the channel; stored as a keyed hash
    contact: str | None  # the same address where it may be answered, else None
    correlation_id: UUID
    opened_at: datetime


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
    """Return a case that was just opened, by the row that `Cases.open` gave for it."""
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

    def open(self, connection: sa.Connection, new: Sequence[NewCase]) -> list[dict[str, Any]]:
        """Open cases; return the rows of those that are new. A message that already has its case opens none."""
        rows = [self._seal(case) for case in new]
        opened = set(self._database.insert(connection, cases, rows, ignore_conflicts=True, returning="id"))
        return [row for row in rows if row["id"] in opened]

    def _seal(self, case: NewCase) -> dict[str, Any]:
        source, lookup, encrypt = case.complaint.source, self._keyring.lookup, self._keyring.encrypt
        return {
            "id": case.complaint.id,
            "region": source.region,
            "channel": source.channel,
            "external_key": lookup("message", source.region, source.channel, source.external_id),
            "sender_key": lookup("sender", source.region, source.channel, case.sender),
            "correlation_id": case.correlation_id,
            "complaint": encrypt(canonical.dump(case.complaint), _COMPLAINT),
            "contact": encrypt(case.contact.encode(), _CONTACT) if case.contact else None,
            "opened_at": case.opened_at,
        }

    def get(self, connection: sa.Connection, ids: Sequence[UUID]) -> tuple[dict[UUID, Case], dict[UUID, Undecryptable]]:
        """Return cases by id, and an error for each that cannot be read."""
        readable: dict[UUID, Case] = {}
        unreadable: dict[UUID, Undecryptable] = {}
        for row in connection.execute(sa.select(cases).where(any_of(cases.c.id, ids, self._database))):
            try:
                readable[row.id] = self._open(row)
            except Undecryptable as exc:
                unreadable[row.id] = exc
            except msgspec.MsgspecError:
                unreadable[row.id] = Undecryptable("a stored complaint is not in a form that this version reads")
        return readable, unreadable

    def of_message(self, connection: sa.Connection, region: str, channel: str, external_id: str) -> Case | None:
        """Return the case that a message opened."""
        key = self._keyring.lookup("message", region, channel, external_id)
        row = connection.execute(sa.select(cases).where(cases.c.external_key == key)).one_or_none()
        return self._open(row) if row else None

    def owned(self, connection: sa.Connection, ticket: str, region: str, channel: str, sender: str) -> UUID | None:
        """Return the case of a ticket if this sender opened it; whether another's exists is not told."""
        key = self._keyring.lookup("sender", region, channel, sender)
        named = cases.join(tickets, tickets.c.case_id == cases.c.id)
        statement = (
            sa.select(cases.c.id).select_from(named).where(tickets.c.number == ticket, cases.c.sender_key == key)
        )
        return connection.execute(statement).scalars().first()

    def _open(self, row: sa.Row[Any]) -> Case:
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
