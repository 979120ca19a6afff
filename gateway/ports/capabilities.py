"""The capabilities that an adapter may implement, one protocol each.

An adapter implements the capabilities that its provider offers. Every adapter is a `Translator`. An adapter never uses
the database, and only `Poller`, `Listener` and `Replier` may use the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Protocol, runtime_checkable

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


@runtime_checkable
class Translator(Protocol):
    """Translate stored messages: the port that every adapter implements."""

    @property
    def content_types(self) -> frozenset[str]:
        """Return the content types of the messages that the adapter stores; a class attribute is enough."""

    def recognises(self, payload: bytes) -> str | None:
        """Return the content type of a payload, one of `content_types`, or `None`; used by `try` for recorded files."""

    def translate(self, raw: RawMessage) -> Sequence[Event]:
        """Turn one stored message into events. Pure: no clock, network, database or randomness.

        Raises `Untranslatable`, and nothing else, if it cannot read the message.
        """


class Adapter(Translator, Protocol):
    """Serve one channel; the core makes an adapter from validated settings and a context, with no I/O."""

    Settings: ClassVar[type[ChannelSettings]]

    def __init__(self, settings: ChannelSettings, context: ChannelContext) -> None: ...


@runtime_checkable
class Webhook(Protocol):
    """Receive the provider's HTTP requests (webhooks)."""

    @property
    def methods(self) -> frozenset[str]:
        """Return the HTTP methods: "POST", or "GET" if the provider sends everything in the query."""

    @property
    def media_types(self) -> frozenset[str]:
        """Return the media types that a POST's body may have."""

    def verify(self, request: WebhookRequest) -> Envelope:
        """Return the envelope of a request (dedupe key, sender) if it has the provider's valid signature.

        Runs on the event loop for every request: CPU only, microseconds. Raises `Unverified` or `Malformed`.
        """

    def accepted(self, request: WebhookRequest) -> Response:
        """Return the response after which this provider does not send the message again."""


@runtime_checkable
class Poller(Protocol):
    """Fetch messages from a system that does not call us, or that may lose a call."""

    poll_every: float  # seconds

    def poll(self, cursor: str | None) -> Batch:
        """Fetch the next page after the cursor, in any order; the cursor is `None` at the first poll.

        Raises `Unavailable` or `Rejected`.
        """


class Line(Protocol):
    """The core's side of one connection, passed to a `Listener` for as long as the connection lives."""

    @property
    def ending(self) -> bool:
        """Return whether to stop: accept nothing more, finish the work in progress, close, return."""

    def up(self) -> None:
        """Report that the connection is up.

        The status page shows it, and the wait after the next failure is the shortest one again.
        """

    def accept(self, messages: Sequence[FetchedMessage]) -> Sequence[GatewayError | None]:
        """Store messages in one transaction; return per message `None` if it is durable, else the error.

        Acknowledge a message to the provider only after `None`. A message that was stored before counts as durable.
        """


@runtime_checkable
class Listener(Protocol):
    """Hold a connection to the provider open. Only one process holds it; the others wait until its lease ends."""

    def listen(self, line: Line) -> None:
        """Connect, and accept messages until `line.ending` is true; check it at least once a second.

        Raises `Unavailable` if the connection cannot be made or is lost: the core waits and calls again. Runs on its
        own thread; meanwhile other threads call `Replier.reply` of the same adapter, and only in the process that
        listens.
        """


@runtime_checkable
class Joiner(Protocol):
    """Join long messages that come in parts (`events.MessagePart`)."""

    def join(self, parts: Sequence[RawMessage | None]) -> CitizenMessage:
        """Return the message of these parts, in their order; `None` stands for a part that is missing.

        Pure, like `translate`. Join bytes before you decode them: a character may lie in two parts. Raises
        `Untranslatable`.
        """


@runtime_checkable
class Replier(Protocol):
    """Answer citizens."""

    @property
    def own_addresses(self) -> Iterable[str]:
        """Return our own addresses on the channel: a message from one of them is an echo and is never answered."""

    def reply(self, reply: Reply) -> Receipt:
        """Send one message; raise `Throttled` or `Unavailable` if it may be tried again, `Rejected` if it must not."""

    def find(self, reply: Reply) -> Receipt | None:
        """Look up an earlier attempt whose response was lost; return its receipt, or `None` if it is not found.

        Raises `Throttled`, `Unavailable` or `Rejected`.
        """

    def parts(self, text: str) -> int:
        """Return the number of billed parts into which this channel cuts the text."""
