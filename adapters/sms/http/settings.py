"""What a channel with `adapter = "sms.http"` may say: one table for each of auth, receive, send, receipts.

A name in these tables is a parameter of the query or the form, or in a JSON body a path like `data.message.0.text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from adapters.sms.http.auth_settings import PLACEHOLDER, Auth, Basic, Name, Table
from adapters.sms.http.receive_settings import Receive
from gateway.domain.events import Delivery
from gateway.domain.texts import text
from gateway.ports import ChannelSettings, Secret

FILLED = ("to", "text", "hex", "id", "from", "callback")  # placeholders of `send`, besides the names of its secrets


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


Extractor = Annotated[str, Field(min_length=1), AfterValidator(_extractor)]


class Outcome(StrEnum):
    """What an aggregator's code says of a message that we gave it."""

    SENT = "sent"
    THROTTLED = "throttled"  # slower, please
    UNAVAILABLE = "unavailable"  # try later: also what an operator can put right
    REJECTED = "rejected"  # never again


class Send(Table):
    """`send`: how a reply goes out."""

    url: str = Field(description=text("Address to which replies are sent."))
    method: Literal["GET", "POST"] = Field(default="POST", description=text("HTTP method; GET sends all in the query."))
    body: Literal["form", "json"] = Field(default="form", description=text("Form of a POST's body."))
    parameters: dict[str, Any] = Field(
        description=text(
            "The parameters sent; texts may hold {to}, {text}, {hex}, {id}, {from}, {callback} and names of secrets."
        )
    )
    gsm: dict[str, Any] = Field(
        default_factory=dict, description=text("Further parameters of a text that fits GSM 7-bit.")
    )
    unicode: dict[str, Any] = Field(default_factory=dict, description=text("Further parameters of any other text."))
    headers: dict[str, str] = Field(default_factory=dict, description=text('Headers, such as "Bearer {api_key}".'))
    secrets: dict[str, Secret] = Field(
        default_factory=dict, description=text("Secrets by the name that templates use.")
    )
    basic: Basic | None = Field(
        default=None, description=text("User name and password with which the gateway calls the aggregator.")
    )
    charset: Literal["utf-8", "iso-8859-1"] = Field(
        default="utf-8", description=text("Character set of query or form.")
    )
    id: Extractor | None = Field(
        default=None,
        description=text("Where the answer holds its id: a path, or /regex (…)/; without it, our own {id} counts."),
    )
    code: Extractor | None = Field(
        default=None, description=text("Where the answer holds its code; without it, the HTTP status counts.")
    )
    outcomes: dict[str, Outcome] = Field(
        default_factory=dict,
        description=text("Code or HTTP status → its meaning: sent, throttled, unavailable or rejected."),
    )
    timeout: float = Field(default=10, gt=0, le=60, description=text("Seconds to wait."))
    plain_http: Annotated[str, Field(min_length=10)] | None = Field(
        default=None, description=text("The reason why secrets may go unencrypted to a public host, in words.")
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

    id: Name = Field(description=text("Name of the id that it gave, or that we gave, when the reply was sent."))
    status: Name = Field(description=text("Name of the status."))
    states: dict[str, Delivery] = Field(description=text("Status → sent, delivered or failed; others are ignored."))
    error: Name | None = Field(default=None, description=text("Name of the error code."))
    when: Name | None = Field(
        default=None, description=text("Name of a parameter that only receipts have; without it, the status.")
    )


class HttpSettings(ChannelSettings):
    """What `[channels.<name>]` with `adapter = "sms.http"` may say."""

    sender: str = Field(pattern=r"^\+?[0-9A-Za-z]{3,15}$", description=text("Our number, short code or sender name."))
    auth: Auth = Field(description=text("How the gateway checks that a call comes from the aggregator."))
    receive: Receive = Field(description=text("How a citizen's message comes in."))
    send: Send | None = Field(default=None, description=text("How a reply goes out."))
    receipts: Receipts | None = Field(
        default=None, description=text("How the aggregator reports the delivery of a reply.")
    )

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
