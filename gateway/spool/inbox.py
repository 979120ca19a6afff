"""The inbox: every raw message that was accepted, before anybody has read it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NotRequired, TypedDict
from uuid import UUID

import msgspec
import sqlalchemy as sa

from gateway.domain.ids import first_id_at
from gateway.ports import Clock, Envelope, RawMessage
from gateway.spool.queue import Queue
from gateway.spool.rows import InboxRow
from gateway.spool.tables import State, inbox, parts
from gateway.storage import Transaction
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database, any_of

_PURPOSE = b"inbox"


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A verified message that is to be stored."""

    id: UUID
    region: str
    channel: str
    envelope: Envelope
    content_type: str
    payload: bytes
    received_at: datetime


class SealedRow(TypedDict):
    """A row of the inbox that is ready to be written: payload encrypted, keys hashed."""

    id: UUID
    region: str
    channel: str
    dedupe_key: UUID
    lane: UUID
    content_type: str
    payload: bytes
    received_at: datetime
    due_at: datetime
    former_key: NotRequired[UUID]  # no column: the key under which the message may already be stored


class Inbox(Queue[InboxRow]):
    """The inbox table."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        super().__init__(database, inbox, InboxRow, clock)
        self._keyring = keyring

    def seal(self, message: Incoming) -> SealedRow:
        """Return the row that stores the message: payload encrypted, keys hashed. The costly part of storing."""
        address = (message.region, message.channel)
        lookup = self._keyring.lookup
        dedupe_key = lookup("message", *address, message.envelope.key)
        sender, former = message.envelope.sender, message.envelope.former_key
        row: SealedRow = {
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
            row["former_key"] = lookup("message", *address, former)
        return row

    def add(self, connection: Transaction, sealed: Sequence[SealedRow]) -> set[UUID]:
        """Store rows; return the ids of those that are new. A repeated delivery is not."""
        if former := [row["former_key"] for row in sealed if "former_key" in row]:
            known = sa.select(inbox.c.dedupe_key).where(any_of(inbox.c.dedupe_key, former, self._database))
            again = set(connection.execute(known).scalars())
            sealed = [row for row in sealed if row.get("former_key") not in again]
            # Copies: a commit that failed is repeated with the same rows, and needs the former keys again.
            columns = [{name: row[name] for name in row if name != "former_key"} for row in sealed]  # type: ignore[literal-required]
            return set(self._database.insert(connection, inbox, columns, ignore_conflicts=True, returning="id"))
        return set(self._database.insert(connection, inbox, sealed, ignore_conflicts=True, returning="id"))

    def commit(self, sealed: Sequence[SealedRow]) -> set[UUID]:
        """Store rows in a transaction of their own; when this returns they are durable."""
        with self._database.single() as connection:
            return self.add(connection, sealed)

    def unseal(self, row: InboxRow) -> RawMessage:
        """Return the raw message of a row; raises `Undecryptable`."""
        return RawMessage(
            id=row.id,
            region=row.region,
            channel=row.channel,
            content_type=row.content_type,
            payload=self._keyring.decrypt(row.payload, _PURPOSE),
            received_at=row.received_at,
        )

    def among(self, connection: Transaction, ids: Sequence[UUID]) -> dict[UUID, InboxRow]:
        """Return rows by id, whatever their state."""
        found = connection.execute(sa.select(inbox).where(any_of(inbox.c.id, ids, self._database)))
        return {row.id: row for row in map(InboxRow._make, found)}

    def condemn(self, connection: Transaction, ids: Sequence[UUID], reason: str) -> None:
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

    def between(self, start: datetime, end: datetime, after: UUID | None, limit: int) -> list[InboxRow]:
        """Return a page of the messages received in a time range, oldest first, whatever their state."""
        lowest = max(first_id_at(start), after) if after else first_id_at(start)
        statement = (
            sa.select(inbox).where(inbox.c.id > lowest, inbox.c.id < first_id_at(end)).order_by(inbox.c.id).limit(limit)
        )
        with self._database.read() as connection:
            return list(map(InboxRow._make, connection.execute(statement)))
