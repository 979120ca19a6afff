"""An aggregator that runs on this machine, whatever its language: it speaks as the channel's settings say.

It takes replies, drops repeated ids where the settings send one, sends receipts, and fails on demand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from adapters.sms.http.simulator import calls
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
    """A reply that the aggregator took."""

    id: str
    from_: str
    to: str
    body: str
    callback: str  # where its receipts go; empty where none were asked for
    reference: str  # what receipts call it


class FakeAggregator(SimulatedProvider):
    """One account, on `http://127.0.0.1:port`."""

    name, failures, setting = "aggregator", FAILURES, "send.url"

    def __init__(
        self,
        settings: Any,
        *,
        webhook_url: str = "",
        deliver_to: str | None = None,
        port: int = 0,
        delivery_delay: float = 0.05,
    ) -> None:
        """Make it of a channel's settings; nothing listens before `start`.

        `delivery_delay` in seconds lies before each receipt.
        """
        super().__init__(port, webhook_url=webhook_url, deliver_to=deliver_to)
        self._settings, self.sender, self._delay = settings, settings.sender, delivery_delay
        self._taken: dict[str, Message] = {}  # by our own id
        self._ids: dict[str, str] = {}  # the gateway's id → ours, where it sends one to be recognised by
        self.receipts: list[tuple[str, int | None]] = []  # status told, and what the gateway answered

    @classmethod
    def from_settings(cls, settings: Any, context: ChannelContext, **options: Any) -> Self:
        """Make the counterpart of a configured channel; it listens where the channel's `send.url` points."""
        port, _ = cls._place(settings.send.url if settings.send else "", context)
        return cls(settings, webhook_url=context.webhook_url, port=port, **options)

    # --- citizens ---

    def send(self, from_: str, text: str, media: Sequence[tuple[str, bytes]] = (), *, call: bool = True) -> Sent:
        """Send a citizen's message; an SMS has no pictures, so `media` stay behind."""
        id_ = str(uuid4())
        if not call:
            return Sent(id_, None, "not called")
        status, error = self._call_gateway(self.webhook(from_, text, id_))
        return Sent(id_, status, error)

    def webhook(self, from_: str, text: str, id_: str, *, at: datetime | None = None) -> WebhookRequest:
        """Build the call that brings a citizen's message."""
        at = at or datetime.now(UTC)
        return calls.call(self._settings, self.webhook_url, self.fields(from_, id_, at) | self._coded(text), at=at)

    def fields(self, from_: str, id_: str, at: datetime) -> dict[str, str | bytes]:
        """Return the fields of a message without its text."""
        receive = self._settings.receive
        given = {
            receive.id: id_,
            receive.sender: from_,
            receive.recipient: self.sender,
            receive.sent_at: calls.moment(receive, at) if receive.sent_at else "",
        }
        return {name: value for name, value in given.items() if name}

    def receipt(self, message: Message, status: str) -> WebhookRequest:
        """Build the call that tells what became of a reply; a %d in its callback is replaced, as Kannel does."""
        receipts, url = self._settings.receipts, message.callback or self.webhook_url
        if "%d" in url:
            return WebhookRequest("GET", url.replace("%d", status), {}, b"", "127.0.0.1")
        fields = {receipts.id: message.reference, receipts.status: status}
        return calls.call(self._settings, url, fields | ({receipts.when: "1"} if receipts.when else {}))

    def _coded(self, text: str) -> dict[str, str | bytes]:
        return calls.coded(self._settings.receive, text)

    # --- what tests and people look at ---

    def replies(self, to: str | None = None) -> list[Message]:
        """Return what the gateway sent, oldest first; to one number if asked."""
        with self._lock:
            return [message for message in self._taken.values() if to in (None, message.to)]

    # --- the API ---

    def _serve(self, method: str, target: str, authorization: str, body: bytes) -> Answer:
        send = self._settings.send
        wanted = urlsplit(send.url)
        if method != send.method or target.partition("?")[0] != wanted.path:
            return Answer(404, b"Not found")
        try:
            given = _given(send, wanted.query, target.partition("?")[2], body)
            said = calls.understood(send, given)
        except ValueError as exc:
            return Answer(400, str(exc).encode())
        if not self._knows(said, authorization):
            return FAILURES["unauthorized"]
        if not said["to"].lstrip("+").isdigit():
            return Answer(400, b"Refused")
        return self._take(said)

    def _knows(self, said: Mapping[str, str], authorization: str) -> bool:
        """Tell whether every secret is the right one."""
        send = self._settings.send
        secrets = {name: secret.reveal() for name, secret in send.secrets.items()}
        if any(said.get(name, value) != value for name, value in secrets.items()):
            return False
        header = next((text for name, text in send.headers.items() if name.lower() == "authorization"), "")
        for name, value in secrets.items():
            header = header.replace(f"{{{name}}}", value)
        return authorization == (login(send.basic.username, send.basic.password.reveal()) if send.basic else header)

    def _take(self, said: Mapping[str, str]) -> Answer:
        send = self._settings.send
        id_ = self._ids.get(said.get("id", ""))
        if id_ is None:
            id_ = str(uuid4())
            text = said["text"] if "text" in said else bytes.fromhex(said["hex"]).decode("utf-16-be")
            reference = id_ if send.id else said.get("reference") or said.get("id", "")
            message = Message(id_, self.sender, said["to"], text, said.get("callback", ""), reference)
            with self._lock:
                self._taken[id_] = message
                if "id" in said:
                    self._ids[said["id"]] = id_
            self._tell(message)
            if self._settings.receipts and message.callback:
                self._later(self._deliver, message)
        sent = next((code for code, outcome in send.outcomes.items() if outcome == "sent"), "")
        kind = "text/plain" if (send.id or send.code or "/").startswith("/") else "application/json"
        return Answer(200, calls.answer_text([send.code, send.id], [sent, id_]), {"Content-Type": kind})

    def _deliver(self, message: Message) -> None:
        for state in ("sent", "delivered"):
            status = next((word for word, kind in self._settings.receipts.states.items() if kind == state), None)
            if status is None:
                continue
            if self._stopping.wait(self._delay):
                return
            answered, _ = self._call_gateway(self.receipt(message, status))
            self.receipts.append((status, answered))


def _given(send: Any, fixed: str, query: str, body: bytes) -> dict[str, Any]:
    """Return the parameters of a call, without those that stand in `send.url` itself."""
    if send.method == "POST" and send.body == "json":
        found = json.loads(body)
        if not isinstance(found, dict):
            raise ValueError("not a JSON object")
        return found
    text = query if send.method == "GET" else body.decode("ascii")
    pairs = parse_qsl(text, keep_blank_values=True, encoding=send.charset)
    return {name: value for name, value in pairs if f"{name}={value}" not in fixed.split("&")}
