"""A Twilio that runs on this machine: the REST calls the SDK makes, and really signed webhooks.

It keeps every message, answers as the Message resource does, signs as Twilio signs, and fails on demand.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl
from uuid import uuid4

from adapters.sms.twilio.simulator.failures import FAILURES, NOT_FOUND, failure
from adapters.sms.twilio.simulator.messages import Message, MessageBook, refusal
from adapters.sms.twilio.simulator.webhooks import Pairs, inbound_form, receipt_form, signed_request
from gateway.ports import ChannelContext
from gateway.ports.wire import WebhookRequest
from gateway.simulation.caller import Sent
from gateway.simulation.provider import SimulatedProvider, login
from gateway.simulation.server import Answer


class FakeTwilio(SimulatedProvider):
    """One account with one number, on `http://127.0.0.1:port`."""

    name, failures, kinds, setting = "twilio", FAILURES, ("send", "list"), "api_base"

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

        `journal` gets one JSON line per event, written through at once. `whole_days` filters dates by day, as Twilio
        documents. `delivery_delay` in seconds lies before each status callback. `sha256_key` (name, secret) signs with
        SHA-256 and the settings header.
        """
        super().__init__(port, webhook_url=webhook_url, deliver_to=deliver_to)
        self.account_sid, self.sender, self.sha256_key = account_sid, sender, sha256_key
        self._token, self._delay = auth_token, delivery_delay
        self._book = MessageBook(account_sid, journal, whole_days=whole_days)

    @classmethod
    def from_settings(cls, settings: Any, context: ChannelContext, **options: Any) -> Self:
        """Make the counterpart of a configured channel; it listens where the channel's `api_base` points."""
        port, _ = cls._place(settings.api_base, context)
        return cls(
            account_sid=settings.account_sid,
            auth_token=settings.auth_token.reveal(),
            sender=settings.sender,
            webhook_url=context.webhook_url,
            port=port,
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
        status, error = self._call_gateway(self.webhook(message))
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

    def replies(self, to: str | None = None) -> list[Message]:
        """Return the messages the gateway sent, oldest first; to one number if asked."""
        return self.messages("outbound-api", to)

    # --- the API ---

    def _kind(self, method: str, path: str) -> str:
        return "send" if method == "POST" else "list"

    def _refused(self, code: int) -> Answer:
        return failure(400, code)

    def _serve(self, method: str, target: str, authorization: str, body: bytes) -> Answer:
        path, _, query = target.partition("?")
        if not hmac.compare_digest(authorization.encode(), login(self.account_sid, self._token).encode()):
            return FAILURES["unauthorized"]
        place = self._book.place
        if (method, path) == ("POST", f"{place}.json"):
            return self._create(dict(parse_qsl(body.decode(), keep_blank_values=True)))
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
            return failure(400, code)
        now, sid = datetime.now(UTC), "SM" + uuid4().hex
        message = Message(sid, "outbound-api", self.sender, form["To"], form["Body"], "queued", now, None)
        message.status_callback = form.get("StatusCallback")
        self._book.add(message)
        self._tell(message)
        answer = Answer(201, self._book.resource(message))
        self._later(self._deliver, message)
        return answer

    def _deliver(self, message: Message) -> None:
        for status in ("sent", "delivered"):
            if self._stopping.wait(self._delay):
                return
            message.status, message.date_sent = status, message.date_sent or datetime.now(UTC)
            if message.status_callback:
                answered, error = self._call_gateway(self.receipt(message, status))
                self._book.note("callback", {"sid": message.sid, "status": status, "answer": answered, "error": error})
