"""Send the simulated phone's messages to citizens: each message once, with the events about its delivery.

Sources, under https://docs.sms-gate.app/features: sending-messages/, status-tracking/.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from uuid import uuid4

from adapters.sms.android.simulator.events import Outgoing, SendRequest, stamp
from gateway.simulation.segments import segments


class Radio:
    """The phone's connection to the mobile network."""

    def __init__(
        self, sender: str, tell: Callable[[str, Mapping[str, object]], None], pause: Callable[[], bool]
    ) -> None:
        """Call `tell` with name and payload of each event, after a `pause`, which returns true if the phone stops."""
        self._sender = sender
        self._tell = tell
        self._pause = pause
        self._lock = threading.Lock()
        self._outgoing: dict[str, Outgoing] = {}
        self.no_service = False

    def messages(self) -> list[Outgoing]:
        """Return every message of the gateway, the oldest first."""
        with self._lock:
            return list(self._outgoing.values())

    def accept(self, message: SendRequest) -> Outgoing | None:
        """Keep a message for `transmit`; return `None` if its id is known. Raises `ValueError` without a text."""
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
        """Send a message: one event when it is sent, and one for each delivered part."""
        steps = ["Failed"] if self.no_service else ["Sent", *["Delivered"] * segments(message.body)]
        for state in steps if message.report else steps[:1]:
            if self._pause():
                return
            now = stamp(datetime.now(UTC))
            message.state = state
            message.states.setdefault(state, now)
            payload: dict[str, object] = {"messageId": message.id, "sender": self._sender, "recipient": message.to}
            payload |= {"phoneNumber": message.to, "simNumber": 1, f"{state.lower()}At": now}
            if state == "Failed":
                message.error = payload["reason"] = "Send result: RESULT_ERROR_NO_SERVICE"
            self._tell(f"sms:{state.lower()}", payload)
