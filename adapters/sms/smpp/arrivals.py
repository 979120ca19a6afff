"""Queue the PDUs between the sessions that receive them and the thread that stores them."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

from adapters.sms.smpp.pdu import NOT_NOW, OK, QUEUE_FULL

MOST_AT_ONCE = 500  # PDUs stored in one transaction
MOST_WAITING = 5000  # PDUs; beyond that an operator with a larger window has to wait
MOST_BYTES = 16 * 1024 * 1024  # of all PDUs that wait, because one PDU may have 64 KB

Source = TypeVar("Source")


class Arrivals(Generic[Source]):
    """Keep the PDUs that the sessions of one account received and that have no answer yet."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Source, bytes]] = deque()
        self._bytes = 0  # of all PDUs that wait
        self._changed = threading.Condition()
        self._closed = False

    def put(self, session: Source, pdu: bytes) -> int:
        """Keep a PDU for `take` and return `OK`; else return `QUEUE_FULL`, or `NOT_NOW` after `close`."""
        with self._changed:
            if self._closed:
                return NOT_NOW
            if len(self._waiting) >= MOST_WAITING or self._bytes + len(pdu) > MOST_BYTES:
                return QUEUE_FULL
            self._bytes += len(pdu)
            self._waiting.append((session, pdu))
            self._changed.notify()
            return OK

    def take(self, wait: float) -> list[tuple[Source, bytes]]:
        """Return the PDUs in the order they came; an empty list if `wait` seconds pass without any, or after `wake`."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(wait)
            taken = [self._waiting.popleft() for _ in range(min(MOST_AT_ONCE, len(self._waiting)))]
            self._bytes -= sum(len(pdu) for _, pdu in taken)
            return taken

    def wake(self) -> None:
        """End a `take` that waits."""
        with self._changed:
            self._changed.notify()

    def close(self) -> list[tuple[Source, bytes]]:
        """Accept no more PDUs; return those that still wait."""
        with self._changed:
            self._closed = True
            return list(self._waiting)
