"""Check that a call comes from the aggregator, by its address, basic authentication, a token or a signature.

Basic authentication: RFC 7617. The signed text is a template, because every aggregator signs another text.
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
from gateway.domain.texts import text
from gateway.ports.wire import WebhookRequest, form_pairs

MOST_FIELDS = 500  # aggregators send about 20; a flood of fields must not delay other requests

# A time in any form. It is signed together with the body, without a border: if more characters were allowed, the
# beginning of the body could be moved into the time.
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
    """Return the configured checks; each raises `Unverified` or `Malformed`. `form` is true if the body is a form."""
    configured: list[Check] = [_few_fields(form)]
    if auth.addresses:
        configured.append(_address(auth))
    if auth.basic:
        configured.append(_basic(auth.basic))
    if auth.token:
        configured.append(_token(auth.token, form))
    if auth.hmac:
        configured.append(_signature(auth.hmac))
    return tuple(configured)


def _few_fields(form: bool) -> Check:
    def check(request: WebhookRequest) -> None:
        if request.url.count("&") + (request.body.count(b"&") if form else 0) > MOST_FIELDS:
            raise Malformed(text("too many fields"))

    return check


def _address(auth: Auth) -> Check:
    networks = auth.networks

    def check(request: WebhookRequest) -> None:
        try:
            address = ip_address(request.client)
        except ValueError:
            raise Unverified(text("the caller's address is unknown")) from None
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if not any(address in network for network in networks):
            raise Unverified(text("{name} is not in auth.addresses", name=address))

    return check


def _basic(basic: Basic) -> Check:
    expected = authorization(basic).encode()

    def check(request: WebhookRequest) -> None:
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        if not hmac.compare_digest(f"{scheme.title()} {rest.strip()}".encode(), expected):
            raise Unverified(text("header Authorization is missing or wrong"))

    return check


def authorization(basic: Basic) -> str:
    """Return the value of the header Authorization for a user name and a password."""
    return "Basic " + b64encode(f"{basic.username}:{basic.password.reveal()}".encode()).decode()


def _token(token: Token, form: bool) -> Check:
    secrets = keys_of(token.value, token.previous)
    name = (token.parameter or "").encode()
    longest = 3 * (len(name) + max(map(len, secrets))) + 1  # if every byte of both is escaped
    if token.header:
        missing = text("header {name} is missing", name=token.header)
        wrong = text("header {name} is wrong", name=token.header)
    else:
        missing = text("parameter {name} is missing", name=token.parameter)
        wrong = text("parameter {name} is wrong", name=token.parameter)

    def check(request: WebhookRequest) -> None:
        if token.header:
            value = request.headers.get(token.header.lower(), "").encode("utf-8", "replace")
        else:
            value = _parameter(request, name, form, longest)
        if not value:
            raise Unverified(missing)
        if not any(hmac.compare_digest(value, secret) for secret in secrets):
            raise Unverified(wrong)

    return check


def _parameter(request: WebhookRequest, name: bytes, form: bool, longest: int) -> bytes:
    """Return the first value of a name; a pair longer than any valid token is not decoded, to save time in a flood."""
    encoded = request.url.partition("?")[2].encode("latin-1", "replace") + (b"&" + request.body if form else b"")
    pairs = (pair for part in encoded.split(b"&") if len(part) <= longest for pair in form_pairs(part))
    return next((value for pair_name, value in pairs if pair_name == name), b"")


def _signed_text(base: str, timestamp: str) -> Callable[[WebhookRequest], bytes]:
    """Return a function that fills the template with the values of a request; `timestamp` is the header's name."""
    # Split here and not per request; re.split returns literals (even numbers) and placeholders (odd numbers) in turn.
    pieces = PLACEHOLDER.split(base)
    template = [piece if number % 2 else piece.encode() for number, piece in enumerate(pieces)]

    def fill(request: WebhookRequest) -> bytes:
        values = []
        for piece in template:
            if isinstance(piece, bytes):
                values.append(piece)
            elif piece == "timestamp":
                values.append(request.headers.get(timestamp, "").encode("latin-1", "replace"))
            else:
                values.append(_SIGNED[piece](request))
        return b"".join(values)

    return fill


def _signature(settings: Hmac) -> Check:
    keys = keys_of(settings.key, settings.previous_key)
    header = settings.header.lower()
    timestamp = settings.timestamp.lower()
    prefix = settings.prefix.encode()
    signed_text = _signed_text(settings.base, timestamp)

    def check(request: WebhookRequest) -> None:
        value = request.headers.get(header, "").encode("utf-8", "replace")
        if not value:
            raise Unverified(text("header {name} is missing", name=settings.header))
        if timestamp and not _TIMESTAMP.fullmatch(request.headers.get(timestamp, "")):
            raise Unverified(text("header {name} is missing or not a time", name=settings.timestamp))
        start, signature = value[: len(prefix)], value[len(prefix) :]
        has_prefix = start == prefix or (settings.encoding == "hex" and start.lower() == prefix.lower())
        if not has_prefix or not signed_by(
            keys, signed_text(request), signature, settings.algorithm, settings.encoding
        ):
            raise Unverified(text("header {name} does not match", name=settings.header))

    return check
