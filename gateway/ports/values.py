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
HTTP = "message/http"  # content type of a stored webhook: the whole request (`WebhookRequest.dump`)
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
    webhook_url: str  # the provider sends webhooks to it: the configured public URL and the channel's path


class Envelope(msgspec.Struct, frozen=True):
    """The identity of a raw message, known before it is translated."""

    key: str  # dedupe key: the same for every delivery of one message, by webhook or by poll
    sender: str | None = None  # the messages of one sender are processed in their order
    # Only if the provider gives no id, so that the key is made of content and time window: the key in the time window
    # before. The message is a repeated delivery if one is stored under either key.
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
        """Return the stored HTTP request; raises `Untranslatable` if the payload is no request."""
        try:
            return WebhookRequest.load(self.payload)
        except Malformed as exc:
            raise Untranslatable(exc.message) from exc

    def json(self) -> Fields:
        """Return the fields of the stored JSON object; raises `Untranslatable` if the payload is no object."""
        return json_fields(self.payload)


def recognise(payload: bytes, content_types: Collection[str]) -> str | None:
    """Return `HTTP` for an HTTP request, `JSON` for a JSON object, if `content_types` has it; else `None`.

    Most adapters call it in `Translator.recognises`; one with a content type of its own adds a test for that.
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
    more: bool  # True if there is another page: poll again at once, with this cursor


class Response(msgspec.Struct, frozen=True):
    """The answer to the provider after its message is committed."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A message to a citizen."""

    id: UUID  # the same for every attempt, so that a provider can drop a repeated one
    to: str  # address on the channel
    text: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Receipt:
    """The provider's confirmation that it accepted a reply."""

    external_id: str
    others: tuple[str, ...] = ()  # ids of further parts, if the provider gives each part its own
