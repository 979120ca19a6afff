"""What an adapter may implement, and the values that pass between it and the core.

Ports are capabilities of one to three methods; an adapter implements those its provider has. Every adapter is a
`Translator`. None of these values knows a database, and only `Poller` and `Replier` may touch the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Protocol, runtime_checkable
from urllib.parse import unquote_to_bytes
from uuid import UUID

import msgspec
from pydantic import BaseModel, ConfigDict

from gateway.errors import Malformed, Untranslatable
from gateway.events import Event
from gateway.secret import Secret

__all__ = [
    "Adapter",
    "Batch",
    "ChannelContext",
    "ChannelSettings",
    "Clock",
    "Envelope",
    "Fields",
    "Found",
    "Poller",
    "RawMessage",
    "Receipt",
    "Replier",
    "Reply",
    "Response",
    "Secret",
    "Translator",
    "Webhook",
    "WebhookRequest",
]

Clock = Callable[[], datetime]  # aware, UTC

HTTP = "message/http"  # content type of a stored webhook: the whole request, as it came
JSON = "application/json"


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


class Fields:
    """Untrusted named values: nothing is read without saying what it must be.

    A missing or misshapen field raises `Untranslatable` naming it, never `KeyError`.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def need(self, name: str) -> str:
        """Return a text that must be there and not be empty."""
        value = self.get(name)
        if not value:
            raise Untranslatable(f"field {name} is missing")
        return value

    def get(self, name: str, default: str = "") -> str:
        """Return a text, or the default where the field is absent or null."""
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, bytes):
            try:
                return value.decode("utf-8")
            except UnicodeDecodeError as exc:
                raise Untranslatable(f"field {name} is not UTF-8") from exc
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise Untranslatable(f"field {name} is not text")
        return str(value)

    def number(self, name: str, default: int = 0) -> int:
        """Return a whole number of at most nine digits."""
        text = self.get(name)
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise Untranslatable(f"field {name} is not a number")
        return int(text)


def form_pairs(body: bytes) -> list[tuple[bytes, bytes]]:
    """Split an `application/x-www-form-urlencoded` body into decoded pairs, in their order, blanks kept.

    Bytes, not text: a signature covers what was sent, whether or not it is valid UTF-8.
    """
    pairs = []
    for part in body.replace(b"+", b" ").split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            if 37 in part:  # "%" as a number: this runs for every request, and bytes in bytes is five times slower
                name, value = unquote_to_bytes(name), unquote_to_bytes(value)
            pairs.append((name, value))
    return pairs


def media_type(headers: Mapping[str, str]) -> str:
    """Return the content type without its parameters, in lower case; names of headers are in lower case."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def json_fields(text: bytes) -> Fields:
    """Read a JSON object; raises `Untranslatable` for anything else."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise Untranslatable("the payload is not JSON") from exc
    if not isinstance(found, dict):
        raise Untranslatable("the payload is not a JSON object")
    return Fields(found)


class WebhookRequest(msgspec.Struct, frozen=True):
    """One HTTP request of a provider. `url` is the public one, from configuration, never from the proxy."""

    method: str
    url: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def form(self) -> Fields:
        """Return the body's form fields; of a repeated field the first counts."""
        # Reversed, because of equal names the last one stays in a dict.
        return Fields({name.decode("utf-8", "replace"): value for name, value in reversed(form_pairs(self.body))})

    def json(self) -> Fields:
        """Return the fields of a JSON object in the body; raises `Untranslatable` for anything else."""
        return json_fields(self.body)

    def dump(self) -> bytes:
        """Return the request as bytes in HTTP/1.1 form: request line, headers, blank line, body."""
        lines = [f"{self.method} {self.url} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + self.body

    @classmethod
    def load(cls, stored: bytes) -> WebhookRequest:
        """Read what `dump` wrote, or a request file; raises `Malformed` where it is neither."""
        head, blank, body = stored.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if not blank or len(words) != 3:
            raise Malformed("not an HTTP request: request line, headers, blank line, all ended by CR LF")
        headers = {}
        for line in rest:
            name, colon, value = line.partition(":")
            if not colon:
                raise Malformed("a header line has no colon")
            headers[name.strip().lower()] = value.strip()
        return cls(words[0], words[1], headers, body)


class Envelope(msgspec.Struct, frozen=True):
    """How a raw message is told from others before anybody reads it."""

    key: str  # dedupe key: the same for every delivery of one message, by webhook or by poll
    sender: str | None = None  # messages of one sender are worked on in their order


class RawMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it is stored, before translation."""

    id: UUID  # version 7; also the correlation id of all that follows
    region: str
    channel: str
    content_type: str  # HTTP or JSON
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
    """One message that a poll brought."""

    envelope: Envelope
    payload: bytes
    content_type: str = JSON


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

    media_types: ClassVar[frozenset[str]]

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
