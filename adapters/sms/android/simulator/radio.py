"""What the simulated phone sends to citizens: each message once, with the events that tell how far it has come.

Sources, under https://docs.sms-gate.app/features: sending-messages/, status-tracking/.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from adapters.sms.android.simulator.events import Outgoing, stamp
from gateway.simulation.segments import segments


class Radio:
    """The phone's way into the mobile network."""

    def __init__(self, sender: str, tell: Callable[[str, dict[str, Any]], Any], pause: Callable[[], bool]) -> None:
        """Make it; `tell` is called with name and payload of each event, after a `pause`, which is true at the end."""
        self._sender, self._tell, self._pause = sender, tell, pause
        self._lock = threading.Lock()
        self._outgoing: dict[str, Outgoing] = {}
        self.no_service = False

    def messages(self) -> list[Outgoing]:
        """Return every message that was handed over, oldest first."""
        with self._lock:
            return list(self._outgoing.values())

    def accept(self, message: dict[str, Any]) -> Outgoing | None:
        """Take a message, to be transmitted; `None` where its id is known."""
        (to,), text = message["phoneNumbers"], message["textMessage"]["text"]
        if not text:
            raise ValueError("Text message is empty")
        report = message.get("withDeliveryReport", True)
        taken = Outgoing(message.get("id") or uuid4().hex[:21], self._sender, to, text, report)
        with self._lock:
            if taken.id in self._outgoing:
                return None
            self._outgoing[taken.id] = taken
        return taken

    def transmit(self, message: Outgoing) -> None:
        """Send a message part by part; each part is reported, and so told, by itself."""
        steps = ["Failed"] if self.no_service else ["Sent", *["Delivered"] * segments(message.body)]
        for state in steps if message.report else steps[:1]:
            if self._pause():
                return
            now = stamp(datetime.now(UTC))
            message.state = state
            message.states.setdefault(state, now)
            payload: dict[str, Any] = {"messageId": message.id, "sender": self._sender, "recipient": message.to}
            payload |= {"phoneNumber": message.to, "simNumber": 1, f"{state.lower()}At": now}
            if state == "Failed":
                message.error = payload["reason"] = "Send result: RESULT_ERROR_NO_SERVICE"
            self._tell(f"sms:{state.lower()}", payload)
