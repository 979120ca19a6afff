"""Sign the webhooks of the simulated phone, and send them again by the app's rule.

Source: https://docs.sms-gate.app/features/webhooks/, and for the new timestamp and signature of each attempt the
app's source, github.com/capcom6/android-sms-gateway, webhooks/plugins/PayloadSingingPlugin.kt.
"""

from __future__ import annotations

import heapq
import hmac
import itertools
import threading
import time
from collections.abc import Callable

from gateway.ports.wire import WebhookRequest

RETRY_FIRST, RETRIES = 10.0, 14  # seconds, doubled each time: about two days


def sign(key: str, body: bytes, timestamp: str) -> str:
    """Return the X-Signature of a body; `timestamp` is the X-Timestamp."""
    return hmac.new(key.encode(), body + timestamp.encode(), "sha256").hexdigest()


def signed_request(url: str, key: str, body: bytes, at: float | None = None) -> WebhookRequest:
    """Build a signed webhook; `at` is the time of the attempt, in seconds since 1970."""
    timestamp = str(int(time.time() if at is None else at))
    headers = {
        "content-type": "application/json",
        "user-agent": "me.capcom.smsgateway/1.70.0",
        "x-signature": sign(key, body, timestamp),
        "x-timestamp": timestamp,
    }
    return WebhookRequest("POST", url, headers, body)


def retry_delay(first: float, attempts: int) -> float:
    """Return the seconds until the next attempt; `first` is the first delay, `attempts` the number of earlier delays."""
    return first * 2.0**attempts


class WebhookQueue:
    """Send each event at once, then again after a time that doubles until it is accepted; sign each attempt anew."""

    def __init__(self, send: Callable[[bytes], tuple[int | None, str | None]], first: float, retries: int) -> None:
        """Prepare the queue; `send` makes one attempt, `first` is the first wait in seconds."""
        self._send = send
        self._first = first
        self._retries = retries
        self._waiting: list[tuple[float, int, int, bytes]] = []  # when due, order, attempts so far, body
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._running = False
        self._offline = False

    def start(self) -> None:
        """Start the thread of the retries."""
        self._running = True
        self._thread = threading.Thread(target=self._run, name="android-webhooks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; waiting events are kept."""
        with self._changed:
            self._running = False
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def set_offline(self, offline: bool) -> None:
        """Cut or restore the way to the gateway; when it is restored, all waiting events are due."""
        with self._changed:
            self._offline = offline
            if not offline:
                self._waiting = [(0.0, order, attempts, body) for _, order, attempts, body in self._waiting]
                heapq.heapify(self._waiting)
            self._changed.notify_all()

    def put(self, body: bytes) -> tuple[int | None, str | None]:
        """Send an event now and, if it is not accepted, again later; return status and error of the first attempt."""
        return self._attempt(body, 0)

    def waiting(self) -> int:
        """Return the number of events that wait for a retry."""
        with self._changed:
            return len(self._waiting)

    def _attempt(self, body: bytes, attempts: int) -> tuple[int | None, str | None]:
        status: int | None = None
        error: str | None = "the phone is offline"
        if not self._offline:
            status, error = self._send(body)
        if (status is None or not 200 <= status < 300) and attempts < self._retries:
            with self._changed:
                due = time.monotonic() + retry_delay(self._first, attempts)
                heapq.heappush(self._waiting, (due, next(self._order), attempts + 1, body))
                self._changed.notify_all()
        return status, error

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._running and (self._offline or not self._waiting or self._waiting[0][0] > time.monotonic()):
                    due = self._waiting[0][0] - time.monotonic() if self._waiting and not self._offline else None
                    self._changed.wait(due)
                if not self._running:
                    return
                _, _, attempts, body = heapq.heappop(self._waiting)
            self._attempt(body, attempts)
