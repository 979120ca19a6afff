"""What a channel with `adapter = "sms.http"` may say: one table for each of auth, receive, send, receipts.

A name in these tables is a parameter of the query or the form, or in a JSON body a path like `data.message.0.text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from adapters.sms.http.auth_settings import PLACEHOLDER, Auth, Basic, Name, Table
from adapters.sms.http.text import CHARSETS
from gateway.domain.events import Delivery
from gateway.ports import ChannelSettings, Secret

FILLED = ("to", "text", "hex", "id", "from", "callback")  # placeholders of `send`, besides the names of its secrets
_OFFSET = r"^[+-][01]\d:[0-5]\d$"


def _known_charset(name: str) -> str:
    if name.lower() not in CHARSETS:
        raise ValueError(f"is no character set we know; there are: {', '.join(sorted(CHARSETS))}")
    return name.lower()


def _extractor(text: str) -> str:
    if text.startswith("/"):
        if not text.endswith("/") or len(text) < 3:
            raise ValueError("a regular expression stands between two slashes")
        try:
            groups = re.compile(text[1:-1]).groups
        except re.error as exc:
            raise ValueError(f"is not a regular expression: {exc}") from exc
        if groups != 1:
            raise ValueError("the regular expression needs one pair of brackets, around what is wanted")
    return text


Charset = Annotated[str, AfterValidator(_known_charset)]
Extractor = Annotated[str, Field(min_length=1), AfterValidator(_extractor)]


class Parts(Table):
    """`receive.parts`: for an aggregator that does not join long messages."""

    udh: Name | None = Field(default=None, description="Name of the user data header.")
    udh_form: Literal["hex", "raw"] = Field(default="hex", description="Whether it comes as hex digits or as bytes.")
    reference: Name | None = Field(default=None, description="Name of what the parts have in common.")
    number: Name | None = Field(default=None, description="Name of the part's number, from 1.")
    total: Name | None = Field(default=None, description="Name of the number of parts.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        named = [self.reference, self.number, self.total]
        if (not any(named)) if self.udh else all(named):
            return self
        raise ValueError("name the udh, or all three of reference, number and total")


class Answer(Table):
    """`receive.answer`: what the aggregator takes for "stored"."""

    status: int = Field(default=200, ge=200, le=299, description="HTTP status.")
    body: str = Field(default="", description='Body, as "ACK/Jasmin".')
    content_type: str = Field(default="text/plain; charset=utf-8", description="Content type of the body.")


class Receive(Table):
    """`receive`: how a citizen's message comes in."""

    method: Literal["GET", "POST"] = Field(default="POST", description="HTTP method.")
    body: Literal["form", "json"] = Field(default="form", description="Form of a POST's body.")
    id: Name | None = Field(default=None, description="Name of the aggregator's own message id.")
    sender: Name = Field(description="Name of the citizen's number.")
    recipient: Name | None = Field(default=None, description="Name of our number; left out: `sender` of the channel.")
    text: Name = Field(description="Name of the text.")
    hex: Name | None = Field(default=None, description="Name of the text's bytes in hex; used where it is not empty.")
    charset: Charset = Field(default="utf-8", description="Character set of the text, unless told otherwise.")
    charset_from: Name | None = Field(default=None, description="Name of what tells the character set.")
    coding_from: Name | None = Field(default=None, description="Name of the SMS coding; looked up in `codings`.")
    coding_raw: bool = Field(default=False, description="Whether the coding is one raw byte, not digits.")
    codings: dict[str, Charset] = Field(default_factory=dict, description="Coding → character set.")
    sent_at: Name | None = Field(default=None, description="Name of the time at which it was sent.")
    time_format: str = Field(default="iso", description="iso, unix, unix_ms, or a pattern as %Y-%m-%d %H:%M:%S.")
    utc_offset: str = Field(default="+07:00", pattern=_OFFSET, description="Offset of times that name none.")
    same_within: float | None = Field(
        default=None, ge=1, le=86_400, description="Without id and time: seconds in which equal texts are one message."
    )
    parts: Parts | None = Field(default=None, description="How the parts of a long message are told.")
    answer: Answer = Field(default=Answer(), description='What we answer for "stored".')

    @field_validator("time_format")
    @classmethod
    def _is_pattern(cls, text: str) -> str:
        if text in ("iso", "unix", "unix_ms"):
            return text
        written = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).strftime(text)
        try:
            read = datetime.strptime(written, text)  # noqa: DTZ007  only its date is looked at
        except ValueError:
            read = None
        if read is None or read.year != 2026:
            raise ValueError("must be iso, unix, unix_ms, or a pattern with a date, as %Y-%m-%d %H:%M:%S")
        return text

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not (self.id or self.sent_at or self.same_within):
            raise ValueError(
                "nothing tells a second delivery of a message from a second message: name its id or sent_at, "
                "or say with same_within for how many seconds equal texts of one sender are one message"
            )
        if self.same_within and (self.id or self.sent_at):
            raise ValueError("same_within is only for messages without id and sent_at")
        if bool(self.codings) != bool(self.coding_from):
            raise ValueError("coding_from and the table codings go together")
        return self


class Outcome(StrEnum):
    """What an aggregator's code says of a message that we gave it."""

    SENT = "sent"
    THROTTLED = "throttled"  # slower, please
    UNAVAILABLE = "unavailable"  # try later: also what an operator can put right
    REJECTED = "rejected"  # never again


class Send(Table):
    """`send`: how a reply goes out."""

    url: str = Field(description="Where it is sent to.")
    method: Literal["GET", "POST"] = Field(default="POST", description="HTTP method; GET sends all in the query.")
    body: Literal["form", "json"] = Field(default="form", description="Form of a POST's body.")
    parameters: dict[str, Any] = Field(
        description="What is sent; texts may hold {to}, {text}, {hex}, {id}, {from}, {callback} and names of secrets."
    )
    gsm: dict[str, Any] = Field(default_factory=dict, description="Further parameters of a text that fits GSM 7-bit.")
    unicode: dict[str, Any] = Field(default_factory=dict, description="Further parameters of any other text.")
    headers: dict[str, str] = Field(default_factory=dict, description='Headers, as "Bearer {api_key}".')
    secrets: dict[str, Secret] = Field(default_factory=dict, description="Secrets by the name that templates use.")
    basic: Basic | None = Field(default=None, description="User name and password we call it with.")
    charset: Literal["utf-8", "iso-8859-1"] = Field(default="utf-8", description="Character set of query or form.")
    id: Extractor | None = Field(
        default=None, description="Where the answer names its id: path, or /regex (…)/; left out: our own {id}."
    )
    code: Extractor | None = Field(
        default=None, description="Where the answer tells how it went; left out: HTTP status."
    )
    outcomes: dict[str, Outcome] = Field(default_factory=dict, description="Code or HTTP status → what it means.")
    timeout: float = Field(default=10, gt=0, le=60, description="Seconds to wait.")
    plain_http: Annotated[str, Field(min_length=10)] | None = Field(
        default=None, description="Why secrets may go unencrypted to a public host, in words."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._private()
        known = {*FILLED, *self.secrets}
        for name, table in {"gsm": self.gsm, "unicode": self.unicode}.items():
            flat = self.method == "GET" or self.body == "form"
            if flat and not all(isinstance(value, str | int) for value in {**self.parameters, **table}.values()):
                raise ValueError("parameters are texts and numbers; only a POST of json may nest them")
            used = {word for text in texts({**self.parameters, **table}) for word in PLACEHOLDER.findall(text)}
            if unknown := used - known:
                raise ValueError(f"unknown placeholder {{{min(unknown)}}}; there are: {', '.join(sorted(known))}")
            if "to" not in used or not used & {"text", "hex"}:
                raise ValueError(f"parameters with {name} must hold {{to}}, and {{text}} or {{hex}}")
        if unknown := {w for text in self.headers.values() for w in PLACEHOLDER.findall(text)} - known:
            raise ValueError(f"unknown placeholder {{{min(unknown)}}} in headers")
        if self.code and Outcome.SENT not in self.outcomes.values():
            raise ValueError('with code, the table outcomes must say what means "sent"')
        if self.basic and any(name.lower() == "authorization" for name in self.headers):
            raise ValueError("basic and a header authorization exclude each other")
        return self

    def _private(self) -> None:
        url = urlsplit(self.url)
        if url.scheme not in ("http", "https") or not url.hostname or url.username or url.fragment:
            raise ValueError("url must be https://host/path, without user name and #")
        if url.scheme == "http" and not self.plain_http and not _is_inside(url.hostname):
            raise ValueError("url must begin with https://: only an address in a private network may have http://")


class Receipts(Table):
    """`receipts`: how the aggregator tells what became of a reply. It calls the same address as for messages."""

    id: Name = Field(description="Name of the id that it gave, or that we gave, when the reply was sent.")
    status: Name = Field(description="Name of the status.")
    states: dict[str, Delivery] = Field(description="Status → sent, delivered or failed; others are ignored.")
    error: Name | None = Field(default=None, description="Name of the error code.")
    when: Name | None = Field(default=None, description="What only a receipt has; left out: the status.")


class HttpSettings(ChannelSettings):
    """What `[channels.<name>]` with `adapter = "sms.http"` may say."""

    sender: str = Field(pattern=r"^\+?[0-9A-Za-z]{3,15}$", description="Our number, short code or sender name.")
    auth: Auth = Field(description="How we know that a call is the aggregator's.")
    receive: Receive = Field(description="How a citizen's message comes in.")
    send: Send | None = Field(default=None, description="How a reply goes out.")
    receipts: Receipts | None = Field(default=None, description="How the aggregator reports what became of a reply.")

    @model_validator(mode="after")
    def _signature_covers_message(self) -> Self:
        if self.auth.hmac is None:
            return self
        signed = set(PLACEHOLDER.findall(self.auth.hmac.base))
        wanted = {"url", "path", "query"} if self.receive.method == "GET" else {"body", "body_sha256"}
        if not signed & wanted:
            raise ValueError(f"auth.hmac.base must hold one of {', '.join(sorted(wanted))}: else it signs no message")
        return self


def texts(value: Any) -> Iterator[str]:
    """Yield every text in nested tables and lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def _is_inside(host: str) -> bool:
    try:
        return ip_address(host).is_private
    except ValueError:
        return host == "localhost"
