"""What the contract suite must be told about one provider, and the forms it works with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec
from hypothesis import strategies as st

from gateway.domain.errors import GatewayError, Malformed, Untranslatable, Unverified
from gateway.domain.events import Event
from gateway.ports import HTTP, JSON, Envelope, FetchedMessage, RawMessage
from gateway.ports.wire import WebhookRequest

RAW_ID = UUID("01900000-0000-7000-8000-000000000001")
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

TEXTS = {
    "emoji": "Banjir 😭🌊👩🏽‍🚒 tolong",
    "right-to-left": "الطريق مكسور أمام المدرسة",
    "empty": "",
    "huge": "jalan rusak & gelap, 100% parah + bau = ?\n" * 4000,
    "control": "satu\r\ndua\ttiga; \u2028 empat",
}

_objects: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["sid", "id", "direction", "from", "to", "body", "text", "num_media", "date_sent"]),
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just("inbound") | st.just([{}]),
)
# A message as it reaches the gateway: by webhook, or over a connection that it holds.
Message = WebhookRequest | FetchedMessage

PAYLOADS = st.binary(max_size=200) | (_objects | st.lists(_objects)).map(lambda value: json.dumps(value).encode())


class Provider(Protocol):
    """The simulated provider, for adapters that reply."""

    def fail(self, how: str, *, next: int = 1, on: str = "send") -> None:  # noqa: A002 - as FakeTwilio has it
        """Let the next calls fail: throttle, server_error, unauthorized, reject:CODE, timeout, drop_after_accept."""

    def replies_to(self, number: str) -> list[str]:
        """Return the texts sent to an address, oldest first."""


class Forge(Protocol):
    """What the contract cannot know: how this provider writes and signs."""

    signature_header: str  # lower case; "" where the provider cannot sign and the adapter says so
    sender: str  # an invented citizen's address on this channel
    refused_code: str  # how the provider's simulator is told to refuse for good: "reject:21211"
    secrets: Iterable[str]  # what must never be logged, besides `sender`
    provider: Provider | None  # None for adapters that never reply
    # Optional. Why a reply whose answer was lost may be sent twice: the provider can neither be asked nor drop it.
    resends: str

    def message(self, text: str, external_id: str) -> Message:
        """Build a citizen's message from `sender`: a signed webhook, or what `listen` would hand to the core."""

    def unknown(self) -> Message:
        """Build one of a kind that the adapter cannot know, as a provider may add one any day."""

    def garbage(self, body: bytes) -> Message:
        """Build one with this body, correctly signed."""


def stored(message: Message) -> RawMessage:
    """Return a message as the inbox keeps it."""
    if isinstance(message, FetchedMessage):
        return raw_message(message.payload, message.content_type)
    return raw_message(message.dump(), HTTP)


def envelope_of(adapter: Any, message: Message) -> Envelope:
    """Return how a message is told from others; raises `Unverified` or `Malformed` for a webhook."""
    if isinstance(message, FetchedMessage):
        return message.envelope
    envelope: Envelope = adapter.verify(message)
    return envelope


def raw_message(payload: bytes, content_type: str = JSON) -> RawMessage:
    """Return a payload as the inbox keeps it, with a fixed id and time."""
    return RawMessage(
        id=RAW_ID, region="00", channel="test", content_type=content_type, payload=payload, received_at=MOMENT
    )


def outcome(adapter: Any, message: Message) -> dict[str, Any]:
    """Return what verify and translate make of a message, in the form of an `expected/*.json` file."""
    try:
        envelope = envelope_of(adapter, message)
    except (Unverified, Malformed) as exc:
        return {"refused": exc.code}
    found: dict[str, Any] = {"envelope": {"key": envelope.key, "sender": envelope.sender}}
    try:
        events = adapter.translate(stored(message))
    except Untranslatable as exc:
        return found | {"dead": exc.reason}
    return found | {"events": [_shown(event) for event in events]}


def _shown(event: Event) -> dict[str, Any]:
    """Return an event as JSON has it, without the fields that hold their default: expected files stay short."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(event)}
    told = {name: value for name, value in msgspec.structs.asdict(event).items() if value != defaults[name]}
    fields: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(told))
    return {"type": type(event).__name__, **fields}


def raised_by(call: Callable[..., Any], *args: Any) -> GatewayError | None:
    """Return the error of the closed list that a call raises, or `None`; any other error passes."""
    try:
        call(*args)
    except GatewayError as exc:
        return exc
    return None
