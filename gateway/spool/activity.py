"""When each channel last did what, gathered in memory and written every few seconds."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from gateway.spool.tables import activity
from gateway.storage.database import Database


class ActivityLog:
    """Notes moments; `flush` stores the newest of each."""

    def __init__(self, activity: Activity) -> None:
        self._activity, self._lock = activity, threading.Lock()
        self._seen: dict[tuple[str, str, str], tuple[datetime, str | None]] = {}

    def note(self, region: str, channel: str, what: str, at: datetime, detail: str | None = None) -> None:
        """Remember that something happened on a channel."""
        self._seen[region, channel, what] = (at, detail)

    def flush(self) -> None:
        """Write what was noted since the last call; raises `Unavailable`, and then nothing is forgotten."""
        with self._lock:
            seen, self._seen = self._seen, {}
            try:
                self._activity.record(seen)
            except Exception:
                self._seen = seen | self._seen
                raise


_KEY = ("region", "channel", "what")
ALIVE = ("", "", "alive")  # the row that every running process renews: no channel's


class Activity:
    """The activity table: when each channel last did what. Written every few seconds, not for every message."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, seen: Mapping[tuple[str, str, str], tuple[datetime, str | None]]) -> None:
        """Store `{(region, channel, what): (when, detail)}`; a later moment never gives way to an earlier one."""
        if not seen:
            return
        rows = [
            {"region": region, "channel": channel, "what": what, "at": at, "detail": detail}
            for (region, channel, what), (at, detail) in sorted(seen.items())
        ]
        with self._database.begin() as connection:
            self._database.upsert(connection, activity, rows, newer="at")

    def alive(self) -> datetime | None:
        """Return when a process last said that it runs; `None` where none ever did."""
        row = sa.and_(*(activity.c[name] == value for name, value in zip(_KEY, ALIVE, strict=True)))
        with self._database.read() as connection:
            return connection.execute(sa.select(activity.c.at).where(row)).scalar()

    def all(self) -> dict[tuple[str, str, str], tuple[datetime, str | None]]:
        """Return what `record` stored."""
        with self._database.read() as connection:
            return {(r.region, r.channel, r.what): (r.at, r.detail) for r in connection.execute(sa.select(activity))}
