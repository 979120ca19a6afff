"""The values that pass between an adapter and the core."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
from pydantic import BaseModel, ConfigDict

from gateway.domain.errors import Malformed, Untranslatable
from gateway.ports.wire import Fields, WebhookRequest, json_fields

Clock = Callable[[], datetime]  # aware, UTC
HTTP = "message/http"  # content type of a stored webhook: the whole request, as it came
JSON = "application/json"  # content type of one object of a poll's answer
_REQUEST_LINE = re.compile(rb"[A-Z]+ [^ \r\n]+ HTTP/1\.[01]\r\n")


class ChannelSettings(BaseModel):
    """The base of every adapter's `Settings`: the keys of `[channels.<name>]` in a region file."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelContext:
    """The channel that an adapter serves."""

    region: str  # Kemendagri code, "00" for the national channels
    channel: str
    webhook_url: str  # the provider calls it; made of the configured public URL


class Envelope(msgspec.Struct, frozen=True):
    """The identity of a raw message, known before it is translated."""

    key: str  # dedupe key: the same for every delivery of one message, by webhook or by poll
    sender: str | None = None  # the messages of one sender are processed in their order
    # Only if the provider gives no id and the key is made of content and time: the key that the message would have if it
    # came one step of the clock earlier. An earlier delivery may be stored under it.
    former_key: str | None = None


class RawMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it is stored, before translation."""

    id: UUID  # version 7; also the correlation id of all that follows
    region: str
    channel: str
    content_type: str  # one of the adapter's `content_types`
    payload: bytes
    received_at: datetime

    def request(self) -> WebhookRequest:
        """Return the stored webhook; raises `Untranslatable` if it is none."""
        try:
            return WebhookRequest.load(self.payload)
        except Malformed as exc:
            raise Untranslatable(exc.message) from exc

    def json(self) -> Fields:
        """Return the stored JSON object's fields; raises `Untranslatable` if it is none."""
        return json_fields(self.payload)


def recognise(payload: bytes, content_types: Collection[str]) -> str | None:
    """Return HTTP for a whole HTTP request, JSON for an object, if that is one of the types; else `None`.

    The usual body of `Translator.recognises`; an adapter with a content type of its own adds a test for that.
    """
    if HTTP in content_types and _REQUEST_LINE.match(payload):
        return HTTP
    if JSON in content_types and payload.lstrip()[:1] == b"{":
        return JSON
    return None


@dataclass(frozen=True, slots=True)
class FetchedMessage:
    """One message from a poll or from a connection that we hold open."""

    envelope: Envelope
    payload: bytes
    content_type: str = JSON
    from_citizen: bool = True  # False for the report of a device, which must not count as a recovered message


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """One page of a poll; the core saves the cursor in the transaction that stores the messages."""

    messages: Sequence[FetchedMessage]
    cursor: str
    more: bool  # ask again at once, with this cursor


class Response(msgspec.Struct, frozen=True):
    """The answer to the provider after its message is committed."""

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
    """The provider's confirmation that it accepted a reply."""

    external_id: str
    others: tuple[str, ...] = ()  # ids of further parts, if the provider gives each part its own
