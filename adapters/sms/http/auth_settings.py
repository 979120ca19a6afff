"""Define the table `auth` of a channel with `adapter = "sms.http"`: the checks that a call comes from the aggregator."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from gateway.domain.texts import text
from gateway.ports import Secret

PLACEHOLDER = re.compile(r"\{(\w+)\}")
_PLAIN = re.compile(r"[\w.~-]+", re.ASCII)
SIGNED = ("method", "url", "path", "query", "body", "body_sha256", "timestamp")  # placeholders of `auth.hmac.base`


def _network(address: str) -> str:
    return str(ip_network(address))


Name = Annotated[str, Field(min_length=1)]
Network = Annotated[str, AfterValidator(_network)]


class Table(BaseModel):
    """The base of every table of an aggregator's settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Basic(Table):
    """`basic`: a user name and a password in the Authorization header."""

    username: Name = Field(description=text("User name."))
    password: Secret = Field(description=text("Password."))


class Token(Table):
    """`auth.token`: a fixed secret in a parameter or a header."""

    parameter: Name | None = Field(
        default=None, description=text("Parameter of the URL or the form that holds the secret.")
    )
    header: Name | None = Field(default=None, description=text("Header that holds the secret, instead of a parameter."))
    value: Secret = Field(description=text("The secret in the aggregator's calls."))
    previous: Secret | None = Field(default=None, description=text("The secret before a change; it is still accepted."))

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.parameter is None) == (self.header is None):
            raise ValueError(text("name a parameter or a header, one of them"))
        # Other characters have a meaning in a URL, or in the templates of an aggregator (Kannel's %).
        if self.parameter and not all(_PLAIN.fullmatch(s.reveal()) for s in (self.value, self.previous) if s):
            raise ValueError(text("in a parameter the secret may hold letters, digits and . _ ~ - only"))
        return self


class Hmac(Table):
    """`auth.hmac`: a signature in a header."""

    header: Name = Field(description=text("Header that holds the signature."))
    key: Secret = Field(description=text("Key shared with the aggregator."))
    previous_key: Secret | None = Field(
        default=None, description=text("The key before a change; it is still accepted.")
    )
    algorithm: Literal["sha1", "sha256", "sha512"] = Field(
        default="sha256", description=text("Hash algorithm of the HMAC.")
    )
    encoding: Literal["hex", "base64"] = Field(default="hex", description=text("Encoding of the signature."))
    prefix: str = Field(default="", description=text('Text before the signature in the header, such as "sha256=".'))
    base: str = Field(
        default="{body}",
        description=text(
            "The signed text; it may hold {method}, {url}, {path}, {query}, {body}, {body_sha256} and {timestamp}."
        ),
    )
    timestamp: str = Field(default="", description=text("Header that holds the {timestamp} of `base`."))

    @field_validator("base")
    @classmethod
    def _known(cls, base: str) -> str:
        if unknown := set(PLACEHOLDER.findall(base)) - set(SIGNED):
            raise ValueError(
                text(
                    "unknown placeholder {name}; there are: {listed}",
                    name=f"{{{min(unknown)}}}",
                    listed=", ".join(SIGNED),
                )
            )
        return base

    @model_validator(mode="after")
    def _has_timestamp(self) -> Self:
        if ("{timestamp}" in self.base) != bool(self.timestamp):
            raise ValueError(text("{timestamp} in base and the header `timestamp` go together"))
        return self


class Auth(Table):
    """`auth`: the checks that a call comes from the aggregator; a call must pass all that are configured."""

    addresses: tuple[Network, ...] = Field(
        default=(), description=text('Addresses or networks of the aggregator, such as "10.1.2.0/24".')
    )
    basic: Basic | None = Field(default=None, description=text("User name and password in the aggregator's calls."))
    token: Token | None = Field(default=None, description=text("A fixed secret in the aggregator's calls."))
    hmac: Hmac | None = Field(default=None, description=text("The signature of the aggregator's calls."))
    none: Annotated[str, Field(min_length=10)] | None = Field(
        default=None,
        description=text("The reason, in words, why calls are not checked; the other keys are then left out."),
    )

    @model_validator(mode="after")
    def _has_a_check(self) -> Self:
        checks = bool(self.addresses or self.basic or self.token or self.hmac)
        if checks == (self.none is not None):
            raise ValueError(
                text(
                    "configure a check of the aggregator's calls: addresses, basic, token or hmac "
                    "(or only `none`, with the reason in words)"
                )
            )
        return self

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Return the addresses as networks."""
        return tuple(ip_network(address) for address in self.addresses)
