"""How far each poller has read, who polls now, and what each channel last did."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from gateway.ports import Clock
from gateway.spool.rows import LeaseRow
from gateway.spool.tables import cursors
from gateway.storage.database import Database


class ChannelLeases:
    """The cursor table: one row a polled channel, held by one poller at a time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def lease(self, region: str, channel: str, holder: UUID, length: timedelta) -> bool:
        """Take or extend the right to poll a channel; `False` where another holds it."""
        now = self._clock()
        with self._database.begin() as connection:
            self._ensure(connection, region, channel)
            free = sa.or_(
                cursors.c.lease_until.is_(None), cursors.c.lease_until < now, cursors.c.lease_holder == holder
            )
            taken = connection.execute(
                sa.update(cursors)
                .where(_of(region, channel), free)
                .values(lease_holder=holder, lease_until=now + length)
            )
            return taken.rowcount == 1

    def position(self, region: str, channel: str) -> str | None:
        """Return where the last stored page ended."""
        with self._database.read() as connection:
            return connection.execute(sa.select(cursors.c.position).where(_of(region, channel))).scalar()

    def advance(self, connection: sa.Connection, region: str, channel: str, holder: UUID, position: str) -> bool:
        """Move the cursor in the transaction that stores its page; `False` where the lease was lost."""
        moved = connection.execute(
            sa.update(cursors)
            .where(_of(region, channel), cursors.c.lease_holder == holder)
            .values(position=position, succeeded_at=self._clock(), failing_since=None, reason=None)
        )
        return moved.rowcount == 1

    def fail(self, region: str, channel: str, reason: str) -> None:
        """Write down that a poll or a held connection failed, and since when they do."""
        now = self._clock()
        with self._database.begin() as connection:
            self._ensure(connection, region, channel)
            connection.execute(
                sa.update(cursors)
                .where(_of(region, channel))
                .values(failed_at=now, failing_since=sa.func.coalesce(cursors.c.failing_since, now), reason=reason)
            )

    def succeed(self, region: str, channel: str) -> None:
        """Write down that a held connection stands."""
        with self._database.begin() as connection:
            self._ensure(connection, region, channel)
            connection.execute(
                sa.update(cursors)
                .where(_of(region, channel))
                .values(succeeded_at=self._clock(), failing_since=None, reason=None)
            )

    def release(self, region: str, channel: str, holder: UUID) -> None:
        """Give the right to poll back."""
        with self._database.begin() as connection:
            connection.execute(
                sa.update(cursors)
                .where(_of(region, channel), cursors.c.lease_holder == holder)
                .values(lease_until=None)
            )

    def abandon_all(self) -> None:
        """Free every right to poll at once: for an embedded database, whose only process is just starting."""
        with self._database.begin() as connection:
            connection.execute(sa.update(cursors).values(lease_until=None))

    def all(self) -> list[LeaseRow]:
        """Return the row of each channel that was ever polled or held."""
        with self._database.read() as connection:
            return list(map(LeaseRow._make, connection.execute(sa.select(cursors))))

    def _ensure(self, connection: sa.Connection, region: str, channel: str) -> None:
        self._database.upsert(connection, cursors, [{"region": region, "channel": channel}])


def stands(row: LeaseRow | None, now: datetime) -> bool:
    """Tell from its row whether a held connection stands: somebody holds it, and it has not failed since."""
    return (
        row is not None
        and row.lease_until is not None
        and row.lease_until >= now
        and row.failing_since is None
        and row.succeeded_at is not None
    )


def _of(region: str, channel: str) -> sa.ColumnElement[bool]:
    return sa.and_(cursors.c.region == region, cursors.c.channel == channel)
