"""The inbox: every raw message that was accepted, before anybody has read it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from gateway.domain.ids import first_id_at
from gateway.ports import Clock, Envelope, RawMessage
from gateway.spool.queue import Queue
from gateway.spool.tables import State, inbox, parts
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database, any_of

_PURPOSE = b"inbox"
_FORMER = "former_key"  # in a sealed row, not a column: the key under which the message may already stand


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A verified message that is to be stored."""

    id: UUID
    region: str
    channel: str
    envelope: Envelope
    content_type: str
    payload: bytes
    received_at: datetime


class Inbox(Queue):
    """The inbox table."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        super().__init__(database, inbox, clock)
        self._keyring = keyring

    def seal(self, message: Incoming) -> dict[str, Any]:
        """Return the row that stores the message: payload encrypted, keys hashed. The costly part of storing."""
        address = (message.region, message.channel)
        lookup = self._keyring.lookup
        dedupe_key = lookup("message", *address, message.envelope.key)
        sender, former = message.envelope.sender, message.envelope.former_key
        row = {
            "id": message.id,
            "region": message.region,
            "channel": message.channel,
            "dedupe_key": dedupe_key,
            "lane": lookup("sender", *address, sender) if sender else dedupe_key,
            "content_type": message.content_type,
            "payload": self._keyring.encrypt(message.payload, _PURPOSE),
            "received_at": message.received_at,
            "due_at": message.received_at,
        }
        if former:
            row[_FORMER] = lookup("message", *address, former)
        return row

    def add(self, connection: sa.Connection, sealed: Sequence[dict[str, Any]]) -> set[UUID]:
        """Store rows; return the ids of those that are new. A repeated delivery is not."""
        if former := [row[_FORMER] for row in sealed if _FORMER in row]:
            known = sa.select(inbox.c.dedupe_key).where(any_of(inbox.c.dedupe_key, former, self._database))
            again = set(connection.execute(known).scalars())
            sealed = [
                {name: value for name, value in row.items() if name != _FORMER}
                for row in sealed
                if row.get(_FORMER) not in again
            ]
        return set(self._database.insert(connection, inbox, sealed, ignore_conflicts=True, returning="id"))

    def commit(self, sealed: Sequence[dict[str, Any]]) -> set[UUID]:
        """Store rows in a transaction of their own; when this returns they are durable."""
        with self._database.single() as connection:
            return self.add(connection, sealed)

    def unseal(self, row: sa.Row[Any]) -> RawMessage:
        """Return the raw message of a row; raises `Undecryptable`."""
        return RawMessage(
            id=row.id,
            region=row.region,
            channel=row.channel,
            content_type=row.content_type,
            payload=self._keyring.decrypt(row.payload, _PURPOSE),
            received_at=row.received_at,
        )

    def among(self, connection: sa.Connection, ids: Sequence[UUID]) -> dict[UUID, sa.Row[Any]]:
        """Return rows by id, whatever their state."""
        found = connection.execute(sa.select(inbox).where(any_of(inbox.c.id, ids, self._database)))
        return {row.id: row for row in found.all()}

    def condemn(self, connection: sa.Connection, ids: Sequence[UUID], reason: str) -> None:
        """Make finished rows dead letters after all, because what they were to be put into cannot be made."""
        connection.execute(
            sa.update(inbox)
            .where(any_of(inbox.c.id, ids, self._database))
            .values(state=State.DEAD, reason=reason, finished_at=self._clock(), due_at=None, claim=None)
        )

    def purge(self, before: datetime, limit: int, *conditions: sa.ColumnElement[bool]) -> list[UUID]:
        """Delete as `Queue.purge` does, but no part of a message that waits for others, or may be completed yet."""
        needed = sa.exists().where(parts.c.inbox_id == inbox.c.id)
        return super().purge(before, limit, ~needed, *conditions)

    def between(self, start: datetime, end: datetime, after: UUID | None, limit: int) -> Sequence[sa.Row[Any]]:
        """Return a page of the messages received in a time range, oldest first, whatever their state."""
        lowest = max(first_id_at(start), after) if after else first_id_at(start)
        statement = (
            sa.select(inbox).where(inbox.c.id > lowest, inbox.c.id < first_id_at(end)).order_by(inbox.c.id).limit(limit)
        )
        with self._database.read() as connection:
            return connection.execute(statement).all()
