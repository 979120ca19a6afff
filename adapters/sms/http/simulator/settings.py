"""Type the channel's settings, as the simulator reads them; `adapters/sms/http/settings.py` documents their meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from gateway.ports import Secret


class Basic(Protocol):
    """A user name and a password."""

    username: str
    password: Secret


class Token(Protocol):
    """The table `auth.token`."""

    parameter: str | None
    header: str | None
    value: Secret


class Hmac(Protocol):
    """The table `auth.hmac`."""

    header: str
    key: Secret
    algorithm: str
    encoding: str
    prefix: str
    base: str
    timestamp: str


class Auth(Protocol):
    """The table `auth`."""

    addresses: Sequence[str]
    networks: Sequence[IPv4Network | IPv6Network]
    basic: Basic | None
    token: Token | None
    hmac: Hmac | None


class Receive(Protocol):
    """The table `receive`."""

    method: str
    body: str
    id: str | None
    sender: str
    recipient: str | None
    text: str
    hex: str | None
    charset: str
    charset_from: str | None
    coding_from: str | None
    coding_raw: bool
    codings: Mapping[str, str]
    sent_at: str | None
    time_format: str
    utc_offset: str


class Send(Protocol):
    """The table `send`."""

    url: str
    method: str
    body: str
    parameters: Mapping[str, object]
    gsm: Mapping[str, object]
    unicode: Mapping[str, object]
    headers: Mapping[str, str]
    secrets: Mapping[str, Secret]
    basic: Basic | None
    charset: str
    id: str | None
    code: str | None
    outcomes: Mapping[str, str]


class Receipts(Protocol):
    """The table `receipts`."""

    id: str
    status: str
    when: str | None
    states: Mapping[str, str]


class AggregatorSettings(Protocol):
    """The settings of a channel that the simulator reads."""

    sender: str
    auth: Auth
    receive: Receive
    send: Send | None
    receipts: Receipts | None
