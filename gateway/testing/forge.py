"""The protocol of a forge: the messages and facts of one provider that the contract suite needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import ParamSpec, Protocol
from uuid import UUID

import msgspec
from hypothesis import strategies as st

from gateway.domain.errors import GatewayError, Malformed, Untranslatable, Unverified
from gateway.domain.events import Event
from gateway.ports import HTTP, JSON, Envelope, FetchedMessage, RawMessage, Translator, Webhook
from gateway.ports.wire import WebhookRequest

P = ParamSpec("P")

RAW_ID = UUID("01900000-0000-7000-8000-000000000001")
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

TEXTS = {
    "emoji": "Banjir 😭🌊👩🏽‍🚒 tolong",
    "right-to-left": "الطريق مكسور أمام المدرسة",
    "empty": "",
    "huge": "jalan rusak & gelap, 100% parah + bau = ?\n" * 4000,
    "control": "satu\r\ndua\ttiga; \u2028 empat",
}

_objects: st.SearchStrategy[dict[str, object]] = st.dictionaries(
    st.sampled_from(["sid", "id", "direction", "from", "to", "body", "text", "num_media", "date_sent"]),
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just("inbound") | st.just([{}]),
)
# A message that reaches the gateway: as a webhook, or by a poll or a held connection.
Message = WebhookRequest | FetchedMessage

PAYLOADS = st.binary(max_size=200) | (_objects | st.lists(_objects)).map(lambda value: json.dumps(value).encode())


class Provider(Protocol):
    """The simulated provider of an adapter that replies."""

    def fail(self, how: str, *, next: int = 1, on: str = "send") -> None:  # noqa: A002 - as SimulatedProvider has it
        """Let the next calls fail: throttle, server_error, unauthorized, reject:CODE, timeout, drop_after_accept."""

    def replies_to(self, number: str) -> list[str]:
        """Return the texts sent to an address, oldest first."""


class Forge(Protocol):
    """Write and sign messages as one provider does.

    A forge may also have `resends`: the reason why a reply may be sent twice if the provider's answer was lost. It is
    for providers that have no look-up and do not drop a repeated id.
    """

    @property
    def signature_header(self) -> str:
        """Return the header of the signature, in lower case; empty if the provider cannot sign."""

    @property
    def sender(self) -> str:
        """Return an invented citizen's address on this channel."""

    @property
    def refused_code(self) -> str:
        """Return the failure with which the simulator refuses a reply for good, such as "reject:21211"."""

    @property
    def secrets(self) -> Iterable[str]:
        """Return the texts that must never be logged, besides `sender`."""

    @property
    def provider(self) -> Provider | None:
        """Return the simulated provider; `None` for an adapter that never replies."""

    def message(self, text: str, external_id: str) -> Message:
        """Build a citizen's message from `sender`: a signed webhook, or the message that `listen` passes to the core."""

    def unknown(self) -> Message:
        """Build a message of a kind that the adapter does not handle: a provider may add one at any time."""

    def garbage(self, body: bytes) -> Message:
        """Build a message with this body, correctly signed."""


def stored(message: Message) -> RawMessage:
    """Return a message in the form in which the inbox stores it."""
    if isinstance(message, FetchedMessage):
        return raw_message(message.payload, message.content_type)
    return raw_message(message.dump(), HTTP)


def envelope_of(adapter: Translator, message: Message) -> Envelope:
    """Return the envelope of a message; raises `Unverified` or `Malformed` for a webhook."""
    if isinstance(message, FetchedMessage):
        return message.envelope
    assert isinstance(adapter, Webhook), "write verify and accepted: the forge builds webhooks"
    return adapter.verify(message)


def raw_message(payload: bytes, content_type: str = JSON) -> RawMessage:
    """Return a payload in the form in which the inbox stores it, with a fixed id and time."""
    return RawMessage(
        id=RAW_ID, region="00", channel="test", content_type=content_type, payload=payload, received_at=MOMENT
    )


def outcome(adapter: Translator, message: Message) -> dict[str, object]:
    """Return the results of verify and translate, in the form of an `expected/*.json` file."""
    try:
        envelope = envelope_of(adapter, message)
    except (Unverified, Malformed) as exc:
        return {"refused": exc.code}
    result: dict[str, object] = {"envelope": {"key": envelope.key, "sender": envelope.sender}}
    try:
        events = adapter.translate(stored(message))
    except Untranslatable as exc:
        return result | {"dead": exc.reason}
    return result | {"events": [_shown(event) for event in events]}


def _shown(event: Event) -> dict[str, object]:
    """Return an event as JSON values, without the fields that have their default: expected files stay short."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(event)}
    special = {name: value for name, value in msgspec.structs.asdict(event).items() if value != defaults[name]}
    fields: dict[str, object] = msgspec.json.decode(msgspec.json.encode(special))
    return {"type": type(event).__name__, **fields}


def raised_by(call: Callable[P, object], *args: P.args, **options: P.kwargs) -> GatewayError | None:
    """Return the `GatewayError` that a call raises, or `None`; other errors are not caught."""
    try:
        call(*args, **options)
    except GatewayError as exc:
        return exc
    return None
