"""Lease channels: one process at a time polls a channel or holds its connection. Also their cursors and failures."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from gateway.ports import Clock
from gateway.spool.rows import LeaseRow
from gateway.spool.tables import cursors
from gateway.storage import Transaction
from gateway.storage.database import Database


class ChannelLeases:
    """The cursor table: one row per channel that is polled or holds a connection, leased to one process at a time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def lease(self, region: str, channel: str, holder: UUID, length: timedelta) -> bool:
        """Take or extend the lease of a channel; return `False` if another process holds it."""
        now = self._clock()
        with self._database.begin() as transaction:
            self._ensure(transaction, region, channel)
            free = sa.or_(
                cursors.c.lease_until.is_(None), cursors.c.lease_until < now, cursors.c.lease_holder == holder
            )
            result = transaction.execute(
                sa.update(cursors)
                .where(_of(region, channel), free)
                .values(lease_holder=holder, lease_until=now + length)
            )
            return result.rowcount == 1

    def position(self, region: str, channel: str) -> str | None:
        """Return the cursor at the end of the last stored page, or `None` before the first."""
        with self._database.read() as transaction:
            position: str | None = transaction.execute(
                sa.select(cursors.c.position).where(_of(region, channel))
            ).scalar()
            return position

    def advance(self, transaction: Transaction, region: str, channel: str, holder: UUID, position: str) -> bool:
        """Move the cursor in the transaction that stores its page; return `False` if the lease was lost."""
        result = transaction.execute(
            sa.update(cursors)
            .where(_of(region, channel), cursors.c.lease_holder == holder)
            .values(position=position, succeeded_at=self._clock(), failing_since=None, reason=None)
        )
        return bool(result.rowcount == 1)

    def fail(self, region: str, channel: str, reason: str) -> None:
        """Record that a poll or a held connection failed; `failing_since` is the first failure since a success."""
        now = self._clock()
        with self._database.begin() as transaction:
            self._ensure(transaction, region, channel)
            transaction.execute(
                sa.update(cursors)
                .where(_of(region, channel))
                .values(failed_at=now, failing_since=sa.func.coalesce(cursors.c.failing_since, now), reason=reason)
            )

    def succeed(self, region: str, channel: str) -> None:
        """Record that a held connection works."""
        with self._database.begin() as transaction:
            self._ensure(transaction, region, channel)
            transaction.execute(
                sa.update(cursors)
                .where(_of(region, channel))
                .values(succeeded_at=self._clock(), failing_since=None, reason=None)
            )

    def release(self, region: str, channel: str, holder: UUID) -> None:
        """End the lease, if this process still holds it."""
        with self._database.begin() as transaction:
            transaction.execute(
                sa.update(cursors)
                .where(_of(region, channel), cursors.c.lease_holder == holder)
                .values(lease_until=None)
            )

    def abandon_all(self) -> None:
        """End every lease at once. Only for a database whose only process is just starting."""
        with self._database.begin() as transaction:
            transaction.execute(sa.update(cursors).values(lease_until=None))

    def all(self) -> list[LeaseRow]:
        """Return the rows of all channels that were ever polled or connected."""
        with self._database.read() as transaction:
            return list(map(LeaseRow._make, transaction.execute(sa.select(cursors))))

    def _ensure(self, transaction: Transaction, region: str, channel: str) -> None:
        self._database.upsert(transaction, cursors, [{"region": region, "channel": channel}])


def stands(row: LeaseRow | None, now: datetime) -> bool:
    """Return whether a held connection works: a process has its lease, and it has not failed since its last success."""
    return (
        row is not None
        and row.lease_until is not None
        and row.lease_until >= now
        and row.failing_since is None
        and row.succeeded_at is not None
    )


def _of(region: str, channel: str) -> sa.ColumnElement[bool]:
    return sa.and_(cursors.c.region == region, cursors.c.channel == channel)
