"""Read a queue table: single rows, dead letters, and the backlog of each channel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

import sqlalchemy as sa

from gateway.domain.channel import ChannelId
from gateway.spool.rows import InboxRow, OutboxRow
from gateway.spool.tables import State
from gateway.storage import Transaction
from gateway.storage.database import Database, any_of

RowT = TypeVar("RowT", bound=InboxRow | OutboxRow)


@dataclass(frozen=True, slots=True)
class Backlog:
    """The unfinished rows of one channel."""

    region: str
    channel: str
    waiting: int
    oldest: datetime | None  # arrival of the row that has waited longest
    reason: str | None  # of a row that failed at least once


class QueueReader(Generic[RowT]):
    """One queue table, and the type of its rows: the queries that change nothing."""

    def __init__(self, database: Database, table: sa.Table, make_row: Callable[[Iterable[object]], RowT]) -> None:
        self._database = database
        self._table = table
        self._make_row = make_row
        self._arrived_at = table.c.received_at if "received_at" in table.c else table.c.created_at

    def get(self, row_id: UUID) -> RowT | None:
        """Return one row in any state, or `None` if there is no row with this id."""
        with self._database.read() as transaction:
            rows = self._rows(transaction, sa.select(self._table).where(self._table.c.id == row_id))
        return rows[0] if rows else None

    def among(self, transaction: Transaction, ids: Sequence[UUID]) -> dict[UUID, RowT]:
        """Return rows in any state, by id; unknown ids are left out."""
        chosen = sa.select(self._table).where(any_of(self._table.c.id, ids, self._database))
        return {row.id: row for row in self._rows(transaction, chosen)}

    def dead(self, limit: int) -> list[RowT]:
        """Return the newest dead letters, newest first."""
        table = self._table
        with self._database.read() as transaction:
            chosen = sa.select(table).where(table.c.state == State.DEAD).order_by(table.c.id.desc()).limit(limit)
            return self._rows(transaction, chosen)

    def dead_counts(self) -> dict[ChannelId, int]:
        """Return the number of dead letters per channel."""
        table = self._table
        counts = (
            sa.select(table.c.region, table.c.channel, sa.func.count())
            .where(table.c.state == State.DEAD)
            .group_by(table.c.region, table.c.channel)
        )
        with self._database.read() as transaction:
            return {ChannelId(region, channel): count for region, channel, count in transaction.execute(counts)}

    def backlog(self) -> list[Backlog]:
        """Return the backlog per channel; reads only unfinished rows, so that it stays fast when the table grows."""
        table = self._table
        failed = sa.case((table.c.attempts > 0, table.c.reason))
        summary = (
            sa.select(
                table.c.region, table.c.channel, sa.func.count(), sa.func.min(self._arrived_at), sa.func.max(failed)
            )
            .where(table.c.due_at.is_not(None))
            .group_by(table.c.region, table.c.channel)
        )
        with self._database.read() as transaction:
            return [Backlog(*row) for row in transaction.execute(summary)]

    def _rows(self, transaction: Transaction, chosen: sa.Executable) -> list[RowT]:
        return list(map(self._make_row, transaction.execute(chosen)))
