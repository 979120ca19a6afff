"""PartialMessages: long messages of which parts are still on their way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from gateway.domain.events import MessagePart
from gateway.domain.ids import first_id_at, new_id
from gateway.ports import Clock
from gateway.spool.rows import InboxRow
from gateway.spool.tables import drafts, parts
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database, any_of

_LATE = timedelta(hours=24)  # so long a missing part may still come; references of phones come round again


@dataclass(frozen=True, kw_only=True, slots=True)
class PartialMessage:
    """A message in parts."""

    id: UUID
    region: str
    channel: str
    total: int
    open: bool  # nothing of it was sent on yet
    numbers: Mapping[int, UUID]  # number of a part → its row in the inbox

    @property
    def missing(self) -> list[int]:
        """The numbers that never came."""
        return [number for number in range(1, self.total + 1) if number not in self.numbers]

    @property
    def first(self) -> UUID:
        """The row of the part that came first, whatever its number."""
        return min(self.numbers.values())

    @property
    def external_id(self) -> str:
        """What the joined message is called: the same whichever part came first or last."""
        return f"draft:{self.id.hex}"


class PartialMessages:
    """The partial and part tables."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        self._database, self._keyring, self._clock = database, keyring, clock

    def add(
        self, connection: sa.Connection, row: InboxRow, part: MessagePart, wait: timedelta
    ) -> tuple[PartialMessage, bool]:
        """Put a part (and its inbox row) to the others of its message.

        Returns the partial message as it now stands, and whether the part is new to it. A number that is already there begins
        another message: repeated deliveries are known by their envelope.
        """
        if row.attempts > 1 and (known := self.of_part(connection, row.id)):  # a row that is read again
            return known, False
        total = str(part.total)
        key = self._keyring.lookup("parts", row.region, row.channel, part.sender, part.group, total)
        self._take_turn(connection, key)
        found = self._newest(connection, key)
        if found is None or not self._wants(found, part.number):
            found = self._begin(connection, row, part, key, wait)
        connection.execute(sa.insert(parts).values(draft_id=found.id, number=part.number, inbox_id=row.id))
        return replace(found, numbers={**found.numbers, part.number: row.id}), True

    def _take_turn(self, connection: sa.Connection, key: UUID) -> None:
        """Wait until no other worker puts a part to this message; two first parts would begin it twice.

        Lanes do not prevent that: of two front doors the one that took the earlier part may commit it later.
        """
        if not self._database.is_sqlite:  # which has one writer
            number = (key.int >> 64) - (1 << 63)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))

    def _wants(self, partial: PartialMessage, number: int) -> bool:
        recent = partial.id > first_id_at(self._clock() - _LATE)
        return number in partial.missing and (partial.open or recent)

    def _newest(self, connection: sa.Connection, key: UUID) -> PartialMessage | None:
        newest = sa.select(drafts).where(drafts.c.key == key).order_by(drafts.c.id.desc()).limit(1)
        found = self._load(connection, newest.with_for_update())
        return found[0] if found else None

    def _begin(
        self, connection: sa.Connection, row: InboxRow, part: MessagePart, key: UUID, wait: timedelta
    ) -> PartialMessage:
        draft_id, now = new_id(), self._clock()
        values = {"id": draft_id, "key": key, "region": row.region, "channel": row.channel, "total": part.total}
        connection.execute(sa.insert(drafts).values(**values, began_at=now, due_at=now + wait))
        return PartialMessage(
            id=draft_id, region=row.region, channel=row.channel, total=part.total, open=True, numbers={}
        )

    def of_part(self, connection: sa.Connection, inbox_id: UUID) -> PartialMessage | None:
        """Return the partial message that an inbox row is part of."""
        mine = sa.select(parts.c.draft_id).where(parts.c.inbox_id == inbox_id).scalar_subquery()
        found = self._load(connection, sa.select(drafts).where(drafts.c.id == mine))
        return found[0] if found else None

    def due(self, connection: sa.Connection) -> PartialMessage | None:
        """Take the partial message that has waited longest, if that is long enough; it is ours until the transaction ends."""
        chosen = sa.select(drafts).where(drafts.c.due_at <= self._clock()).order_by(drafts.c.due_at).limit(1)
        found = self._load(connection, chosen.with_for_update(skip_locked=True))
        return found[0] if found else None

    def waiting(self, connection: sa.Connection, draft_id: UUID) -> PartialMessage | None:
        """Take a partial message, if nothing of it was sent on yet."""
        chosen = sa.select(drafts).where(drafts.c.id == draft_id, drafts.c.due_at.is_not(None))
        found = self._load(connection, chosen.with_for_update())
        return found[0] if found else None

    def close(self, connection: sa.Connection, draft_id: UUID) -> None:
        """Note that what is there was sent on."""
        connection.execute(sa.update(drafts).where(drafts.c.id == draft_id).values(due_at=None))

    def dissolve(self, connection: sa.Connection, ids: Sequence[UUID]) -> None:
        """Forget drafts; their parts, should they be read again, begin a new one."""
        connection.execute(sa.delete(parts).where(any_of(parts.c.draft_id, ids, self._database)))
        connection.execute(sa.delete(drafts).where(any_of(drafts.c.id, ids, self._database)))

    def _load(self, connection: sa.Connection, chosen: sa.Select[Any]) -> list[PartialMessage]:
        rows = connection.execute(chosen).all()
        numbers: dict[UUID, dict[int, UUID]] = {row.id: {} for row in rows}
        if rows:
            for part in connection.execute(
                sa.select(parts).where(any_of(parts.c.draft_id, list(numbers), self._database))
            ):
                numbers[part.draft_id][part.number] = part.inbox_id
        return [
            PartialMessage(
                id=row.id,
                region=row.region,
                channel=row.channel,
                total=row.total,
                open=row.due_at is not None,
                numbers=numbers[row.id],
            )
            for row in rows
        ]

    def purge(self, before: datetime, limit: int) -> int:
        """Forget up to `limit` drafts that were begun before the moment and are joined."""
        chosen = (
            sa.select(drafts.c.id)
            .where(drafts.c.id < first_id_at(before), drafts.c.due_at.is_(None))
            .order_by(drafts.c.id)
            .limit(limit)
        )
        with self._database.begin() as connection:
            ids = list(connection.execute(chosen).scalars().all())
            if ids:
                self.dissolve(connection, ids)
        return len(ids)
