"""Define the settings of a channel with `adapter = "sms.http"`: the tables auth, receive, send and receipts.

A name in these tables is a parameter of the query or the form, or in a JSON body a path like `data.message.0.text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from adapters.common.addresses import PlainHttp, check_private
from adapters.sms.http.auth_settings import PLACEHOLDER, Auth, Basic, Name, Table
from adapters.sms.http.receive_settings import Receive
from gateway.domain.events import Delivery
from gateway.domain.texts import text
from gateway.ports import ChannelSettings, Secret

FILLED = ("to", "text", "hex", "id", "from", "callback")  # placeholders of `send`, besides the names of its secrets


def _extractor(place: str) -> str:
    if place.startswith("/"):
        if not place.endswith("/") or len(place) < 3:
            raise ValueError(text("write a regular expression between two slashes"))
        try:
            groups = re.compile(place[1:-1]).groups
        except re.error as exc:
            raise ValueError(text("is not a regular expression: {message}", message=exc)) from exc
        if groups != 1:
            raise ValueError(text("the regular expression needs one pair of brackets, around the value"))
    return place


Extractor = Annotated[str, Field(min_length=1), AfterValidator(_extractor)]


class Outcome(StrEnum):
    """The meaning of an aggregator's answer to a reply."""

    SENT = "sent"
    THROTTLED = "throttled"  # send slower
    UNAVAILABLE = "unavailable"  # send again later: also if an administrator must repair something first
    REJECTED = "rejected"  # do not send again


class Send(Table):
    """`send`: the form of a reply."""

    url: str = Field(description=text("The aggregator's address for replies."))
    method: Literal["GET", "POST"] = Field(
        default="POST", description=text("HTTP method; GET sends all parameters in the query.")
    )
    body: Literal["form", "json"] = Field(default="form", description=text("Form of a POST's body."))
    parameters: dict[str, object] = Field(
        description=text(
            "Parameters of a reply; texts may hold {to}, {text}, {hex}, {id}, {from}, {callback} and names of secrets."
        )
    )
    gsm: dict[str, object] = Field(
        default_factory=dict, description=text("Further parameters of a text that fits GSM 7-bit.")
    )
    unicode: dict[str, object] = Field(default_factory=dict, description=text("Further parameters of any other text."))
    headers: dict[str, str] = Field(
        default_factory=dict, description=text('Headers of a reply, with values such as "Bearer {api_key}".')
    )
    secrets: dict[str, Secret] = Field(
        default_factory=dict, description=text("Secrets, by the name that parameters and headers use.")
    )
    basic: Basic | None = Field(default=None, description=text("User name and password of our calls."))
    charset: Literal["utf-8", "iso-8859-1"] = Field(
        default="utf-8", description=text("Character set of query or form.")
    )
    id: Extractor | None = Field(
        default=None,
        description=text(
            "Place of the message id in the aggregator's answer: a path, or /regex (…)/; without it, our own {id} is used."
        ),
    )
    code: Extractor | None = Field(
        default=None,
        description=text("Place of the result code in the aggregator's answer; without it, the HTTP status is used."),
    )
    outcomes: dict[str, Outcome] = Field(
        default_factory=dict, description=text("Code or HTTP status → sent, throttled, unavailable or rejected.")
    )
    timeout: float = Field(default=10, gt=0, le=60, description=text("Seconds to wait for the aggregator's answer."))
    plain_http: Annotated[str, Field(min_length=10)] | None = Field(
        default=None, description=text("The reason, in words, why secrets may be sent unencrypted to a public host.")
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_url()
        known = {*FILLED, *self.secrets}
        for name, table in {"gsm": self.gsm, "unicode": self.unicode}.items():
            flat = self.method == "GET" or self.body == "form"
            if flat and not all(isinstance(value, str | int) for value in {**self.parameters, **table}.values()):
                raise ValueError(text("parameters are texts and numbers; only a POST of json may nest them"))
            used = {word for value in texts({**self.parameters, **table}) for word in PLACEHOLDER.findall(value)}
            if unknown := used - known:
                raise ValueError(
                    text(
                        "unknown placeholder {name}; there are: {listed}",
                        name=f"{{{min(unknown)}}}",
                        listed=", ".join(sorted(known)),
                    )
                )
            if "to" not in used or not used & {"text", "hex"}:
                raise ValueError(text("parameters with {name} must hold {{to}}, and {{text}} or {{hex}}", name=name))
        if unknown := {word for value in self.headers.values() for word in PLACEHOLDER.findall(value)} - known:
            raise ValueError(text("unknown placeholder {name} in headers", name=f"{{{min(unknown)}}}"))
        if self.code and Outcome.SENT not in self.outcomes.values():
            raise ValueError(text('with code, the table outcomes must have a code that means "sent"'))
        if self.basic and any(name.lower() == "authorization" for name in self.headers):
            raise ValueError(text("basic and a header authorization exclude each other"))
        return self

    def _check_url(self) -> None:
        url = urlsplit(self.url)
        if url.scheme not in ("http", "https") or not url.hostname or url.username or url.fragment:
            raise ValueError(text("url must be https://host/path, without user name and #"))
        check_private(
            self.url,
            PlainHttp.EVERYWHERE if self.plain_http else PlainHttp.PRIVATE,
            text("url must begin with https://: only an address in a private network may have http://"),
        )


class Receipts(Table):
    """`receipts`: the form of a delivery receipt. The aggregator calls the same address as for messages."""

    id: Name = Field(description=text("Field with the reply's id: the aggregator's id, or our own without `send.id`."))
    status: Name = Field(description=text("Field with the status."))
    states: dict[str, Delivery] = Field(description=text("Status → sent, delivered or failed; others are ignored."))
    error: Name | None = Field(default=None, description=text("Field with the error code."))
    when: Name | None = Field(
        default=None, description=text("Field that only receipts have; without it, the field of the status.")
    )


class HttpSettings(ChannelSettings):
    """The keys of `[channels.<name>]` in a region file."""

    sender: str = Field(pattern=r"^\+?[0-9A-Za-z]{3,15}$", description=text("Our number, short code or sender name."))
    auth: Auth = Field(description=text("The checks that a call is the aggregator's."))
    receive: Receive = Field(
        description=text(
            "The form of a citizen's message. A field is a parameter, or in JSON a path such as data.message.0.text."
        )
    )
    send: Send | None = Field(default=None, description=text("The form of a reply."))
    receipts: Receipts | None = Field(default=None, description=text("The form of a delivery receipt."))

    @model_validator(mode="after")
    def _signature_covers_message(self) -> Self:
        if self.auth.hmac is None:
            return self
        signed = set(PLACEHOLDER.findall(self.auth.hmac.base))
        wanted = {"url", "path", "query"} if self.receive.method == "GET" else {"body", "body_sha256"}
        if not signed & wanted:
            listed = ", ".join(sorted(wanted))
            raise ValueError(text("auth.hmac.base must hold one of {listed}: else it signs no message", listed=listed))
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
