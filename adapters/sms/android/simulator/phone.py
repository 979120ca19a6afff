"""A telephone with the app SMSGate, or the app's server with one phone, that runs on this machine.

It signs as the app signs, tries webhooks again as the app does, answers as its API does, and fails on demand. It is a
second reading of the documents: it shares nothing with the adapter.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Self
from uuid import uuid4

from adapters.sms.android.simulator import events
from adapters.sms.android.simulator.api import FAILURES, NOT_FOUND, Api
from adapters.sms.android.simulator.events import Incoming, Outgoing
from adapters.sms.android.simulator.radio import Radio
from adapters.sms.android.simulator.webhooks import RETRIES, RETRY_FIRST, WebhookQueue, signed_request
from gateway.ports import ChannelContext
from gateway.ports.wire import WebhookRequest
from gateway.simulation.caller import Sent
from gateway.simulation.provider import SimulatedProvider, login
from gateway.simulation.server import Answer


class FakePhone(SimulatedProvider):
    """One phone with one SIM card, on `http://127.0.0.1:port`; `local` is its own server, else the one in the cloud."""

    name, failures, kinds, setting = "android", FAILURES, ("send", "read"), "api_base"

    def __init__(
        self,
        *,
        user: str,
        password: str,
        signing_key: str,
        sender: str,
        webhook_url: str = "",
        deliver_to: str | None = None,
        port: int = 0,
        path: str = "",
        local: bool = True,
        device_id: str = "ffffffffceb0b1db0000018e937c815b",
        delivery_delay: float = 0.05,
        retry_first: float = RETRY_FIRST,
        retries: int = RETRIES,
    ) -> None:
        """Make it; nothing listens before `start`.

        `delivery_delay` in seconds lies before each event of a reply; `retry_first` is the first wait before a webhook
        is tried again.
        """
        super().__init__(port, path=path, webhook_url=webhook_url, deliver_to=deliver_to)
        self.sender, self.device_id, self.local = sender, device_id, local
        self.signing_key, self.battery, self.last_seen = signing_key, 90, datetime.now(UTC)
        self.old = False  # an app of before 2026, without a list of what it received
        self._login, self._api = login(user, password), Api(self)
        self._queue = WebhookQueue(lambda body: self._call_gateway(self.signed(body)), retry_first, retries)
        self._radio = Radio(sender, self._report, lambda: self._stopping.wait(delivery_delay))
        self._incoming: list[Incoming] = []
        self._unseen: set[str] = set()  # ids of messages that the app has missed
        self._offline = False

    @classmethod
    def from_settings(cls, settings: Any, context: ChannelContext, **options: Any) -> Self:
        """Make the counterpart of a configured channel; it listens where the channel's `api_base` points."""
        port, path = cls._place(settings.api_base, context)
        return cls(
            user=settings.user,
            password=settings.password.reveal(),
            signing_key=settings.signing_key.reveal(),
            sender=settings.sender,
            webhook_url=context.webhook_url,
            port=port,
            path=path.rstrip("/"),
            local=settings.local,
            **({"device_id": settings.device_id} if settings.device_id else {}),
            **options,
        )

    # --- life ---

    def start(self) -> Self:
        """Listen, and try again what is due; raises `OSError` where the port is taken."""
        super().start()
        self._queue.start()
        return self

    def stop(self) -> None:
        """Stop listening and cut open connections; messages and webhooks that wait stay."""
        self._queue.stop()
        super().stop()

    def go_offline(self) -> None:
        """Take the phone off its network: nothing reaches it, its webhooks wait, its server goes on without it."""
        self._offline, self.last_seen = True, datetime.now(UTC)
        self._queue.set_offline(True)

    def come_back(self) -> None:
        """Give the phone its network back: what waited on either side goes out."""
        self._offline, self.last_seen = False, datetime.now(UTC)
        self._queue.set_offline(False)
        for message in self._radio.messages():
            if message.state == "Pending":
                self._later(self._radio.transmit, message)

    # --- citizens ---

    def send(
        self,
        from_: str,
        text: str,
        media: Sequence[tuple[str, bytes]] = (),
        *,
        sent_at: datetime | None = None,
        call: bool = True,
        seen: bool = True,
    ) -> Sent:
        """Let the phone receive a citizen's message, and send its webhook unless `call` is false (one that got lost).

        Where `seen` is false, the app was not running: the SMS is in the phone, and the app knows nothing of it.
        """
        at = (sent_at or datetime.now(UTC)).replace(microsecond=0)  # an SMS centre writes whole seconds
        message = Incoming(uuid4().hex[:21], from_, self.sender, text, at, media)
        with self._lock:
            self._incoming.append(message)
            if not seen:
                self._unseen.add(message.id)
        return self.call(message) if call and seen else Sent(message.id, None, "not called")

    def call(self, message: Incoming) -> Sent:
        """Send the webhook of a message, again or for the first time."""
        return Sent(message.id, *self._queue.put(self.body(message)))

    def body(self, message: Incoming, *, old: bool = False) -> bytes:
        """Return the body of a message's webhook; `old` in the older form."""
        if message.media:
            return self.event("mms:downloaded", events.mms_payload(message), id=message.id)
        return self.event("sms:received", events.received_payload(message, old=old), id=message.id)

    def event(self, name: str, payload: dict[str, Any], *, id: str | None = None) -> bytes:
        """Return the body of any event."""
        return events.event_body(name, payload, self.device_id, id=id)

    def signed(self, body: bytes, at: float | None = None) -> WebhookRequest:
        """Build a signed webhook with any body."""
        return signed_request(self.webhook_url, self.signing_key, body, at)

    def ping(self) -> tuple[int | None, str | None]:
        """Send a `system:ping`, as the app does by the clock; returns what it was answered."""
        return self._queue.put(self.event("system:ping", {"health": self.health()}))

    def health(self) -> dict[str, Any]:
        """Return how the phone is."""
        return events.health(self.battery, self._radio.no_service, "1.66.0" if self.old else "1.70.0")

    # --- what tests and people look at ---

    def messages(self, *, seen: bool = False) -> list[Incoming]:
        """Return what the phone received, oldest first; `seen`: without what the app has missed."""
        with self._lock:
            return [message for message in self._incoming if not (seen and message.id in self._unseen)]

    def replies(self, to: str | None = None) -> list[Outgoing]:
        """Return what the gateway handed over, oldest first; to one number if asked."""
        return [message for message in self._radio.messages() if to in (None, message.to)]

    def waiting(self) -> int:
        """Return how many webhooks wait to be tried again."""
        return self._queue.waiting()

    def lose_service(self, lost: bool = True) -> None:
        """Let the SIM card lose its network: what is handed over from now on fails."""
        self._radio.no_service = lost

    # --- the API, and what it asks of the phone ---

    def _kind(self, method: str, path: str) -> str:
        return "send" if (method, path) == ("POST", f"{self._path}/messages") else "read"

    def _failure(self, kind: str) -> str:
        # Whom nobody reaches fails nobody: what was asked for waits.
        return super()._failure(kind) if self.reachable or not self.local else ""

    def _serve(self, method: str, target: str, authorization: str, body: bytes) -> Answer:
        path, _, query = target.partition("?")
        if self.local and not self.reachable:
            return Answer(0)
        if not path.startswith(self._path):
            return NOT_FOUND
        place = path.removeprefix(self._path)
        if place != "/health" and not hmac.compare_digest(authorization.encode(), self._login.encode()):
            return FAILURES["unauthorized"]
        return self._api.answer(method, place, query, body)

    def _report(self, event: str, payload: dict[str, Any]) -> None:
        self._queue.put(self.event(event, payload))

    @property
    def reachable(self) -> bool:
        """Whether the phone has its network."""
        return not self._offline

    def refresh(self) -> None:
        """Let the app look for SMS that it has missed."""
        with self._lock:
            self._unseen.clear()

    def accept(self, message: dict[str, Any]) -> Outgoing | None:
        """Take a message to send; `None` where its id is known."""
        taken = self._radio.accept(message)
        if taken is not None:
            self._tell(taken)
            if self.reachable:
                self._later(self._radio.transmit, taken)
        return taken
