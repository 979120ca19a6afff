"""How the simulated aggregator writes and signs its calls, from the same settings as the adapter reads them with.

An independent reading of those settings: nothing here comes from the adapter.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from gateway.ports.wire import WebhookRequest
from gateway.simulation.provider import login

FORM = "application/x-www-form-urlencoded"
_CODECS = {"utf8": "utf-8", "gsm": "ascii", "gsm-7": "ascii", "gsm0338": "ascii"}
_CODECS |= dict.fromkeys(("utf-16", "utf-16be", "ucs-2", "ucs2", "iso-10646-ucs-2"), "utf-16-be")
_SAME_IN_GSM = re.compile(r"[A-Za-z0-9 !\"#%&'()*+,./:;<=>?\r\n-]*")  # as in ASCII, so that no table is needed

Fields = Mapping[str, "str | bytes"]


def coded(receive: Any, text: str) -> dict[str, str | bytes]:
    """Return the fields that hold a text, its coding and its character set: GSM or UTF-8 for plain text, else UTF-16."""
    if receive.body == "json" and receive.method == "POST":
        return {receive.text: text}
    plain = bool(_SAME_IN_GSM.fullmatch(text))
    coding, codec = _coding(receive, plain)
    found: dict[str, str | bytes] = {receive.text: text.encode(codec)}
    if receive.coding_from:
        raw = receive.coding_raw and coding.isdigit()
        found[receive.coding_from] = bytes([int(coding)]) if raw else coding
    if receive.charset_from:
        found[receive.charset_from] = "UTF-16BE" if codec == "utf-16-be" else codec.upper()
    if receive.hex:
        found[receive.hex] = text.encode(codec).hex()
    return found


def _coding(receive: Any, plain: bool) -> tuple[str, str]:
    """Return a coding and its codec; Kannel's numbers (0, 2) where the settings list none for this text."""
    wide = None if plain else "utf-16-be"
    for coding, charset in receive.codings.items():
        codec = _CODECS.get(charset, charset)
        if codec == wide or (plain and charset.startswith("gsm")):
            return coding, codec
    if receive.charset_from:
        return ("0", "utf-8") if plain else ("2", "utf-16-be")
    return "0", _CODECS.get(receive.charset, receive.charset)


def moment(receive: Any, at: datetime) -> str:
    """Write a time as the settings have it."""
    if receive.time_format in ("unix", "unix_ms"):
        return str(int(at.timestamp() * (1000 if receive.time_format == "unix_ms" else 1)))
    if receive.time_format == "iso":
        return at.astimezone(UTC).isoformat()
    hours, minutes = int(receive.utc_offset[:3]), int(receive.utc_offset[4:])
    local = at.astimezone(timezone(timedelta(hours=hours, minutes=minutes if hours >= 0 else -minutes)))
    return local.strftime(receive.time_format)


def call(settings: Any, url: str, fields: Fields, *, at: datetime | None = None) -> WebhookRequest:
    """Build a call that passes every check of `auth`."""
    receive = settings.receive
    if receive.method == "GET":
        return authenticated(settings, "GET", extended(url, fields), {}, b"", at)
    if receive.body == "json":
        body, kind = msgspec.json.encode(nested(fields)), "application/json"
    else:
        body, kind = urlencode(dict(fields)).encode(), FORM
    return authenticated(settings, "POST", url, {"content-type": kind}, body, at)


def authenticated(
    settings: Any, method: str, url: str, headers: Mapping[str, str], body: bytes, at: datetime | None = None
) -> WebhookRequest:
    """Build a call with any content that passes every check of `auth`."""
    auth, made = settings.auth, dict(headers)
    if auth.token and auth.token.parameter and f"{auth.token.parameter}=" not in url:
        url = extended(url, {auth.token.parameter: auth.token.value.reveal()})
    if auth.token and auth.token.header:
        made[auth.token.header.lower()] = auth.token.value.reveal()
    if auth.basic:
        made["authorization"] = login(auth.basic.username, auth.basic.password.reveal())
    if auth.hmac:
        made |= signature(auth.hmac, method, url, body, at or datetime.now(UTC))
    client = str(auth.networks[0].network_address) if auth.addresses else "127.0.0.1"
    return WebhookRequest(method, url, made, body, client)


def signature(signed: Any, method: str, url: str, body: bytes, at: datetime) -> dict[str, str]:
    """Return the headers of a signature."""
    stamp, parts = at.isoformat(timespec="seconds"), urlsplit(url)
    values = {
        "method": method.encode(),
        "url": url.encode(),
        "path": url.removeprefix(f"{parts.scheme}://{parts.netloc}").encode(),
        "query": parts.query.encode(),
        "body": body,
        "body_sha256": sha256(body).hexdigest().encode(),
        "timestamp": stamp.encode(),
    }
    text = re.sub(rb"\{(\w+)\}", lambda found: values[found[1].decode()], signed.base.encode())
    digest = hmac.new(signed.key.reveal().encode(), text, signed.algorithm).digest()
    shown = digest.hex() if signed.encoding == "hex" else b64encode(digest).decode()
    headers = {signed.header.lower(): signed.prefix + shown}
    return headers | ({signed.timestamp.lower(): stamp} if signed.timestamp else {})


def extended(url: str, fields: Fields) -> str:
    """Return a URL with further fields in its query."""
    return url + ("&" if "?" in url else "?") + urlencode(dict(fields))


def nested(fields: Fields) -> dict[str, Any]:
    """Return a JSON document of paths: `{"a.b": "x"}` becomes `{"a": {"b": "x"}}`."""
    document: dict[str, Any] = {}
    for path, value in fields.items():
        *way, last = path.split(".")
        place = document
        for step in way:
            place = place.setdefault(step, {})
        place[last] = value.decode("latin-1") if isinstance(value, bytes) else value
    return document


# --- what the gateway sends ----------------------------------------------------------------------------------------


def understood(send: Any, given: Mapping[str, Any]) -> dict[str, str]:
    """Return what a call of the gateway says, by the names of the placeholders; `callback` is the whole callback URL.

    Raises `ValueError` where the call is not what the settings promise.
    """
    for table in (send.unicode, send.gsm):
        found = _match({**send.parameters, **table}, given)
        if found is not None:
            return found
    raise ValueError("the call has other parameters than send.parameters")


def _match(templates: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str] | None:
    if set(templates) != set(given):
        return None
    found: dict[str, str] = {}
    for name, template in templates.items():
        value = given[name]
        if isinstance(template, Mapping):
            inner = _match(template, value) if isinstance(value, Mapping) else None
        else:
            inner = _placeholders(str(template), str(value))
        if inner is None:
            return None
        found |= inner
    return found


def _placeholders(template: str, value: str) -> dict[str, str] | None:
    pattern, seen = "", set[str]()
    for odd, piece in enumerate(re.split(r"\{(\w+)\}", template)):
        pattern += re.escape(piece) if odd % 2 == 0 else f"(?P={piece})" if piece in seen else f"(?P<{piece}>.*)"
        seen |= {piece} if odd % 2 else set()
    matched = re.fullmatch(pattern, value, re.DOTALL)
    if matched is None:
        return None
    found = matched.groupdict()
    if "callback" in found:
        found["callback"] = value
    if "id" in found and template != "{id}":
        found["reference"] = found.pop("id")  # ours to be given back, not a promise to drop a repeated one
    return found


def answer_text(where: Sequence[str | None], values: Sequence[str]) -> bytes:
    """Return an answer in which each place (a path, or a /regex/ with one pair of brackets) holds its value.

    Raises `ValueError` where a regular expression is too much for a simulator.
    """
    paths = {place: value for place, value in zip(where, values, strict=True) if place and not place.startswith("/")}
    if paths:
        return msgspec.json.encode(nested(paths))
    lines = []
    for place, value in zip(where, values, strict=True):
        if place:
            filled = re.sub(r"\([^)]*\)", value, place[1:-1].strip("^$"))
            line = re.sub(r"\\(.)", r"\1", filled)
            found = re.search(place[1:-1], line)
            if not found or found[1] != value:
                raise ValueError(f"cannot simulate an answer for {place}")
            lines.append(line)
    return "\n".join(lines).encode() or b"OK"
