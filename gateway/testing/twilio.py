"""A Twilio that runs on this machine: the REST calls the SDK makes, and really signed webhooks.

It keeps every message, answers as the Message resource does, signs as Twilio signs, and fails on demand.
"""

from __future__ import annotations

import hmac
import json
import threading
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import requests

from gateway.ports import ChannelContext
from gateway.testing.twilio_calls import Caller, Pairs, Sent, inbound_form, receipt_form, sign, signed_request
from gateway.testing.twilio_messages import Message, MessageBook, refusal
from gateway.testing.twilio_server import ANSWERS, NOT_FOUND, Answer, TwilioServer, failure
from gateway.wire import WebhookRequest

__all__ = ["FakeTwilio", "Message", "Sent", "sign"]


class FakeTwilio:
    """One account with one number, on `http://127.0.0.1:port`."""

    setting = "api_base"  # of the channel, that says where it listens

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        sender: str,
        webhook_url: str = "",
        deliver_to: str | None = None,
        port: int = 0,
        journal: Path | None = None,
        whole_days: bool = False,
        delivery_delay: float = 0.05,
        sha256_key: tuple[str, str] | None = None,
    ) -> None:
        """Make it; nothing listens before `start`.

        `webhook_url` is the public URL, which signatures cover; `deliver_to` another base URL (scheme and host) that
        the connection really goes to. `port` 0 takes a free one. `journal` gets one JSON line per event, written
        through at once. `whole_days` filters dates by day, as Twilio documents. `delivery_delay` in seconds lies
        before each status callback. `sha256_key` (name, secret) signs with SHA-256 and the settings header.
        """
        self.account_sid, self.sender = account_sid, sender
        self.webhook_url, self.deliver_to, self.sha256_key = webhook_url, deliver_to, sha256_key
        self._token, self._port, self._delay = auth_token, port, delivery_delay
        self._book = MessageBook(account_sid, journal, whole_days=whole_days)
        self._caller = Caller()
        self._lock = threading.Lock()
        self._failures: dict[str, deque[str]] = {"send": deque(), "list": deque()}
        self._listeners: list[Callable[[Message], None]] = []
        self._stopping = threading.Event()
        self._server: TwilioServer | None = None
        self._phones: ThreadPoolExecutor | None = None

    @classmethod
    def from_settings(cls, settings: Any, context: ChannelContext, **options: Any) -> Self:
        """Make the counterpart of a configured channel; it listens where the channel's `api_base` points."""
        base = urlsplit(settings.api_base)
        if base.hostname != "127.0.0.1" or not base.port:
            raise ValueError(f"to simulate {context.channel!r}, set api_base to http://127.0.0.1:PORT")
        return cls(
            account_sid=settings.account_sid,
            auth_token=settings.auth_token.reveal(),
            sender=settings.sender,
            webhook_url=context.webhook_url,
            port=base.port,
            **options,
        )

    # --- life ---

    @property
    def url(self) -> str:
        """The base URL of the API, for `api_base`; raises `RuntimeError` before `start`."""
        if not self._port:
            raise RuntimeError("start the simulator first")
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Listen; raises `OSError` where the port is taken."""
        self._stopping.clear()
        self._server = TwilioServer(self._port, self._answer, self._stopping)
        self._port = self._server.server_port  # the same one after a stop and a start
        self._phones = ThreadPoolExecutor(2, "twilio-phones")
        threading.Thread(target=self._server.serve_forever, args=(0.02,), name="twilio", daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop listening and cut open connections; messages stay."""
        self._stopping.set()
        if self._server is not None and self._phones is not None:
            self._server.close()
            self._phones.shutdown(cancel_futures=True)
        self._server = self._phones = None
        self._caller.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    # --- citizens ---

    def send(
        self,
        from_: str,
        text: str,
        media: Sequence[tuple[str, bytes]] = (),
        *,
        sent_at: datetime | None = None,
        call: bool = True,
    ) -> Sent:
        """Send a citizen's message, and its signed webhook unless `call` is false (a webhook that got lost).

        `media` are content types and contents. The message can be listed before the webhook leaves, as at Twilio.
        """
        now = sent_at or datetime.now(UTC)
        pictures = {"ME" + uuid4().hex: item for item in media}
        sid = ("MM" if media else "SM") + uuid4().hex
        message = Message(sid, "inbound", from_, self.sender, text, "received", now, now, pictures)
        self._book.add(message)
        return self.call(message) if call else Sent(sid, None, "not called")

    def call(self, message: Message) -> Sent:
        """Send the webhook of an inbound message, again or for the first time."""
        status, error = self._caller.post(self.webhook(message), self.deliver_to)
        return Sent(message.sid, status, error)

    def webhook(self, message: Message) -> WebhookRequest:
        """Build the signed webhook of an inbound message."""
        return self.signed(inbound_form(message, self.account_sid, self.url + self._book.uri(message)))

    def receipt(self, message: Message, status: str) -> WebhookRequest:
        """Build the signed status callback of an outbound message."""
        return self.signed(receipt_form(message, self.account_sid, status), message.status_callback)

    def signed(self, pairs: Pairs, url: str | None = None) -> WebhookRequest:
        """Build a signed webhook with any fields, to `webhook_url` unless another URL is given."""
        return signed_request(url or self.webhook_url, pairs, self._token, self.sha256_key)

    # --- what tests and people look at ---

    def messages(self, direction: str | None = None, to: str | None = None) -> list[Message]:
        """Return messages, oldest first; of one direction ("inbound", "outbound-api") or to one number if asked."""
        return [m for m in self._book.every() if direction in (None, m.direction) and to in (None, m.to)]

    def replies_to(self, number: str) -> list[str]:
        """Return the texts the gateway sent to a number, oldest first."""
        return [message.body for message in self.messages("outbound-api", number)]

    def replies_elsewhere(self, number: str) -> list[str]:
        """Return the replies to a number that the simulator of another process has, which listens on our port.

        Raises `OSError` where what listens there is no simulator.
        """
        with requests.Session() as session:
            session.trust_env = False  # never through a proxy: it is on this machine
            answer = session.get(f"{self.url}/_simulator/messages", timeout=5)
            answer.raise_for_status()
            found = answer.json()["messages"]
        return [m["body"] for m in found if m["direction"] == "outbound-api" and m["to"] == number]

    def subscribe(self, listener: Callable[[Message], None]) -> None:
        """Call the listener with every message the gateway sends, on the thread that took it."""
        self._listeners.append(listener)

    def fail(self, how: str, *, next: int = 1, on: str = "send") -> None:  # noqa: A002 - it reads as it is meant
        """Let the next calls fail; `on` is "send" (POST) or "list" (GET).

        `how`: throttle (429), server_error (500), unauthorized (401), reject:CODE (400), timeout (no answer, not
        stored), drop_after_accept (stored, connection closed without an answer). Raises `ValueError` for others.
        """
        if how not in ANSWERS and not (how.startswith("reject:") and how[7:].isdigit()):
            raise ValueError(f"unknown failure {how!r}; known: {', '.join(ANSWERS)}, reject:CODE")
        if on not in self._failures:
            raise ValueError(f"unknown call {on!r}; known: {', '.join(self._failures)}")
        with self._lock:
            self._failures[on].extend([how] * next)

    def recover(self) -> None:
        """Forget the failures that were asked for and have not happened yet."""
        with self._lock:
            for waiting in self._failures.values():
                waiting.clear()

    # --- the API ---

    def _answer(self, method: str, target: str, authorization: str, body: bytes) -> Answer:
        path, _, query = target.partition("?")
        if path.startswith("/_simulator/"):
            return self._control(method, path.removeprefix("/_simulator/"), body)
        with self._lock:
            waiting = self._failures["send" if method == "POST" else "list"]
            how = waiting.popleft() if waiting else ""
        if how and how != "drop_after_accept":
            return failure(how)
        right = b64encode(f"{self.account_sid}:{self._token}".encode()).decode()
        if not hmac.compare_digest(authorization.encode(), f"Basic {right}".encode()):
            return failure("unauthorized")
        place = self._book.place
        if (method, path) == ("POST", f"{place}.json"):
            answer = self._create(dict(parse_qsl(body.decode(), keep_blank_values=True)))
            return failure(how) if how else answer
        if (method, path) == ("GET", f"{place}.json"):
            return Answer(200, self._book.page(dict(parse_qsl(query, keep_blank_values=True))))
        if method == "GET" and path.startswith(f"{place}/"):
            found, kind = self._book.read(path.removeprefix(f"{place}/"))
            return Answer(200, found, {"Content-Type": kind}) if found is not None else NOT_FOUND
        return NOT_FOUND

    def _create(self, form: dict[str, str]) -> Answer:
        code = refusal(form, self.sender)
        if code:
            return failure(f"reject:{code}")
        now, sid = datetime.now(UTC), "SM" + uuid4().hex
        message = Message(sid, "outbound-api", self.sender, form["To"], form["Body"], "queued", now, None)
        message.status_callback = form.get("StatusCallback")
        self._book.add(message)
        for listener in self._listeners:
            listener(message)
        answer = Answer(201, self._book.resource(message))
        with suppress(RuntimeError):  # stopped meanwhile: then no phone gets it
            if self._phones is not None:
                self._phones.submit(self._deliver, message)
        return answer

    def _deliver(self, message: Message) -> None:
        for status in ("sent", "delivered"):
            if self._stopping.wait(self._delay):
                return
            message.status, message.date_sent = status, message.date_sent or datetime.now(UTC)
            if message.status_callback:
                answered, error = self._caller.post(self.receipt(message, status), self.deliver_to)
                self._book.note("callback", {"sid": message.sid, "status": status, "answer": answered, "error": error})

    def _control(self, method: str, name: str, body: bytes) -> Answer:
        """Serve another program's wishes: GET messages, POST fail, POST send."""
        try:
            asked = json.loads(body or b"{}")
            if (method, name) == ("GET", "messages"):
                return Answer(200, {"messages": [self._book.resource(m) for m in self.messages()]})
            if (method, name) == ("POST", "fail"):
                self.fail(asked["how"], next=asked.get("next", 1), on=asked.get("on", "send"))
                return Answer(200, {"asked": asked["how"]})
            if (method, name) == ("POST", "send"):
                sent = self.send(asked["from"], asked["text"], call=asked.get("call", True))
                return Answer(200, {"sid": sent.sid, "status": sent.status, "error": sent.error})
        except (KeyError, TypeError, ValueError) as exc:
            return Answer(400, {"message": f"{type(exc).__name__}: {exc}"})
        return NOT_FOUND
