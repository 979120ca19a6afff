"""Simulate an aggregator on this machine, with the wire format of the channel's settings.

It takes replies, drops repeated ones if the settings send an id, sends receipts, and fails on demand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from adapters.sms.http.simulator import calls
from adapters.sms.http.simulator.settings import AggregatorSettings, Send
from gateway.ports import ChannelContext
from gateway.ports.wire import WebhookRequest
from gateway.simulation.caller import Sent
from gateway.simulation.provider import SimulatedProvider, login
from gateway.simulation.server import Answer

FAILURES = {
    "throttle": Answer(429, b"Too many requests", {"Retry-After": "1"}),
    "server_error": Answer(500, b"Internal error"),
    "unauthorized": Answer(401, b"Authorization failed"),
}


@dataclass(slots=True)
class Message:
    """A reply of the gateway."""

    id: str
    from_: str
    to: str
    body: str
    callback: str  # URL of its receipts; empty if the gateway names none
    reference: str  # its id in receipts


class FakeAggregator(SimulatedProvider):
    """An account at an aggregator, on `http://127.0.0.1:port`."""

    name = "aggregator"
    failures = FAILURES
    setting = "send.url"

    def __init__(
        self,
        settings: AggregatorSettings,
        *,
        webhook_url: str = "",
        deliver_to: str | None = None,
        port: int = 0,
        delivery_delay: float = 0.05,
    ) -> None:
        """Prepare the account of a channel; nothing listens before `start`.

        `delivery_delay` is the time before each receipt, in seconds.
        """
        super().__init__(port, webhook_url=webhook_url, deliver_to=deliver_to)
        self.sender = settings.sender
        self.receipts: list[tuple[str, int | None]] = []  # status of each receipt, and the gateway's HTTP status
        self._settings = settings
        self._delay = delivery_delay
        self._messages: dict[str, Message] = {}  # by our id
        self._ids: dict[str, str] = {}  # the gateway's id → ours, to drop a reply that is sent twice

    @classmethod
    def from_settings(
        cls, settings: AggregatorSettings, context: ChannelContext, *, deliver_to: str | None = None
    ) -> Self:
        """Make the account of a configured channel, on the port in its `send.url`; raises `ValueError` without one."""
        port, _ = cls._place(settings.send.url if settings.send else "", context)
        return cls(settings, webhook_url=context.webhook_url, deliver_to=deliver_to, port=port)

    # --- citizens ---

    def send(self, from_: str, text: str, media: Sequence[tuple[str, bytes]] = (), *, call: bool = True) -> Sent:
        """Send a citizen's message, unless `call` is false (a lost call); `media` is not sent, as SMS has no pictures."""
        id_ = str(uuid4())
        if not call:
            return Sent(id_, None, "not called")
        status, error = self._call_gateway(self.webhook(from_, text, id_))
        return Sent(id_, status, error)

    def webhook(self, from_: str, text: str, id_: str, *, at: datetime | None = None) -> WebhookRequest:
        """Build the call with a citizen's message."""
        at = at or datetime.now(UTC)
        fields = self.fields(from_, id_, at) | calls.coded(self._settings.receive, text)
        return calls.call(self._settings, self.webhook_url, fields, at=at)

    def fields(self, from_: str, id_: str, at: datetime) -> dict[str, str | bytes]:
        """Return the fields of a message without its text."""
        receive = self._settings.receive
        values = {
            receive.id: id_,
            receive.sender: from_,
            receive.recipient: self.sender,
            receive.sent_at: calls.moment(receive, at) if receive.sent_at else "",
        }
        return {name: value for name, value in values.items() if name}

    def receipt(self, message: Message, status: str) -> WebhookRequest:
        """Build the call with the receipt of a reply; like Kannel, put the status for a %d in its callback.

        Raises `ValueError` if the channel has no receipts.
        """
        receipts, url = self._settings.receipts, message.callback or self.webhook_url
        if receipts is None:
            raise ValueError("the channel has no table receipts")
        if "%d" in url:
            return WebhookRequest("GET", url.replace("%d", status), {}, b"", "127.0.0.1")
        fields = {receipts.id: message.reference, receipts.status: status}
        return calls.call(self._settings, url, fields | ({receipts.when: "1"} if receipts.when else {}))

    # --- messages so far ---

    def replies(self, to: str | None = None) -> list[Message]:
        """Return the messages of the gateway, the oldest first; optionally to one number."""
        with self._lock:
            return [message for message in self._messages.values() if to in (None, message.to)]

    # --- the API ---

    def _serve(self, method: str, target: str, authorization: str, body: bytes) -> Answer:
        send = self._settings.send
        url = urlsplit(send.url if send else "")
        if send is None or method != send.method or target.partition("?")[0] != url.path:
            return Answer(404, b"Not found")
        try:
            parameters = _parameters(send, url.query, target.partition("?")[2], body)
            values = calls.placeholders_of(send, parameters)
        except ValueError as exc:
            return Answer(400, str(exc).encode())
        if not _is_authorized(send, values, authorization):
            return FAILURES["unauthorized"]
        if not values["to"].lstrip("+").isdigit():
            return Answer(400, b"Refused")
        return self._accept(send, values)

    def _accept(self, send: Send, values: Mapping[str, str]) -> Answer:
        """Keep a message, unless its id is known; answer with its id in our form."""
        id_ = self._ids.get(values.get("id", ""))
        if id_ is None:
            id_ = str(uuid4())
            text = values["text"] if "text" in values else bytes.fromhex(values["hex"]).decode("utf-16-be")
            reference = id_ if send.id else values.get("reference") or values.get("id", "")
            message = Message(id_, self.sender, values["to"], text, values.get("callback", ""), reference)
            with self._lock:
                self._messages[id_] = message
                if "id" in values:
                    self._ids[values["id"]] = id_
            self._tell(message)
            if self._settings.receipts and message.callback:
                self._later(self._deliver, message)
        code = next((code for code, outcome in send.outcomes.items() if outcome == "sent"), "")
        content_type = "text/plain" if (send.id or send.code or "/").startswith("/") else "application/json"
        return Answer(200, calls.answer_text([send.code, send.id], [code, id_]), {"Content-Type": content_type})

    def _deliver(self, message: Message) -> None:
        states = self._settings.receipts.states if self._settings.receipts else {}
        for state in ("sent", "delivered"):
            status = next((name for name, meaning in states.items() if meaning == state), None)
            if status is None:
                continue
            if self._stopping.wait(self._delay):
                return
            answered, _ = self._call_gateway(self.receipt(message, status))
            self.receipts.append((status, answered))


def _is_authorized(send: Send, values: Mapping[str, str], authorization: str) -> bool:
    """Return whether every secret of a call is right, in its parameters and in its header Authorization."""
    secrets = {name: secret.reveal() for name, secret in send.secrets.items()}
    if any(values.get(name, secret) != secret for name, secret in secrets.items()):
        return False
    if send.basic:
        return authorization == login(send.basic.username, send.basic.password.reveal())
    header = next((text for name, text in send.headers.items() if name.lower() == "authorization"), "")
    for name, secret in secrets.items():
        header = header.replace(f"{{{name}}}", secret)
    return authorization == header


def _parameters(send: Send, fixed: str, query: str, body: bytes) -> Mapping[str, object]:
    """Return the parameters of a call, without those of the query in `send.url`; raises `ValueError`."""
    if send.method == "POST" and send.body == "json":
        document = json.loads(body)
        if not isinstance(document, dict):
            raise ValueError("not a JSON object")
        return document
    text = query if send.method == "GET" else body.decode("ascii")
    pairs = parse_qsl(text, keep_blank_values=True, encoding=send.charset)
    return {name: value for name, value in pairs if f"{name}={value}" not in fixed.split("&")}
