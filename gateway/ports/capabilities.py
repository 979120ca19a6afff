"""What an adapter may implement, and the values that pass between it and the core.

Ports are capabilities of one to three methods; an adapter implements those its provider has. Every adapter is a
`Translator`. None of these values knows a database, and only `Poller`, `Listener` and `Replier` may touch the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from gateway.domain.errors import GatewayError
from gateway.domain.events import CitizenMessage, Event
from gateway.ports.values import (
    Batch,
    ChannelContext,
    ChannelSettings,
    Envelope,
    FetchedMessage,
    RawMessage,
    Receipt,
    Reply,
    Response,
)
from gateway.ports.wire import WebhookRequest

# --- values that come in ---------------------------------------------------------------------------------------


# --- values that go out ----------------------------------------------------------------------------------------


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

    def accept(self, found: Sequence[FetchedMessage]) -> Sequence[GatewayError | None]:
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
