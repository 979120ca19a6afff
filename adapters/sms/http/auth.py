"""Whether a call is the aggregator's: its address, basic authentication, a token, a signature.

Basic authentication: RFC 7617. The base of a signature is a template, since every aggregator signs something else.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from adapters.common.signature import keys_of, signed_by
from adapters.sms.http.auth_settings import PLACEHOLDER, Auth, Basic, Hmac, Token
from gateway.domain.errors import Malformed, Unverified
from gateway.ports.wire import WebhookRequest, form_pairs

MOST_FIELDS = 500  # aggregators send about 20; a flood of fields must not hold up the others

# A time, in whatever form. It is signed beside the body: a wider form would let their border be moved, and a part of
# the body be passed off as time.
_TIMESTAMP = re.compile(r"[0-9A-Za-z:+., -]{1,40}")

_SIGNED: dict[str, Callable[[WebhookRequest], bytes]] = {
    "method": lambda request: request.method.encode(),
    "url": lambda request: request.url.encode("latin-1", "replace"),
    "path": lambda request: urlsplit(request.url)._replace(scheme="", netloc="").geturl().encode("latin-1", "replace"),
    "query": lambda request: request.url.partition("?")[2].encode("latin-1", "replace"),
    "body": lambda request: request.body,
    "body_sha256": lambda request: sha256(request.body).hexdigest().encode(),
}

Check = Callable[[WebhookRequest], None]


def checks(auth: Auth, *, form: bool) -> tuple[Check, ...]:
    """Return what each request must pass; each raises `Unverified` or `Malformed`. `form`: the body is one."""
    found: list[Check] = [_few_fields(form)]
    if auth.addresses:
        found.append(_address(auth))
    if auth.basic:
        found.append(_basic(auth.basic))
    if auth.token:
        found.append(_token(auth.token, form))
    if auth.hmac:
        found.append(_signature(auth.hmac))
    return tuple(found)


def _few_fields(form: bool) -> Check:
    def check(request: WebhookRequest) -> None:
        if request.url.count("&") + (request.body.count(b"&") if form else 0) > MOST_FIELDS:
            raise Malformed("too many fields")

    return check


def _address(auth: Auth) -> Check:
    networks = auth.networks

    def check(request: WebhookRequest) -> None:
        try:
            address = ip_address(request.client)
        except ValueError:
            raise Unverified("the caller's address is unknown") from None
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if not any(address in network for network in networks):
            raise Unverified(f"{address} is not in auth.addresses")

    return check


def _basic(basic: Basic) -> Check:
    right = authorization(basic).encode()

    def check(request: WebhookRequest) -> None:
        given = request.headers.get("authorization", "")
        scheme, _, rest = given.partition(" ")
        if not hmac.compare_digest(f"{scheme.title()} {rest.strip()}".encode(), right):
            raise Unverified("header Authorization is missing or wrong")

    return check


def authorization(basic: Basic) -> str:
    """Return the header Authorization of a user name and a password."""
    return "Basic " + b64encode(f"{basic.username}:{basic.password.reveal()}".encode()).decode()


def _token(token: Token, form: bool) -> Check:
    right = keys_of(token.value, token.previous)
    name = (token.parameter or "").encode()
    longest = 3 * (len(name) + max(map(len, right))) + 1  # as if every sign of both were escaped
    place = f"header {token.header}" if token.header else f"parameter {token.parameter}"

    def check(request: WebhookRequest) -> None:
        if token.header:
            given = request.headers.get(token.header.lower(), "").encode("utf-8", "replace")
        else:
            given = _parameter(request, name, form, longest)
        if not given:
            raise Unverified(f"{place} is missing")
        if not any(hmac.compare_digest(given, one) for one in right):
            raise Unverified(f"{place} is wrong")

    return check


def _parameter(request: WebhookRequest, name: bytes, form: bool, longest: int) -> bytes:
    """Return the first value of a name. What is too long to be the token is not decoded: nobody has vouched for it."""
    sent = request.url.partition("?")[2].encode("latin-1", "replace") + (b"&" + request.body if form else b"")
    pairs = (pair for part in sent.split(b"&") if len(part) <= longest for pair in form_pairs(part))
    return next((value for found, value in pairs if found == name), b"")


def _signature(signed: Hmac) -> Check:
    keys = keys_of(signed.key, signed.previous_key)
    header, timestamp, prefix = signed.header.lower(), signed.timestamp.lower(), signed.prefix.encode()
    # Cut once: literal, placeholder, literal, … as re.split gives them.
    template = [piece if odd % 2 else piece.encode() for odd, piece in enumerate(PLACEHOLDER.split(signed.base))]

    def base(request: WebhookRequest) -> bytes:
        pieces = []
        for piece in template:
            if isinstance(piece, bytes):
                pieces.append(piece)
            elif piece == "timestamp":
                pieces.append(request.headers.get(timestamp, "").encode("latin-1", "replace"))
            else:
                pieces.append(_SIGNED[piece](request))
        return b"".join(pieces)

    def check(request: WebhookRequest) -> None:
        given = request.headers.get(header, "").encode("utf-8", "replace")
        if not given:
            raise Unverified(f"header {signed.header} is missing")
        if timestamp and not _TIMESTAMP.fullmatch(request.headers.get(timestamp, "")):
            raise Unverified(f"header {signed.timestamp} is missing or no time")
        begins, signature = given[: len(prefix)], given[len(prefix) :]
        begins_well = begins == prefix or (signed.encoding == "hex" and begins.lower() == prefix.lower())
        if not begins_well or not signed_by(keys, base(request), signature, signed.algorithm, signed.encoding):
            raise Unverified(f"header {signed.header} does not match")

    return check
