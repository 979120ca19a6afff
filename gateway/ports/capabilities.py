"""What an adapter may implement, and the values that pass between it and the core.

Ports are capabilities of one to three methods; an adapter implements those its provider has. Every adapter is a
`Translator`. None of these values knows a database, and only `Poller`, `Listener` and `Replier` may touch the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Protocol, runtime_checkable
from uuid import UUID

import msgspec
from pydantic import BaseModel, ConfigDict

from gateway.domain.errors import GatewayError, Malformed, Untranslatable
from gateway.domain.events import CitizenMessage, Event
from gateway.ports.secret import Secret
from gateway.ports.wire import Fields, WebhookRequest, json_fields

__all__ = [
    "Adapter",
    "Batch",
    "ChannelContext",
    "ChannelSettings",
    "Clock",
    "Envelope",
    "Found",
    "Joiner",
    "Line",
    "Listener",
    "Poller",
    "RawMessage",
    "Receipt",
    "Replier",
    "Reply",
    "Response",
    "Secret",
    "Translator",
    "Webhook",
]

Clock = Callable[[], datetime]  # aware, UTC

HTTP = "message/http"  # content type of a stored webhook: the whole request, as it came
JSON = "application/json"
SMPP = "application/smpp"  # of a message that came over SMPP: the PDU's exact bytes


class ChannelSettings(BaseModel):
    """The base of every adapter's `Settings`: what `[channels.<name>]` in a region file may say."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelContext:
    """What an adapter is told about the channel it serves."""

    region: str  # Kemendagri code, "00" for the national channels
    channel: str
    webhook_url: str  # where its provider reaches us, from the configured public URL


# --- values that come in ---------------------------------------------------------------------------------------


class Envelope(msgspec.Struct, frozen=True):
    """How a raw message is told from others before anybody reads it."""

    key: str  # dedupe key: the same for every delivery of one message, by webhook or by poll
    sender: str | None = None  # messages of one sender are worked on in their order
    # Where the provider gives no id, the key is made of content and time: under this key the message may stand if it
    # came before just a little earlier.
    former_key: str | None = None


class RawMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it is stored, before translation."""

    id: UUID  # version 7; also the correlation id of all that follows
    region: str
    channel: str
    content_type: str  # HTTP, JSON or SMPP
    payload: bytes
    received_at: datetime

    def request(self) -> WebhookRequest:
        """Return the stored webhook."""
        try:
            return WebhookRequest.load(self.payload)
        except Malformed as exc:
            raise Untranslatable(exc.message) from exc

    def json(self) -> Fields:
        """Return the stored JSON object's fields."""
        return json_fields(self.payload)


@dataclass(frozen=True, slots=True)
class Found:
    """One message that a poll or a held connection brought."""

    envelope: Envelope
    payload: bytes
    content_type: str = JSON
    spoken: bool = True  # by a citizen; False for news of a device, which nobody needs to hear was "recovered"


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """One page of a poll. The cursor is saved in the transaction that stores the messages."""

    found: Sequence[Found]
    cursor: str
    more: bool  # ask again at once, with this cursor


# --- values that go out ----------------------------------------------------------------------------------------


class Response(msgspec.Struct, frozen=True):
    """What the provider is answered once its message is committed."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A message to a citizen."""

    id: UUID  # the same for every attempt
    to: str  # address on the channel
    text: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Receipt:
    """The provider's word that it took a reply."""

    external_id: str
    others: tuple[str, ...] = ()  # ids of further parts, where the provider numbers each


# --- the ports -------------------------------------------------------------------------------------------------


class Adapter(Protocol):
    """How the core makes an adapter: from validated settings and a context, with no I/O."""

    Settings: ClassVar[type[ChannelSettings]]

    def __init__(self, settings: Any, context: ChannelContext) -> None: ...


@runtime_checkable
class Translator(Protocol):
    """Every adapter."""

    def translate(self, raw: RawMessage) -> Sequence[Event]:
        """Turn one stored message into events. Pure: no clock, network, database or randomness.

        Raises `Untranslatable`, and nothing else, for what it cannot read.
        """


@runtime_checkable
class Webhook(Protocol):
    """A provider that calls us."""

    methods: frozenset[str]  # of HTTP: "POST", or "GET" for providers that send everything in the query
    media_types: frozenset[str]  # of a POST's body

    def verify(self, request: WebhookRequest) -> Envelope:
        """Refuse what the provider did not sign, else say how to tell the message from others.

        Runs on the event loop for every request: CPU only, microseconds. Raises `Unverified` or `Malformed`.
        """

    def accepted(self, request: WebhookRequest) -> Response:
        """Return the answer that this provider takes for "stored, do not send it again"."""


@runtime_checkable
class Poller(Protocol):
    """A system we ask, because it does not call us or forgets to."""

    poll_every: float  # seconds

    def poll(self, cursor: str | None) -> Batch:
        """Fetch the next page after the cursor, oldest need not come first. Raises `Unavailable` or `Rejected`."""


class Line(Protocol):
    """What the core gives a `Listener` for the life of one connection."""

    @property
    def ending(self) -> bool:
        """Whether to stop: take nothing more, finish what is under way, close, return."""

    def up(self) -> None:
        """Tell that the connection stands; shown to the operator, and the next failure waits the shortest time again."""

    def accept(self, found: Sequence[Found]) -> Sequence[GatewayError | None]:
        """Store messages in one transaction; for each `None` once it is durable, or why it is not.

        Only then may the provider be told that we have it. One that was stored before counts as durable.
        """


@runtime_checkable
class Listener(Protocol):
    """A connection that we hold open. One process of all holds it; the others stand by."""

    def listen(self, line: Line) -> None:
        """Connect, and take what comes until `line.ending`; look at that at least once a second.

        Raises `Unavailable` where the connection cannot be made or is lost: the core waits and calls again. Runs on a
        thread of its own; `Replier.reply` of the same adapter is called from other threads meanwhile, and only in the
        process that listens.
        """


@runtime_checkable
class Joiner(Protocol):
    """A channel whose long messages come in parts (`events.MessagePart`)."""

    def join(self, parts: Sequence[RawMessage | None]) -> CitizenMessage:
        """Return the message of its parts in their order; `None` stands for one that never came.

        Pure, like `translate`. Bytes are joined before they are decoded: characters straddle parts. Raises
        `Untranslatable`.
        """


@runtime_checkable
class Replier(Protocol):
    """A channel that can answer a citizen."""

    own_addresses: Iterable[str]  # ours: messages from them are echoes, never answered

    def reply(self, reply: Reply) -> Receipt:
        """Send one message. Raises `Throttled`, `Unavailable` (may be retried) or `Rejected` (must not)."""

    def find(self, reply: Reply) -> Receipt | None:
        """Look up whether an earlier attempt whose answer was lost did go out. `None`: it did not, or no telling."""

    def parts(self, text: str) -> int:
        """Return how many billed parts the text takes on this channel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """A configured instance: one adapter serving one region under one name."""

    region: str
    name: str
    adapter_key: str
    adapter: Any  # what it can do is told by the ports it implements
    own_addresses: frozenset[str] = frozenset()  # messages from these are our own echoes
    replies: bool = True

    @property
    def address(self) -> str:
        """`region/name`, as in URLs, logs and metrics."""
        return f"{self.region}/{self.name}"
