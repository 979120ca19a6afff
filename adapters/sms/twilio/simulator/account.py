"""Simulate a Twilio account on this machine: the REST calls of the SDK, and webhooks with valid signatures.

It keeps every message, answers like the Message resource, and fails on demand. It shares no code with the adapter: an
independent reading of the documents finds the adapter's mistakes.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, Self
from urllib.parse import parse_qsl
from uuid import uuid4

from adapters.sms.twilio.simulator.failures import FAILURES, NOT_FOUND, failure
from adapters.sms.twilio.simulator.messages import Message, MessageBook, refusal
from adapters.sms.twilio.simulator.webhooks import Pairs, inbound_form, receipt_form, signed_request
from gateway.ports import ChannelContext, Secret
from gateway.ports.wire import WebhookRequest
from gateway.simulation.caller import Sent
from gateway.simulation.provider import SimulatedProvider, login
from gateway.simulation.server import Answer


class AccountSettings(Protocol):
    """The settings of a channel that the simulator reads."""

    account_sid: str
    auth_token: Secret
    sender: str
    api_base: str


class FakeTwilio(SimulatedProvider):
    """An account with one number, on `http://127.0.0.1:port`."""

    name = "twilio"
    failures = FAILURES
    kinds = ("send", "list")
    setting = "api_base"

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
        """Prepare the account; nothing listens before `start`.

        `journal` gets one JSON line per event, at once. `whole_days` filters dates by day, as Twilio documents it.
        `delivery_delay` is the time before each status callback, in seconds. With `sha256_key` (name, secret) webhooks
        are signed by SHA-256 and have the header of signature settings.
        """
        super().__init__(port, webhook_url=webhook_url, deliver_to=deliver_to)
        self.account_sid = account_sid
        self.sender = sender
        self.sha256_key = sha256_key
        self._token = auth_token
        self._delay = delivery_delay
        self._book = MessageBook(account_sid, journal, whole_days=whole_days)

    @classmethod
    def from_settings(
        cls, settings: AccountSettings, context: ChannelContext, *, deliver_to: str | None = None
    ) -> Self:
        """Make the account of a configured channel, on the port in its `api_base`; raises `ValueError` without one."""
        port, _ = cls._place(settings.api_base, context)
        return cls(
            account_sid=settings.account_sid,
            auth_token=settings.auth_token.reveal(),
            sender=settings.sender,
            webhook_url=context.webhook_url,
            deliver_to=deliver_to,
            port=port,
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
        """Send a citizen's message, and its signed webhook unless `call` is false (a lost webhook).

        `media` are content types and contents. As at Twilio, the message is in the list before the webhook is sent.
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
        """Build a signed webhook with any fields; its URL is by default `webhook_url`."""
        return signed_request(url or self.webhook_url, pairs, self._token, self.sha256_key)

    # --- messages so far ---

    def messages(self, direction: str | None = None, to: str | None = None) -> list[Message]:
        """Return messages, the oldest first; optionally of one direction ("inbound", "outbound-api") or to one number."""
        return [m for m in self._book.every() if direction in (None, m.direction) and to in (None, m.to)]

    def replies(self, to: str | None = None) -> list[Message]:
        """Return the messages of the gateway, the oldest first; optionally to one number."""
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
            content, kind = self._book.read(path.removeprefix(f"{place}/"))
            return Answer(200, content, {"Content-Type": kind}) if content is not None else NOT_FOUND
        return NOT_FOUND

    def _shown(self) -> Sequence[Mapping[str, object]]:
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
            message.status = status
            message.date_sent = message.date_sent or datetime.now(UTC)
            if message.status_callback:
                answered, error = self._call_gateway(self.receipt(message, status))
                self._book.note("callback", {"sid": message.sid, "status": status, "answer": answered, "error": error})
