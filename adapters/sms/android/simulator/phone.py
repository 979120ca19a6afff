"""Simulate a telephone with the app SMSGate, or the app's server with one phone, on this machine.

It signs and repeats webhooks like the app, answers like its API, and fails on demand. It shares no code with the
adapter: an independent reading of the documents finds the adapter's mistakes.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol, Self
from uuid import uuid4

from adapters.sms.android.simulator import events
from adapters.sms.android.simulator.api import FAILURES, NOT_FOUND, Api
from adapters.sms.android.simulator.events import Incoming, Outgoing, SendRequest
from adapters.sms.android.simulator.radio import Radio
from adapters.sms.android.simulator.webhooks import RETRIES, RETRY_FIRST, WebhookQueue, signed_request
from gateway.ports import ChannelContext, Secret
from gateway.ports.wire import WebhookRequest
from gateway.simulation.caller import Sent
from gateway.simulation.provider import SimulatedProvider, login
from gateway.simulation.server import Answer

DEVICE_ID = "ffffffffceb0b1db0000018e937c815b"


class PhoneSettings(Protocol):
    """The settings of a channel that the simulator reads."""

    user: str
    password: Secret
    signing_key: Secret
    sender: str
    api_base: str
    local: bool
    device_id: str | None


class FakePhone(SimulatedProvider):
    """A phone with one SIM card, on `http://127.0.0.1:port`: its own server if `local`, else the server in the cloud."""

    name = "android"
    failures = FAILURES
    kinds = ("send", "read")
    setting = "api_base"

    battery = 90  # percent
    old = False  # an app from before 2026, without a list of received SMS

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
        device_id: str = DEVICE_ID,
        delivery_delay: float = 0.05,
        retry_first: float = RETRY_FIRST,
        retries: int = RETRIES,
    ) -> None:
        """Prepare the phone; nothing listens before `start`.

        In seconds: `delivery_delay` is the time before each event of a reply, `retry_first` the first wait before a
        webhook is sent again.
        """
        super().__init__(port, path=path, webhook_url=webhook_url, deliver_to=deliver_to)
        self.sender = sender
        self.device_id = device_id
        self.local = local
        self.signing_key = signing_key
        self.last_seen = datetime.now(UTC)
        self._login = login(user, password)
        self._api = Api(self)
        self._queue = WebhookQueue(lambda body: self._call_gateway(self.signed(body)), retry_first, retries)
        self._radio = Radio(sender, self._report, lambda: self._stopping.wait(delivery_delay))
        self._incoming: list[Incoming] = []
        self._unseen: set[str] = set()  # ids of messages that the app has missed
        self._offline = False

    @classmethod
    def from_settings(cls, settings: PhoneSettings, context: ChannelContext, *, deliver_to: str | None = None) -> Self:
        """Make the phone of a configured channel, on the port in its `api_base`; raises `ValueError` without one."""
        port, path = cls._place(settings.api_base, context)
        return cls(
            user=settings.user,
            password=settings.password.reveal(),
            signing_key=settings.signing_key.reveal(),
            sender=settings.sender,
            webhook_url=context.webhook_url,
            deliver_to=deliver_to,
            port=port,
            path=path.rstrip("/"),
            local=settings.local,
            device_id=settings.device_id or DEVICE_ID,
        )

    # --- life ---

    def start(self) -> Self:
        """Listen, and repeat the webhooks that wait; raises `OSError` if the port is taken."""
        super().start()
        self._queue.start()
        return self

    def stop(self) -> None:
        """Stop listening and cut open connections; keep messages and waiting webhooks."""
        self._queue.stop()
        super().stop()

    def go_offline(self) -> None:
        """Cut the phone's network: its webhooks wait; the server in the cloud goes on without it."""
        self._offline = True
        self.last_seen = datetime.now(UTC)
        self._queue.set_offline(True)

    def come_back(self) -> None:
        """Restore the phone's network, and send the webhooks and replies that waited for it."""
        self._offline = False
        self.last_seen = datetime.now(UTC)
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
        """Receive a citizen's message, and send its signed webhook unless `call` is false (a lost webhook).

        If `seen` is false, the app was not running: the SMS is in the phone, but not in the app's list.
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
        """Return the body of a message's webhook; `old`: in the form before 2026."""
        if message.media:
            return self.event("mms:downloaded", events.mms_payload(message), id=message.id)
        return self.event("sms:received", events.received_payload(message, old=old), id=message.id)

    def event(self, name: str, payload: Mapping[str, object], *, id: str | None = None) -> bytes:
        """Return the body of any event."""
        return events.event_body(name, payload, self.device_id, id=id)

    def signed(self, body: bytes, at: float | None = None) -> WebhookRequest:
        """Build a signed webhook with any body; `at` is the time of the attempt, in seconds since 1970."""
        return signed_request(self.webhook_url, self.signing_key, body, at)

    def ping(self) -> tuple[int | None, str | None]:
        """Send a `system:ping`, which the app does at intervals; return status and error of the answer."""
        return self._queue.put(self.event("system:ping", {"health": self.health()}))

    def health(self) -> Mapping[str, object]:
        """Return the health report."""
        return events.health(self.battery, self._radio.no_service, "1.66.0" if self.old else "1.70.0")

    # --- messages so far ---

    def messages(self, *, seen: bool = False) -> list[Incoming]:
        """Return the received messages, the oldest first; `seen`: without those that the app has missed."""
        with self._lock:
            return [message for message in self._incoming if not (seen and message.id in self._unseen)]

    def replies(self, to: str | None = None) -> list[Outgoing]:
        """Return the messages of the gateway, the oldest first; optionally to one number."""
        return [message for message in self._radio.messages() if to in (None, message.to)]

    def waiting(self) -> int:
        """Return the number of webhooks that wait for a retry."""
        return self._queue.waiting()

    def lose_service(self, lost: bool = True) -> None:
        """Cut the SIM card's network, or restore it; without it, the next messages fail."""
        self._radio.no_service = lost

    # --- the API, and the calls that it makes to the phone ---

    def _kind(self, method: str, path: str) -> str:
        return "send" if (method, path) == ("POST", f"{self._path}/messages") else "read"

    def _failure(self, kind: str) -> str:
        # A phone without network gets no call, so the failures stay for later calls.
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

    def _report(self, event: str, payload: Mapping[str, object]) -> None:
        self._queue.put(self.event(event, payload))

    @property
    def reachable(self) -> bool:
        """Return whether the phone has a network."""
        return not self._offline

    def refresh(self) -> None:
        """Add the SMS that the app has missed to its list."""
        with self._lock:
            self._unseen.clear()

    def accept(self, message: SendRequest) -> Outgoing | None:
        """Take a message to send; return `None` if its id is known."""
        reply = self._radio.accept(message)
        if reply is not None:
            self._tell(reply)
            if self.reachable:
                self._later(self._radio.transmit, reply)
        return reply
