"""When each channel last did what, gathered in memory and written every few seconds."""

from __future__ import annotations

import threading
from datetime import datetime

from gateway.spool.leases import Activity


class Recent:
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
