"""A Twilio that runs on this machine: the REST calls the SDK makes, and really signed webhooks.

It keeps every message, answers as the Message resource does, signs as Twilio signs, and fails on demand.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from gateway.ports import ChannelContext
from gateway.testing.simulators.caller import Sent
from gateway.testing.simulators.provider import SimulatedProvider
from gateway.testing.simulators.server import Answer
from gateway.testing.simulators.twilio.failures import ANSWERS, NOT_FOUND, failure
from gateway.testing.simulators.twilio.messages import Message, MessageBook, refusal
from gateway.testing.simulators.twilio.webhooks import Pairs, inbound_form, receipt_form, sign, signed_request
from gateway.wire import WebhookRequest

__all__ = ["FakeTwilio", "Message", "Sent", "sign"]


class FakeTwilio(SimulatedProvider):
    """One account with one number, on `http://127.0.0.1:port`."""

    name, failures, calls, setting = "twilio", ANSWERS, ("send", "list"), "api_base"

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
        self._token, self._delay = auth_token, delivery_delay
        self._book = MessageBook(account_sid, journal, whole_days=whole_days)
        super().__init__(port)

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

    # --- citizens ---

    def send(
        self,
        from_: str,
        text: str,
        media: Sequence[tuple[str, bytes]] = (),
        *,
        call: bool = True,
        sent_at: datetime | None = None,
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
        status, error = self._caller.send(self.webhook(message), self.deliver_to)
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
        return [m["body"] for m in self._elsewhere() if m["direction"] == "outbound-api" and m["to"] == number]

    # --- the API ---

    def _serve(self, method: str, target: str, authorization: str, body: bytes) -> Answer:
        path, _, query = target.partition("?")
        how = self._failure("send" if method == "POST" else "list")
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

    def _shown(self) -> list[dict[str, Any]]:
        return [self._book.resource(message) for message in self.messages()]

    def _create(self, form: dict[str, str]) -> Answer:
        code = refusal(form, self.sender)
        if code:
            return failure(f"reject:{code}")
        now, sid = datetime.now(UTC), "SM" + uuid4().hex
        message = Message(sid, "outbound-api", self.sender, form["To"], form["Body"], "queued", now, None)
        message.status_callback = form.get("StatusCallback")
        self._book.add(message)
        self._tell(message)
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
                answered, error = self._caller.send(self.receipt(message, status), self.deliver_to)
                self._book.note("callback", {"sid": message.sid, "status": status, "answer": answered, "error": error})
