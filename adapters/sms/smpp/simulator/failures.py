"""Fail on demand: refuse the next submit_sm, leave it without an answer, or cut the connection."""

from __future__ import annotations

import threading
from collections import deque

_STATUS = {"throttle": 0x58, "queue_full": 0x14, "server_error": 0x08, "unauthorized": 0x0A}
_WITHOUT_ANSWER = ("timeout", "drop_after_accept", "drop")
_REJECT = "reject:"  # and an error status as a decimal number


class Failures:
    """The failures of the next requests, in their order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[str] = deque()

    def add(self, how: str, count: int) -> None:
        """Let the next `count` requests fail; raises `ValueError` for an unknown failure."""
        known = how in (*_STATUS, *_WITHOUT_ANSWER)
        if not known and not (how.startswith(_REJECT) and how.removeprefix(_REJECT).isdigit()):
            raise ValueError(
                f"unknown failure {how!r}; known: {', '.join((*_STATUS, *_WITHOUT_ANSWER))}, reject:STATUS"
            )
        with self._lock:
            self._waiting.extend([how] * count)

    def take(self) -> str:
        """Return the failure of this request; empty if it does not fail."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else ""


def refused_status(how: str) -> int:
    """Return the command_status of a refusal; 0 if the failure is not a refusal."""
    if how.startswith(_REJECT):
        return int(how.removeprefix(_REJECT))
    return _STATUS.get(how, 0)
