"""Store partial messages: long messages that come in parts, until all parts are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from gateway.domain.events import MessagePart
from gateway.domain.ids import first_id_at, new_id
from gateway.ports import Clock
from gateway.spool.rows import InboxRow
from gateway.spool.tables import drafts, parts
from gateway.storage import Transaction
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database, any_of

_LATE = timedelta(hours=24)  # a later part belongs to another message, because phones reuse their reference numbers


@dataclass(frozen=True, kw_only=True, slots=True)
class PartialMessage:
    """A message in parts, with the parts that have come."""

    id: UUID
    region: str
    channel: str
    total: int
    open: bool  # False after the message was joined, with or without all parts
    numbers: Mapping[int, UUID]  # number of a part → id of its inbox row

    @property
    def missing(self) -> list[int]:
        """Return the numbers of the missing parts, ascending."""
        return [number for number in range(1, self.total + 1) if number not in self.numbers]

    @property
    def first(self) -> UUID:
        """Return the id of the inbox row of the part that came first, which may have any number."""
        return min(self.numbers.values())

    @property
    def external_id(self) -> str:
        """Return the external id of the joined message; it does not depend on the order in which the parts came."""
        return f"draft:{self.id.hex}"


class PartialMessages:
    """The draft and part tables."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock

    def add(
        self, transaction: Transaction, row: InboxRow, part: MessagePart, wait: timedelta
    ) -> tuple[PartialMessage, bool]:
        """Add a part, with its inbox row, to the other parts of its message.

        Returns the message with this part, and whether the part is new. If the message has a part with this number, the
        part begins another message: it is no repeated delivery, because the inbox does not store those.
        """
        if row.attempts > 1 and (known := self.of_part(transaction, row.id)):  # the row may have been added before
            return known, False
        total = str(part.total)
        key = self._keyring.lookup("parts", row.region, row.channel, part.sender, part.group, total)
        self._lock(transaction, key)
        partial = self._newest(transaction, key)
        if partial is None or not self._lacks(partial, part.number):
            partial = self._begin(transaction, row, part, key, wait)
        transaction.execute(sa.insert(parts).values(draft_id=partial.id, number=part.number, inbox_id=row.id))
        return replace(partial, numbers={**partial.numbers, part.number: row.id}), True

    def _lock(self, transaction: Transaction, key: UUID) -> None:
        """Wait until no other worker adds a part to this message, because two workers could begin it twice.

        The order of a lane does not prevent that: if two processes accept parts, the earlier may be committed later.
        """
        if not self._database.is_sqlite:  # SQLite has one writer
            number = (key.int >> 64) - (1 << 63)
            transaction.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))

    def _lacks(self, partial: PartialMessage, number: int) -> bool:
        recent = partial.id > first_id_at(self._clock() - _LATE)
        return number in partial.missing and (partial.open or recent)

    def _newest(self, transaction: Transaction, key: UUID) -> PartialMessage | None:
        newest = sa.select(drafts).where(drafts.c.key == key).order_by(drafts.c.id.desc()).limit(1)
        return self._load_one(transaction, newest.with_for_update())

    def _begin(
        self, transaction: Transaction, row: InboxRow, part: MessagePart, key: UUID, wait: timedelta
    ) -> PartialMessage:
        draft_id, now = new_id(), self._clock()
        values = {"id": draft_id, "key": key, "region": row.region, "channel": row.channel, "total": part.total}
        transaction.execute(sa.insert(drafts).values(**values, began_at=now, due_at=now + wait))
        return PartialMessage(
            id=draft_id, region=row.region, channel=row.channel, total=part.total, open=True, numbers={}
        )

    def of_part(self, transaction: Transaction, inbox_id: UUID) -> PartialMessage | None:
        """Return the partial message of an inbox row, or `None` if the row is no part."""
        draft_id = sa.select(parts.c.draft_id).where(parts.c.inbox_id == inbox_id).scalar_subquery()
        return self._load_one(transaction, sa.select(drafts).where(drafts.c.id == draft_id))

    def due(self, transaction: Transaction) -> PartialMessage | None:
        """Lock and return the partial message whose waiting time ended first, or `None` if none has ended."""
        chosen = sa.select(drafts).where(drafts.c.due_at <= self._clock()).order_by(drafts.c.due_at).limit(1)
        return self._load_one(transaction, chosen.with_for_update(skip_locked=True))

    def waiting(self, transaction: Transaction, draft_id: UUID) -> PartialMessage | None:
        """Lock and return a partial message, or `None` if it was joined meanwhile."""
        chosen = sa.select(drafts).where(drafts.c.id == draft_id, drafts.c.due_at.is_not(None))
        return self._load_one(transaction, chosen.with_for_update())

    def close(self, transaction: Transaction, draft_id: UUID) -> None:
        """Record that the message was joined."""
        transaction.execute(sa.update(drafts).where(drafts.c.id == draft_id).values(due_at=None))

    def dissolve(self, transaction: Transaction, ids: Sequence[UUID]) -> None:
        """Delete partial messages; if their parts are interpreted again, they begin a new one."""
        transaction.execute(sa.delete(parts).where(any_of(parts.c.draft_id, ids, self._database)))
        transaction.execute(sa.delete(drafts).where(any_of(drafts.c.id, ids, self._database)))

    def _load_one(self, transaction: Transaction, chosen: sa.Executable) -> PartialMessage | None:
        row = transaction.execute(chosen).one_or_none()
        if row is None:
            return None
        part_rows = transaction.execute(sa.select(parts.c.number, parts.c.inbox_id).where(parts.c.draft_id == row.id))
        return PartialMessage(
            id=row.id,
            region=row.region,
            channel=row.channel,
            total=row.total,
            open=row.due_at is not None,
            numbers={part.number: part.inbox_id for part in part_rows},
        )

    def purge(self, before: datetime, limit: int) -> int:
        """Delete up to `limit` joined messages that began before the moment; return how many."""
        chosen = (
            sa.select(drafts.c.id)
            .where(drafts.c.id < first_id_at(before), drafts.c.due_at.is_(None))
            .order_by(drafts.c.id)
            .limit(limit)
        )
        with self._database.begin() as transaction:
            ids = list(transaction.execute(chosen).scalars().all())
            if ids:
                self.dissolve(transaction, ids)
        return len(ids)
