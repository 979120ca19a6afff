"""The inbox: every accepted raw message, stored before it is interpreted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NotRequired, TypedDict
from uuid import UUID

import msgspec
import sqlalchemy as sa

from gateway.domain.ids import first_id_at
from gateway.ports import Clock, Envelope, RawMessage
from gateway.spool import keys
from gateway.spool.queue import Queue
from gateway.spool.rows import InboxRow
from gateway.spool.tables import State, inbox, parts
from gateway.storage import Transaction
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database, any_of
from gateway.storage.encrypted import purpose_of

_PURPOSE = purpose_of(inbox.c.payload)


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A verified message that will be stored."""

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
    former_key: NotRequired[UUID]  # not a column: hash of `Envelope.former_key`


class Inbox(Queue[InboxRow]):
    """The inbox table."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        super().__init__(database, inbox, InboxRow._make, clock)
        self._keyring = keyring

    def seal(self, message: Incoming) -> SealedRow:
        """Return the row of a message: payload encrypted, keys hashed. Storing spends most of its CPU time here."""
        region, channel, keyring = message.region, message.channel, self._keyring
        dedupe_key = keys.message_key(keyring, region, channel, message.envelope.key)
        sender, former = message.envelope.sender, message.envelope.former_key
        row: SealedRow = {
            "id": message.id,
            "region": region,
            "channel": channel,
            "dedupe_key": dedupe_key,
            "lane": keys.sender_key(keyring, region, channel, sender) if sender else dedupe_key,
            "content_type": message.content_type,
            "payload": keyring.encrypt(message.payload, _PURPOSE),
            "received_at": message.received_at,
            "due_at": message.received_at,
        }
        if former:
            row["former_key"] = keys.message_key(keyring, region, channel, former)
        return row

    def add(self, transaction: Transaction, sealed: Sequence[SealedRow]) -> set[UUID]:
        """Store rows; return the ids of the new ones. A row of a repeated delivery is not stored."""
        rows: Sequence[Mapping[str, object]] = sealed
        if former := [row["former_key"] for row in sealed if "former_key" in row]:
            known = sa.select(inbox.c.dedupe_key).where(any_of(inbox.c.dedupe_key, former, self._database))
            repeated = set(transaction.execute(known).scalars())
            new = [row for row in sealed if row.get("former_key") not in repeated]
            # Copies, because a failed commit is repeated with the same rows and needs the former keys again.
            rows = [{name: value for name, value in row.items() if name != "former_key"} for row in new]
        return set(self._database.insert(transaction, inbox, rows, ignore_conflicts=True, returning="id"))

    def commit(self, sealed: Sequence[SealedRow]) -> set[UUID]:
        """Store rows in a transaction of their own; return the ids of the new ones. All rows are durable then."""
        with self._database.single() as transaction:
            return self.add(transaction, sealed)

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

    def bury_parts(self, transaction: Transaction, ids: Sequence[UUID], reason: str) -> None:
        """Make finished rows dead letters, because they are parts of a message that cannot be joined."""
        transaction.execute(
            sa.update(inbox)
            .where(any_of(inbox.c.id, ids, self._database))
            .values(state=State.DEAD, reason=reason, finished_at=self._clock(), due_at=None, claim=None)
        )

    def purge(self, before: datetime, limit: int, *conditions: sa.ColumnElement[bool]) -> list[UUID]:
        """Delete as `Queue.purge` does, but keep parts until their partial message is purged.

        If the provider sends a deleted message again, no second case opens, because the case keeps the message's key.
        """
        is_part = sa.exists().where(parts.c.inbox_id == inbox.c.id)
        return super().purge(before, limit, ~is_part, *conditions)

    def between(self, start: datetime, end: datetime, after: UUID | None, limit: int) -> list[InboxRow]:
        """Return up to `limit` rows in any state, received from `start` until before `end`, oldest first.

        `after` is the id of the last row of the page before, or `None`.
        """
        lowest = max(first_id_at(start), after) if after else first_id_at(start)
        statement = (
            sa.select(inbox).where(inbox.c.id > lowest, inbox.c.id < first_id_at(end)).order_by(inbox.c.id).limit(limit)
        )
        with self._database.read() as transaction:
            return self._rows(transaction, statement)
