"""What the simulated phone sends to citizens: each message once, with the events that tell how far it has come.

Sources, under https://docs.sms-gate.app/features: sending-messages/, status-tracking/.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from gateway.testing.simulators.android.events import Outgoing, stamp
from gateway.testing.simulators.twilio.messages import segments


class Radio:
    """The phone's way into the mobile network."""

    def __init__(self, sender: str, tell: Callable[[str, dict[str, Any]], Any], delay: float) -> None:
        """Make it; `tell` is called with name and payload of each event, `delay` seconds after the one before."""
        self._sender, self._tell, self._delay = sender, tell, delay
        self._lock = threading.Lock()
        self._outgoing: dict[str, Outgoing] = {}
        self._stopping = threading.Event()
        self._threads: ThreadPoolExecutor | None = None
        self.listeners: list[Callable[[Outgoing], None]] = []
        self.no_service = False

    def start(self) -> None:
        """Begin."""
        self._stopping.clear()
        self._threads = ThreadPoolExecutor(2, "android-radio")

    def stop(self) -> None:
        """End; what was not sent stays."""
        self._stopping.set()
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        self._threads = None

    def messages(self) -> list[Outgoing]:
        """Return every message that was handed over, oldest first."""
        with self._lock:
            return list(self._outgoing.values())

    def accept(self, message: dict[str, Any], *, now: bool) -> Outgoing | None:
        """Take a message, and send it `now` or once asked to; `None` where its id is known."""
        (to,), text = message["phoneNumbers"], message["textMessage"]["text"]
        if not text:
            raise ValueError("Text message is empty")
        report = message.get("withDeliveryReport", True)
        taken = Outgoing(message.get("id") or uuid4().hex[:21], self._sender, to, text, report)
        with self._lock:
            if taken.id in self._outgoing:
                return None
            self._outgoing[taken.id] = taken
        for listener in self.listeners:
            listener(taken)
        if now:
            self._transmit(taken)
        return taken

    def transmit_pending(self) -> None:
        """Send what waited for the phone to come back."""
        for message in self.messages():
            if message.state == "Pending":
                self._transmit(message)

    def _transmit(self, message: Outgoing) -> None:
        with suppress(RuntimeError):  # stopped meanwhile: then nobody gets it
            if self._threads is not None:
                self._threads.submit(self._deliver, message)

    def _deliver(self, message: Outgoing) -> None:
        """Send a message part by part; each part is reported, and so told, by itself."""
        steps = ["Failed"] if self.no_service else ["Sent", *["Delivered"] * int(segments(message.body))]
        for state in steps if message.report else steps[:1]:
            if self._stopping.wait(self._delay):
                return
            now = stamp(datetime.now(UTC))
            message.state = state
            message.states.setdefault(state, now)
            payload: dict[str, Any] = {"messageId": message.id, "sender": self._sender, "recipient": message.to}
            payload |= {"phoneNumber": message.to, "simNumber": 1, f"{state.lower()}At": now}
            if state == "Failed":
                message.error = payload["reason"] = "Send result: RESULT_ERROR_NO_SERVICE"
            self._tell(f"sms:{state.lower()}", payload)
