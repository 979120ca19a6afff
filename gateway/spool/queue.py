"""Claim and settle the rows of a queue table: `pending → claimed → done | dead`.

A worker claims a batch with `FOR UPDATE SKIP LOCKED`, so any number of workers on any number of machines share one
queue. A claim has an id, and results are recorded only for rows that still have it: if a slow worker's lease ended and
another worker took its rows, the slow worker cannot finish them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.sql.dml import ReturningUpdate

from gateway.domain.channel import ChannelId
from gateway.domain.ids import first_id_at, new_id
from gateway.domain.texts import text
from gateway.ports import Clock
from gateway.spool.queue_reader import QueueReader, RowT
from gateway.spool.rows import InboxRow, OutboxRow
from gateway.spool.tables import State
from gateway.storage import Transaction
from gateway.storage.database import Database, any_of

ABANDONED = "abandoned: " + text("the worker that held it stopped before it was done")
# Attempts. If a row had more, and the worker of the last one died, the row may be the cause: it is claimed alone.
_ISOLATE_AFTER = 3
_LANE_PAUSE = timedelta(seconds=1)  # before the next claim of a row that waits for an earlier row of its lane


@dataclass(frozen=True, slots=True)
class Claim(Generic[RowT]):
    """A batch that this worker holds until the lease ends, in the order in which the messages came."""

    id: UUID
    rows: Sequence[RowT]


class Queue(QueueReader[RowT]):
    """One queue table, and the type of its rows."""

    def __init__(
        self, database: Database, table: sa.Table, make_row: Callable[[Iterable[object]], RowT], clock: Clock
    ) -> None:
        super().__init__(database, table, make_row)
        self._clock = clock

    def claim(
        self,
        limit: int,
        lease: timedelta,
        *,
        kinds: Sequence[str] = (),
        leaving: Collection[ChannelId] = (),
    ) -> Claim[RowT]:
        """Claim up to `limit` rows that are due, except those of the channels in `leaving`.

        With `kinds`, only rows of these kinds, the first kind first. Returns a claim without rows if none is due.
        """
        claim, rows = new_id(), list[RowT]()
        with self._database.begin() as transaction:
            for kind in kinds or (None,):  # one query per kind: the index is ordered within a kind only
                if len(rows) < limit:
                    rows += self._rows(transaction, self._take(claim, kind, limit - len(rows), lease, leaving))
            rows.sort(key=lambda row: row.id.int)
            if blocked := self._blocked(transaction, claim, rows):
                self.give_back(transaction, claim, blocked)
                rows = [row for row in rows if row.id not in blocked]
            if suspect := next((row for row in rows if _may_kill(row)), None):
                # Only one row of a batch can have killed its worker, so the other rows go to another claim at once.
                self.give_back(transaction, claim, {row.id for row in rows} - {suspect.id}, pause=timedelta())
                rows = [suspect]
        return Claim(claim, rows)

    def _take(
        self, claim: UUID, kind: str | None, limit: int, lease: timedelta, leaving: Collection[ChannelId]
    ) -> ReturningUpdate[tuple[object, ...]]:
        table, now = self._table, self._clock()
        candidates = sa.select(table.c.id).where(table.c.due_at <= now)
        if kind is not None:
            candidates = candidates.where(table.c.kind == kind)
        for region, channel in leaving:  # few: only channels with a held connection
            candidates = candidates.where(sa.or_(table.c.region != region, table.c.channel != channel))
        due = candidates.order_by(table.c.due_at).limit(limit).with_for_update(skip_locked=True).cte("due")
        return (
            sa.update(table)
            .where(table.c.id.in_(sa.select(due.c.id)))
            .values(
                reason=sa.case((table.c.state == State.CLAIMED, ABANDONED), else_=table.c.reason),
                state=State.CLAIMED,
                attempts=table.c.attempts + 1,
                claim=claim,
                due_at=now + lease,
            )
            .returning(table)
        )

    def _blocked(self, transaction: Transaction, claim: UUID, rows: Sequence[RowT]) -> set[UUID]:
        """Return the ids of rows whose lane has an earlier unfinished row that is not in this claim."""
        if not rows:
            return set()
        table, earlier = self._table, self._table.alias("earlier")
        # A subquery per row, not a join: each costs one search in the lane's index, even if the planner's estimates are
        # wrong.
        blocker = (
            sa.select(earlier.c.id)
            .where(earlier.c.lane == table.c.lane, earlier.c.id < table.c.id, earlier.c.finished_at.is_(None))
            .where(sa.or_(earlier.c.claim.is_(None), earlier.c.claim != claim))
            .order_by(earlier.c.lane, earlier.c.id)
            .limit(1)
            .correlate(table)
            .scalar_subquery()
        )
        ids = [row.id for row in rows]
        blockers = transaction.execute(sa.select(table.c.id, blocker).where(any_of(table.c.id, ids, self._database)))
        return {row_id for row_id, blocker_id in blockers if blocker_id is not None}

    def give_back(
        self, transaction: Transaction, claim: UUID, ids: Collection[UUID], *, pause: timedelta = _LANE_PAUSE
    ) -> None:
        """Make claimed rows pending again without counting the attempt; they are due after the pause."""
        if not ids:
            return
        table = self._table
        transaction.execute(
            sa.update(table)
            .where(any_of(table.c.id, list(ids), self._database), table.c.claim == claim)
            .values(state=State.PENDING, attempts=table.c.attempts - 1, claim=None, due_at=self._clock() + pause)
        )

    def extend_lease(self, claim: UUID, row_id: UUID, lease: timedelta) -> bool:
        """Extend the lease of one claimed row; return `False` if another worker has claimed it since."""
        table = self._table
        extend = sa.update(table).where(table.c.id == row_id, table.c.claim == claim)
        with self._database.begin() as transaction:
            return transaction.execute(extend.values(due_at=self._clock() + lease)).rowcount == 1

    def finish(self, transaction: Transaction, claim: UUID, ids: Sequence[UUID]) -> set[UUID]:
        """Mark rows done; return the ids of those that this claim still holds. Write only the results of these."""
        if not ids:
            return set()
        table = self._table
        done = (
            sa.update(table)
            .where(any_of(table.c.id, ids, self._database), table.c.claim == claim)
            .values(state=State.DONE, claim=None, due_at=None, reason=None, finished_at=self._clock())
            .returning(table.c.id)
        )
        return set(transaction.execute(done).scalars())

    def retry(self, transaction: Transaction, claim: UUID, delays: Mapping[UUID, tuple[timedelta, str]]) -> None:
        """Make claimed rows pending again; `delays` has per row the time until it is due, and the failure's reason."""
        now = self._clock()
        self._settle(
            transaction,
            claim,
            [
                {"row": row, "state": State.PENDING, "due_at": now + delay, "reason": reason, "finished_at": None}
                for row, (delay, reason) in delays.items()
            ],
        )

    def bury(self, transaction: Transaction, claim: UUID, reasons: Mapping[UUID, str]) -> None:
        """Make claimed rows dead letters, each with the reason; `replay` makes them pending again."""
        now = self._clock()
        self._settle(
            transaction,
            claim,
            [
                {"row": row, "state": State.DEAD, "due_at": None, "reason": reason, "finished_at": now}
                for row, reason in reasons.items()
            ],
        )

    def _settle(self, transaction: Transaction, claim: UUID, values: list[dict[str, object]]) -> None:
        if not values:
            return
        table = self._table
        statement = (
            sa.update(table)
            .where(table.c.id == sa.bindparam("row"), table.c.claim == sa.bindparam("held", claim))
            .values(
                state=sa.bindparam("state"),
                due_at=sa.bindparam("due_at"),
                reason=sa.bindparam("reason"),
                finished_at=sa.bindparam("finished_at"),
                claim=None,
            )
        )
        transaction.execute(statement, [value | {"held": claim} for value in values])

    def reopen(self, transaction: Transaction, ids: Sequence[UUID]) -> int:
        """Make rows pending again if they are done or dead; return how many were."""
        table = self._table
        statement = (
            sa.update(table)
            .where(any_of(table.c.id, ids, self._database), table.c.due_at.is_(None))
            .values(
                state=State.PENDING,
                # Not 0 if it was tried: a reply whose answer was lost is looked up before it is sent again.
                attempts=sa.case((table.c.attempts > 0, 1), else_=0),
                due_at=self._clock(),
                reason=None,
                finished_at=None,
                claim=None,
            )
        )
        return transaction.execute(statement).rowcount

    def abandon_all(self) -> int:
        """End every lease at once; return their number. Only for a database whose only process is just starting."""
        table = self._table
        with self._database.begin() as transaction:
            statement = sa.update(table).where(table.c.state == State.CLAIMED, table.c.due_at.is_not(None))
            return transaction.execute(statement.values(due_at=self._clock())).rowcount

    def purge(self, before: datetime, limit: int, *conditions: sa.ColumnElement[bool]) -> list[UUID]:
        """Delete up to `limit` rows that were done (not dead) before the moment, oldest first; return the ids."""
        table = self._table
        chosen = (
            sa.select(table.c.id)
            .where(table.c.id < first_id_at(before), table.c.state == State.DONE, table.c.finished_at < before)
            .where(*conditions)
            .order_by(table.c.id)
            .limit(limit)
        )
        with self._database.begin() as transaction:
            ids = list(transaction.execute(chosen).scalars())
            if ids:
                transaction.execute(sa.delete(table).where(any_of(table.c.id, ids, self._database)))
        return ids


def _may_kill(row: InboxRow | OutboxRow) -> bool:
    return row.reason == ABANDONED and row.attempts > _ISOLATE_AFTER


def backoff(attempts: int, *, base: float = 2.0, cap: float = 600.0) -> timedelta:
    """Return the wait after a number of failed attempts: `base` seconds, doubled each time up to `cap`, less a jitter.

    The jitter subtracts up to half, so that rows that failed together are not all tried again at the same time.
    """
    ceiling = min(cap, base * 2 ** min(attempts - 1, 30))
    return timedelta(seconds=ceiling * random.uniform(0.5, 1.0))  # noqa: S311  spreads load, guards nothing
