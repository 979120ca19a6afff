"""Define the settings of a channel with `adapter = "sms.http"`: the tables auth, receive, send and receipts.

A name in these tables is a parameter of the query or the form, or in a JSON body a path like `data.message.0.text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from adapters.common.addresses import PlainHttp, check_private
from adapters.sms.http.auth_settings import PLACEHOLDER, Auth, Basic, Name, Table
from adapters.sms.http.text import CHARSETS
from gateway.domain.events import Delivery
from gateway.ports import ChannelSettings, Secret

FILLED = ("to", "text", "hex", "id", "from", "callback")  # placeholders of `send`, besides the names of its secrets
_OFFSET = r"^[+-][01]\d:[0-5]\d$"


def _known_charset(name: str) -> str:
    if name.lower() not in CHARSETS:
        raise ValueError(f"is not a known character set; there are: {', '.join(sorted(CHARSETS))}")
    return name.lower()


def _extractor(text: str) -> str:
    if text.startswith("/"):
        if not text.endswith("/") or len(text) < 3:
            raise ValueError("write a regular expression between two slashes")
        try:
            groups = re.compile(text[1:-1]).groups
        except re.error as exc:
            raise ValueError(f"is not a regular expression: {exc}") from exc
        if groups != 1:
            raise ValueError("the regular expression needs one pair of brackets, around the value")
    return text


Charset = Annotated[str, AfterValidator(_known_charset)]
Extractor = Annotated[str, Field(min_length=1), AfterValidator(_extractor)]


class Parts(Table):
    """`receive.parts`: for an aggregator that does not join long messages."""

    udh: Name | None = Field(default=None, description="Name of the user data header.")
    udh_form: Literal["hex", "raw"] = Field(
        default="hex", description="Form of the user data header: hex digits or bytes."
    )
    reference: Name | None = Field(default=None, description="Name of the reference that all parts of a message have.")
    number: Name | None = Field(default=None, description="Name of the part's number, from 1.")
    total: Name | None = Field(default=None, description="Name of the number of parts.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        named = [self.reference, self.number, self.total]
        if (not any(named)) if self.udh else all(named):
            return self
        raise ValueError("name the udh, or all three of reference, number and total")


class Answer(Table):
    """`receive.answer`: the answer that means "stored" to the aggregator."""

    status: int = Field(default=200, ge=200, le=299, description="HTTP status.")
    body: str = Field(default="", description='Body, such as "ACK/Jasmin".')
    content_type: str = Field(default="text/plain; charset=utf-8", description="Content type of the body.")


class Receive(Table):
    """`receive`: the form of a citizen's message."""

    method: Literal["GET", "POST"] = Field(default="POST", description="HTTP method.")
    body: Literal["form", "json"] = Field(default="form", description="Form of a POST's body.")
    id: Name | None = Field(default=None, description="Name of the aggregator's own message id.")
    sender: Name = Field(description="Name of the citizen's number.")
    recipient: Name | None = Field(default=None, description="Name of our number; left out: `sender` of the channel.")
    text: Name = Field(description="Name of the text.")
    hex: Name | None = Field(default=None, description="Name of the text's bytes in hex; used if it is not empty.")
    charset: Charset = Field(default="utf-8", description="Character set of the text, if the call does not name one.")
    charset_from: Name | None = Field(default=None, description="Name of the character set's name.")
    coding_from: Name | None = Field(default=None, description="Name of the SMS coding; looked up in `codings`.")
    coding_raw: bool = Field(default=False, description="Whether the coding is one raw byte, not digits.")
    codings: dict[str, Charset] = Field(default_factory=dict, description="Coding → character set.")
    sent_at: Name | None = Field(default=None, description="Name of the time of sending.")
    time_format: str = Field(default="iso", description="iso, unix, unix_ms, or a pattern such as %Y-%m-%d %H:%M:%S.")
    utc_offset: str = Field(
        default="+07:00", pattern=_OFFSET, description="Offset from UTC of times without an offset."
    )
    same_within: float | None = Field(
        default=None, ge=1, le=86_400, description="Without id and time: seconds in which equal texts are one message."
    )
    parts: Parts | None = Field(default=None, description="The form of the parts of long messages.")
    answer: Answer = Field(default=Answer(), description='The answer that means "stored".')

    @field_validator("time_format")
    @classmethod
    def _is_pattern(cls, text: str) -> str:
        if text in ("iso", "unix", "unix_ms"):
            return text
        written = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).strftime(text)
        try:
            read = datetime.strptime(written, text)  # noqa: DTZ007  only its date is read
        except ValueError:
            read = None
        if read is None or read.year != 2026:
            raise ValueError("must be iso, unix, unix_ms, or a pattern with a date, such as %Y-%m-%d %H:%M:%S")
        return text

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not (self.id or self.sent_at or self.same_within):
            raise ValueError(
                "a second delivery of a message looks like a second message: name its id or sent_at, "
                "or set same_within: for so many seconds, equal texts of one sender are one message"
            )
        if self.same_within and (self.id or self.sent_at):
            raise ValueError("same_within is only for messages without id and sent_at")
        if bool(self.codings) != bool(self.coding_from):
            raise ValueError("coding_from and the table codings go together")
        return self


class Outcome(StrEnum):
    """The meaning of an aggregator's answer to a reply."""

    SENT = "sent"
    THROTTLED = "throttled"  # send slower
    UNAVAILABLE = "unavailable"  # send again later: also if an operator has to repair something
    REJECTED = "rejected"  # do not send again


class Send(Table):
    """`send`: the form of a reply."""

    url: str = Field(description="The aggregator's address for replies.")
    method: Literal["GET", "POST"] = Field(
        default="POST", description="HTTP method; GET sends all parameters in the query."
    )
    body: Literal["form", "json"] = Field(default="form", description="Form of a POST's body.")
    parameters: dict[str, object] = Field(
        description="Parameters of a reply; texts may hold {to}, {text}, {hex}, {id}, {from}, {callback} and names of secrets."
    )
    gsm: dict[str, object] = Field(
        default_factory=dict, description="Further parameters of a text that fits GSM 7-bit."
    )
    unicode: dict[str, object] = Field(default_factory=dict, description="Further parameters of any other text.")
    headers: dict[str, str] = Field(default_factory=dict, description='Headers, such as "Bearer {api_key}".')
    secrets: dict[str, Secret] = Field(default_factory=dict, description="Secrets by the name that templates use.")
    basic: Basic | None = Field(default=None, description="User name and password of our calls.")
    charset: Literal["utf-8", "iso-8859-1"] = Field(default="utf-8", description="Character set of query or form.")
    id: Extractor | None = Field(
        default=None, description="Place of its id in the answer: path, or /regex (…)/; left out: our own {id}."
    )
    code: Extractor | None = Field(
        default=None, description="Place of the result code in the answer; left out: HTTP status."
    )
    outcomes: dict[str, Outcome] = Field(
        default_factory=dict, description="Code or HTTP status → sent, throttled, unavailable or rejected."
    )
    timeout: float = Field(default=10, gt=0, le=60, description="Seconds to wait.")
    plain_http: Annotated[str, Field(min_length=10)] | None = Field(
        default=None, description="The reason, in words, why secrets may be sent unencrypted to a public host."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_url()
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
        if unknown := {word for text in self.headers.values() for word in PLACEHOLDER.findall(text)} - known:
            raise ValueError(f"unknown placeholder {{{min(unknown)}}} in headers")
        if self.code and Outcome.SENT not in self.outcomes.values():
            raise ValueError('with code, the table outcomes must have a code that means "sent"')
        if self.basic and any(name.lower() == "authorization" for name in self.headers):
            raise ValueError("basic and a header authorization exclude each other")
        return self

    def _check_url(self) -> None:
        url = urlsplit(self.url)
        if url.scheme not in ("http", "https") or not url.hostname or url.username or url.fragment:
            raise ValueError("url must be https://host/path, without user name and #")
        check_private(
            self.url,
            PlainHttp.EVERYWHERE if self.plain_http else PlainHttp.PRIVATE,
            "url must begin with https://: only an address in a private network may have http://",
        )


class Receipts(Table):
    """`receipts`: the form of a delivery receipt. The aggregator calls the same address as for messages."""

    id: Name = Field(description="Name of the reply's id: the aggregator's, or ours if `send.id` is left out.")
    status: Name = Field(description="Name of the status.")
    states: dict[str, Delivery] = Field(description="Status → sent, delivered or failed; others are ignored.")
    error: Name | None = Field(default=None, description="Name of the error code.")
    when: Name | None = Field(
        default=None, description="Name of a parameter that only receipts have; left out: the status."
    )


class HttpSettings(ChannelSettings):
    """The keys of `[channels.<name>]` in a region file."""

    sender: str = Field(pattern=r"^\+?[0-9A-Za-z]{3,15}$", description="Our number, short code or sender name.")
    auth: Auth = Field(description="The checks that a call is the aggregator's.")
    receive: Receive = Field(description="The form of a citizen's message.")
    send: Send | None = Field(default=None, description="The form of a reply.")
    receipts: Receipts | None = Field(default=None, description="The form of a delivery receipt.")

    @model_validator(mode="after")
    def _signature_covers_message(self) -> Self:
        if self.auth.hmac is None:
            return self
        signed = set(PLACEHOLDER.findall(self.auth.hmac.base))
        wanted = {"url", "path", "query"} if self.receive.method == "GET" else {"body", "body_sha256"}
        if not signed & wanted:
            raise ValueError(f"auth.hmac.base must hold one of {', '.join(sorted(wanted))}: else it signs no message")
        return self


def texts(value: object) -> Iterator[str]:
    """Yield every text in nested tables and lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
