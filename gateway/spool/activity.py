"""Record when each kind of event (accepted, replied, …) last happened on a channel. Stored every few seconds."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from gateway.spool.tables import activity
from gateway.storage.database import Database


class ActivityLog:
    """The last events of this process, in memory; `flush` stores them."""

    def __init__(self, activity: Activity) -> None:
        self._activity = activity
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str, str], tuple[datetime, str | None]] = {}

    def note(self, region: str, channel: str, what: str, at: datetime, detail: str | None = None) -> None:
        """Note an event of a channel; `what` is its kind, `at` its time, `detail` a text for the status page."""
        self._seen[region, channel, what] = (at, detail)

    def flush(self) -> None:
        """Store the events noted since the last call. Raises `Unavailable`; the next call then stores them too."""
        with self._lock:
            seen, self._seen = self._seen, {}
            try:
                self._activity.record(seen)
            except Exception:
                self._seen = seen | self._seen
                raise


_KEY = ("region", "channel", "what")
ALIVE = ("", "", "alive")  # key of the row that every running process renews; it belongs to no channel


class Activity:
    """The activity table. Written every few seconds: a write per message would cost as much as storing the message."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, seen: Mapping[tuple[str, str, str], tuple[datetime, str | None]]) -> None:
        """Store `{(region, channel, what): (moment, detail)}`; an earlier moment never replaces a later one."""
        if not seen:
            return
        rows = [
            {"region": region, "channel": channel, "what": what, "at": at, "detail": detail}
            for (region, channel, what), (at, detail) in sorted(seen.items())
        ]
        with self._database.begin() as transaction:
            self._database.upsert(transaction, activity, rows, newer="at")

    def alive(self) -> datetime | None:
        """Return when a process last recorded that it runs; `None` if none ever ran."""
        row = sa.and_(*(activity.c[name] == value for name, value in zip(_KEY, ALIVE, strict=True)))
        with self._database.read() as transaction:
            return transaction.execute(sa.select(activity.c.at).where(row)).scalar()

    def all(self) -> dict[tuple[str, str, str], tuple[datetime, str | None]]:
        """Return all stored moments in the form of `record`'s argument."""
        with self._database.read() as transaction:
            return {(r.region, r.channel, r.what): (r.at, r.detail) for r in transaction.execute(sa.select(activity))}
