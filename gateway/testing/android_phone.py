"""A telephone with the app SMSGate, or the app's server with one phone, that runs on this machine.

It signs as the app signs, tries webhooks again as the app does, answers as its API does, and fails on demand. It is a
second reading of the documents: it shares nothing with the adapter.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

import requests

from gateway.ports import ChannelContext
from gateway.testing import android_events as events
from gateway.testing.android_api import Api
from gateway.testing.android_events import Incoming, Outgoing
from gateway.testing.android_radio import Radio
from gateway.testing.android_webhooks import RETRIES, RETRY_FIRST, WebhookQueue, signed_request
from gateway.testing.provider_calls import Sent
from gateway.testing.provider_server import ProviderServer as Server
from gateway.wire import WebhookRequest

__all__ = ["FakePhone", "Incoming", "Outgoing", "Sent"]


class FakePhone:
    """One phone with one SIM card, on `http://127.0.0.1:port`; `local` is its own server, else the one in the cloud."""

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

        `deliver_to` is another base URL than the public one that connections really go to; `path` lies before the
        API's own; `retry_first` in seconds is the first wait before a webhook is tried again.
        """
        self.sender, self.webhook_url, self.device_id, self.local = sender, webhook_url, device_id, local
        self.signing_key, self.battery, self.last_seen = signing_key, 90, datetime.now(UTC)
        self.old = False  # an app of before 2026, without a list of what it received
        self.api = Api(self, user, password, path)
        self._port, self._path = port, path
        self._queue = WebhookQueue(self.signed, deliver_to, retry_first, retries)
        self._lock = threading.Lock()
        self._incoming: list[Incoming] = []
        self._unseen: set[str] = set()  # ids of messages that the app has missed
        self._offline = False
        self._radio = Radio(sender, lambda name, payload: self._queue.put(self.event(name, payload)), delivery_delay)
        self._stopping = threading.Event()
        self._server: Server | None = None

    @classmethod
    def from_settings(cls, settings: Any, context: ChannelContext, **options: Any) -> Self:
        """Make the counterpart of a configured channel; it listens where the channel's `api_base` points."""
        base = urlsplit(settings.api_base)
        if base.hostname != "127.0.0.1" or not base.port:
            raise ValueError(f"to simulate {context.channel!r}, set api_base to http://127.0.0.1:PORT")
        return cls(
            user=settings.user,
            password=settings.password.reveal(),
            signing_key=settings.signing_key.reveal(),
            sender=settings.sender,
            webhook_url=context.webhook_url,
            port=base.port,
            path=base.path.rstrip("/"),
            local=settings.local,
            **({"device_id": settings.device_id} if settings.device_id else {}),
            **options,
        )

    # --- life ---

    @property
    def url(self) -> str:
        """The base URL of the API, for `api_base`; raises `RuntimeError` before `start`."""
        if not self._port:
            raise RuntimeError("start the simulator first")
        return f"http://127.0.0.1:{self._port}{self._path}"

    def start(self) -> Self:
        """Listen; raises `OSError` where the port is taken."""
        self._stopping.clear()
        self._server = Server(self._port, self.api.answer, self._stopping)
        self._port = self._server.server_port  # the same one after a stop and a start
        self._radio.start()
        self._queue.start()
        threading.Thread(target=self._server.serve_forever, args=(0.02,), name="android", daemon=True).start()
        return self

    def hang_up(self) -> None:
        """Do nothing: a call to a gateway that has gone fails at once."""

    def stop(self) -> None:
        """Stop listening and cut open connections; messages and webhooks that wait stay."""
        self._stopping.set()
        if self._server is not None:
            self._server.close()
            self._radio.stop()
            self._queue.stop()
        self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def go_offline(self) -> None:
        """Take the phone off its network: nothing reaches it, its webhooks wait, its server goes on without it."""
        self._offline, self.last_seen = True, datetime.now(UTC)
        self._queue.set_offline(True)

    def come_back(self) -> None:
        """Give the phone its network back: what waited on either side goes out."""
        self._offline, self.last_seen = False, datetime.now(UTC)
        self._queue.set_offline(False)
        self._radio.transmit_pending()

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

    def replies_to(self, number: str) -> list[str]:
        """Return the texts the gateway handed over for a number, oldest first."""
        return [message.body for message in self.replies(number)]

    def waiting(self) -> int:
        """Return how many webhooks wait to be tried again."""
        return self._queue.waiting()

    def replies_elsewhere(self, number: str) -> list[str]:
        """Return the replies to a number that the simulator of another process has, which listens on our port.

        Raises `OSError` where what listens there is no simulator.
        """
        with requests.Session() as session:
            session.trust_env = False  # never through a proxy: it is on this machine
            answer = session.get(f"http://127.0.0.1:{self._port}/_simulator/messages", timeout=5)
            answer.raise_for_status()
            return [message["body"] for message in answer.json()["messages"] if message["to"] == number]

    def subscribe(self, listener: Callable[[Outgoing], None]) -> None:
        """Call the listener with every message the gateway hands over, on the thread that took it."""
        self._radio.listeners.append(listener)

    def fail(self, how: str, *, next: int = 1, on: str = "send") -> None:  # noqa: A002 - it reads as it is meant
        """Let the next calls fail as `android_api.FAILURES` names it; `on` is "send" (POST /messages) or "read"."""
        self.api.fail(how, next, on)

    def lose_service(self, lost: bool = True) -> None:
        """Let the SIM card lose its network: what is handed over from now on fails."""
        self._radio.no_service = lost

    # --- what the API asks of the phone ---

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
        return self._radio.accept(message, now=self.reachable)
