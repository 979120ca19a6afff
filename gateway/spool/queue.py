"""Claiming and settling the rows of a queue table: `pending → claimed → done | dead`.

Claims are batches taken with `FOR UPDATE SKIP LOCKED`, so any number of workers on any number of machines share one
queue. A claim has an id; results are recorded only for rows that still carry it, so a worker that was given up for
dead cannot finish what another has taken over.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.sql.dml import ReturningUpdate

from gateway.domain.channel import ChannelId
from gateway.domain.ids import first_id_at, new_id
from gateway.ports import Clock
from gateway.spool.rows import InboxRow, OutboxRow
from gateway.spool.tables import State
from gateway.storage import Transaction
from gateway.storage.database import Database, any_of

ABANDONED = "abandoned: the worker that held it stopped before it was done"
_ISOLATE_AFTER = 3  # attempts abandoned before a row is suspected of killing its worker and is worked on alone
_LANE_PAUSE = timedelta(seconds=1)  # how long a row waits before looking again whether its lane is free


RowT = TypeVar("RowT", InboxRow, OutboxRow)


@dataclass(frozen=True, slots=True)
class Claim(Generic[RowT]):
    """A batch that this worker holds until the lease ends, in the order in which the messages came."""

    id: UUID
    rows: Sequence[RowT]


@dataclass(frozen=True, slots=True)
class Backlog:
    """What one channel still has to do."""

    region: str
    channel: str
    waiting: int
    oldest: datetime | None
    reason: str | None  # of a row that failed at least once


class Queue(Generic[RowT]):
    """One queue table, and the type of its rows."""

    def __init__(self, database: Database, table: sa.Table, row_type: type[RowT], clock: Clock) -> None:
        self._database = database
        self._table = table
        self._row_type: type[RowT] = row_type
        self._clock = clock
        self._arrived = table.c.received_at if "received_at" in table.c else table.c.created_at

    def claim(
        self,
        limit: int,
        lease: timedelta,
        *,
        kinds: Sequence[str] = (),
        leaving: Collection[ChannelId] = (),
    ) -> Claim[RowT]:
        """Take up to `limit` rows that are due, leaving those of some channels (region, name).

        An empty claim means that there is nothing to do now.
        """
        claim, rows = new_id(), list[RowT]()
        with self._database.begin() as connection:
            for kind in kinds or (None,):  # one after the other: the index gives the rows of one kind in their order
                if len(rows) < limit:
                    taken = connection.execute(self._take(claim, kind, limit - len(rows), lease, leaving))
                    rows += map(self._row_type._make, taken)
            rows.sort(key=lambda row: row.id.int)
            if blocked := self._blocked(connection, claim, rows):
                self.give_back(connection, claim, blocked)
                rows = [row for row in rows if row.id not in blocked]
            if suspect := next((row for row in rows if _may_kill(row)), None):
                # The others wait for nothing: most of a batch that died with its worker is not to blame.
                self.give_back(connection, claim, {row.id for row in rows} - {suspect.id}, pause=timedelta())
                rows = [suspect]
        return Claim(claim, rows)

    def _take(
        self, claim: UUID, kind: str | None, limit: int, lease: timedelta, leaving: Collection[ChannelId]
    ) -> ReturningUpdate[Any]:
        table, now = self._table, self._clock()
        candidates = sa.select(table.c.id).where(table.c.due_at <= now)
        if kind is not None:
            candidates = candidates.where(table.c.kind == kind)
        for region, channel in leaving:  # a handful at most
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

    def _blocked(self, connection: Transaction, claim: UUID, rows: Sequence[RowT]) -> set[UUID]:
        """Return the rows whose lane has an earlier unfinished row that is not in this claim."""
        if not rows:
            return set()
        mine, earlier = self._table, self._table.alias("earlier")
        # A subquery for each row, not a join: it costs one look into the lane's index, whatever the planner believes.
        before = (
            sa.select(earlier.c.id)
            .where(earlier.c.lane == mine.c.lane, earlier.c.id < mine.c.id, earlier.c.finished_at.is_(None))
            .where(sa.or_(earlier.c.claim.is_(None), earlier.c.claim != claim))
            .order_by(earlier.c.lane, earlier.c.id)
            .limit(1)
            .correlate(mine)
            .scalar_subquery()
        )
        ids = [row.id for row in rows]
        found = connection.execute(sa.select(mine.c.id, before).where(any_of(mine.c.id, ids, self._database)))
        return {row_id for row_id, blocker in found if blocker is not None}

    def give_back(
        self, connection: Transaction, claim: UUID, ids: Collection[UUID], *, pause: timedelta = _LANE_PAUSE
    ) -> None:
        """Put claimed rows back, as if they had not been taken; with the usual pause they wait for their lane."""
        if not ids:
            return
        table = self._table
        connection.execute(
            sa.update(table)
            .where(any_of(table.c.id, list(ids), self._database), table.c.claim == claim)
            .values(state=State.PENDING, attempts=table.c.attempts - 1, claim=None, due_at=self._clock() + pause)
        )

    def hold(self, claim: UUID, row_id: UUID, lease: timedelta) -> bool:
        """Extend the lease of one claimed row; `False` where it is not ours any more and must be left alone."""
        table = self._table
        extend = sa.update(table).where(table.c.id == row_id, table.c.claim == claim)
        with self._database.begin() as connection:
            return connection.execute(extend.values(due_at=self._clock() + lease)).rowcount == 1

    def finish(self, connection: Transaction, claim: UUID, ids: Sequence[UUID]) -> set[UUID]:
        """Mark rows done; return those that were still ours. Only their results may be written."""
        if not ids:
            return set()
        table = self._table
        done = (
            sa.update(table)
            .where(any_of(table.c.id, ids, self._database), table.c.claim == claim)
            .values(state=State.DONE, claim=None, due_at=None, reason=None, finished_at=self._clock())
            .returning(table.c.id)
        )
        finished = connection.execute(done)
        return set(finished.scalars().all())

    def retry(self, connection: Transaction, claim: UUID, delays: Mapping[UUID, tuple[timedelta, str]]) -> None:
        """Give rows back to be tried again after their delay, each with the reason."""
        now = self._clock()
        self._settle(
            connection,
            claim,
            [
                {"row": row, "state": State.PENDING, "due_at": now + delay, "reason": reason, "finished_at": None}
                for row, (delay, reason) in delays.items()
            ],
        )

    def bury(self, connection: Transaction, claim: UUID, reasons: Mapping[UUID, str]) -> None:
        """Make rows dead letters, each with the reason; `replay` brings them back."""
        now = self._clock()
        self._settle(
            connection,
            claim,
            [
                {"row": row, "state": State.DEAD, "due_at": None, "reason": reason, "finished_at": now}
                for row, reason in reasons.items()
            ],
        )

    def _settle(self, connection: Transaction, claim: UUID, values: list[dict[str, Any]]) -> None:
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
        connection.execute(statement, [value | {"held": claim} for value in values])

    def reopen(self, connection: Transaction, ids: Sequence[UUID]) -> int:
        """Make finished rows pending again, as new; return how many there were."""
        table = self._table
        statement = (
            sa.update(table)
            .where(any_of(table.c.id, ids, self._database), table.c.due_at.is_(None))
            .values(
                state=State.PENDING,
                # Not 0 where something was tried: a reply whose answer was lost is looked up before it is sent again.
                attempts=sa.case((table.c.attempts > 0, 1), else_=0),
                due_at=self._clock(),
                reason=None,
                finished_at=None,
                claim=None,
            )
        )
        return connection.execute(statement).rowcount

    def abandon_all(self) -> int:
        """Free every claim at once: for an embedded database, whose only process is just starting."""
        table = self._table
        with self._database.begin() as connection:
            statement = sa.update(table).where(table.c.state == State.CLAIMED, table.c.due_at.is_not(None))
            return connection.execute(statement.values(due_at=self._clock())).rowcount

    def purge(self, before: datetime, limit: int, *conditions: sa.ColumnElement[bool]) -> list[UUID]:
        """Delete up to `limit` rows that were done before the moment, oldest first; dead letters stay.

        A message delivered again after that finds its case, and opens no second one.
        """
        table = self._table
        chosen = (
            sa.select(table.c.id)
            .where(table.c.id < first_id_at(before), table.c.state == State.DONE, table.c.finished_at < before)
            .where(*conditions)
            .order_by(table.c.id)
            .limit(limit)
        )
        with self._database.begin() as connection:
            ids = list(connection.execute(chosen).scalars())
            if ids:
                connection.execute(sa.delete(table).where(any_of(table.c.id, ids, self._database)))
        return ids

    def dead(self, limit: int) -> list[RowT]:
        """Return the newest dead letters."""
        table = self._table
        with self._database.read() as connection:
            statement = sa.select(table).where(table.c.state == State.DEAD).order_by(table.c.id.desc()).limit(limit)
            return list(map(self._row_type._make, connection.execute(statement)))

    def get(self, row_id: UUID) -> RowT | None:
        """Return one row, whatever its state."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(self._table).where(self._table.c.id == row_id)).one_or_none()
        return None if row is None else self._row_type._make(row)

    def backlog(self) -> list[Backlog]:
        """Return what is unfinished, by channel. Costs a look at the unfinished rows only."""
        table = self._table
        failed = sa.case((table.c.attempts > 0, table.c.reason))
        statement = (
            sa.select(table.c.region, table.c.channel, sa.func.count(), sa.func.min(self._arrived), sa.func.max(failed))
            .where(table.c.due_at.is_not(None))
            .group_by(table.c.region, table.c.channel)
        )
        with self._database.read() as connection:
            return [Backlog(*row) for row in connection.execute(statement)]

    def dead_counts(self) -> dict[ChannelId, int]:
        """Return the number of dead letters by region and channel."""
        table = self._table
        statement = (
            sa.select(table.c.region, table.c.channel, sa.func.count())
            .where(table.c.state == State.DEAD)
            .group_by(table.c.region, table.c.channel)
        )
        with self._database.read() as connection:
            return {ChannelId(region, channel): count for region, channel, count in connection.execute(statement)}


def _may_kill(row: InboxRow | OutboxRow) -> bool:
    return bool(row.reason == ABANDONED and row.attempts > _ISOLATE_AFTER)


def backoff(attempts: int, *, base: float = 2.0, cap: float = 600.0) -> timedelta:
    """Return how long to wait after so many attempts: doubling, capped, jittered down to half."""
    ceiling = min(cap, base * 2 ** min(attempts - 1, 30))
    return timedelta(seconds=ceiling * random.uniform(0.5, 1.0))  # noqa: S311  spreads load, guards nothing
