"""Check the URL that a password is sent to: https to any host, plain http only to the hosts that a setting allows."""

from __future__ import annotations

from enum import IntEnum
from ipaddress import ip_address
from urllib.parse import urlsplit


class PlainHttp(IntEnum):
    """The hosts that may get a password over plain http; each level includes the levels before it."""

    THIS_MACHINE = 0  # 127.0.0.1, ::1 and localhost
    LOOPBACK = 1  # every loopback address
    PRIVATE = 2  # addresses of private networks; no names, because a name may lead anywhere
    EVERYWHERE = 3


def check_private(url: str, plain_http: PlainHttp, error_text: str) -> None:
    """Raise `ValueError` with the error text unless the URL is https, or plain http to a host of the allowed level."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme != "http" or _level(parts.hostname or "") > plain_http:
        raise ValueError(error_text)


def _level(host: str) -> PlainHttp:
    """Return the lowest level that allows the host."""
    if host in ("127.0.0.1", "::1", "localhost"):
        return PlainHttp.THIS_MACHINE
    try:
        address = ip_address(host)
    except ValueError:
        return PlainHttp.EVERYWHERE
    if address.is_loopback:
        return PlainHttp.LOOPBACK
    return PlainHttp.PRIVATE if address.is_private else PlainHttp.EVERYWHERE
