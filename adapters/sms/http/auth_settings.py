"""The table `auth` of a channel with `adapter = "sms.http"`: how a call is known to be the aggregator's."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from gateway.ports import Secret

PLACEHOLDER = re.compile(r"\{(\w+)\}")
_PLAIN = re.compile(r"[\w.~-]+", re.ASCII)
SIGNED = ("method", "url", "path", "query", "body", "body_sha256", "timestamp")  # placeholders of `auth.hmac.base`


def _network(text: str) -> str:
    return str(ip_network(text))


Name = Annotated[str, Field(min_length=1)]
Network = Annotated[str, AfterValidator(_network)]


class Table(BaseModel):
    """The base of every table of an aggregator's settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Basic(Table):
    """`basic`: a user name and a password in the Authorization header."""

    username: Name = Field(description="User name.")
    password: Secret = Field(description="Password.")


class Token(Table):
    """`auth.token`: a fixed secret in a parameter or a header."""

    parameter: Name | None = Field(default=None, description="Parameter of the URL or the form that holds it.")
    header: Name | None = Field(default=None, description="Header that holds it, instead of a parameter.")
    value: Secret = Field(description="The secret.")
    previous: Secret | None = Field(default=None, description="The secret before a rotation, still accepted.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.parameter is None) == (self.header is None):
            raise ValueError("name a parameter or a header, one of them")
        # In a URL, and in the templates of an aggregator (a % of Kannel's), other signs would mean something else.
        if self.parameter and not all(_PLAIN.fullmatch(s.reveal()) for s in (self.value, self.previous) if s):
            raise ValueError("in a parameter the secret may hold letters, digits and . _ ~ - only")
        return self


class Hmac(Table):
    """`auth.hmac`: a signature in a header."""

    header: Name = Field(description="Header that holds the signature.")
    key: Secret = Field(description="The shared key.")
    previous_key: Secret | None = Field(default=None, description="The key before a rotation, still accepted.")
    algorithm: Literal["sha1", "sha256", "sha512"] = Field(default="sha256", description="Hash of the HMAC.")
    encoding: Literal["hex", "base64"] = Field(default="hex", description="How the signature is written.")
    prefix: str = Field(default="", description='What stands before it in the header, as "sha256=".')
    base: str = Field(default="{body}", description="What is signed: text with {method}, {url}, {body} and so on.")
    timestamp: str = Field(default="", description="Header that holds the {timestamp} of the base.")

    @field_validator("base")
    @classmethod
    def _known(cls, text: str) -> str:
        if unknown := set(PLACEHOLDER.findall(text)) - set(SIGNED):
            raise ValueError(f"unknown placeholder {{{min(unknown)}}}; there are: {', '.join(SIGNED)}")
        return text

    @model_validator(mode="after")
    def _has_timestamp(self) -> Self:
        if ("{timestamp}" in self.base) != bool(self.timestamp):
            raise ValueError("{timestamp} in base and the header `timestamp` go together")
        return self


class Auth(Table):
    """`auth`: how we know that a call is the aggregator's. All that is configured must hold."""

    addresses: tuple[Network, ...] = Field(default=(), description='Its addresses or networks, as "10.1.2.0/24".')
    basic: Basic | None = Field(default=None, description="User name and password it calls us with.")
    token: Token | None = Field(default=None, description="A fixed secret it sends.")
    hmac: Hmac | None = Field(default=None, description="How it signs.")
    none: Annotated[str, Field(min_length=10)] | None = Field(
        default=None, description="Why anybody may write here unchecked, in words: nothing else is then configured."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        checks = bool(self.addresses or self.basic or self.token or self.hmac)
        if checks == (self.none is not None):
            raise ValueError(
                "say how a call is known to be the aggregator's: addresses, basic, token or hmac "
                "(or only `none`, with the reason in words)"
            )
        return self

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The addresses as networks."""
        return tuple(ip_network(text) for text in self.addresses)
