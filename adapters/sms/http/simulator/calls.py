"""Write, sign and read the calls of the simulated aggregator as the channel's settings describe them.

It shares no code with the adapter: an independent reading of the settings finds the adapter's mistakes.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from urllib.parse import urlencode, urlsplit

import msgspec

from adapters.sms.http.simulator.settings import AggregatorSettings, Hmac, Receive, Send
from gateway.ports.wire import WebhookRequest
from gateway.simulation.provider import login

FORM = "application/x-www-form-urlencoded"
_CODECS = {"utf8": "utf-8", "gsm": "ascii", "gsm-7": "ascii", "gsm0338": "ascii"}
_CODECS |= dict.fromkeys(("utf-16", "utf-16be", "ucs-2", "ucs2", "iso-10646-ucs-2"), "utf-16-be")
_SAME_IN_GSM = re.compile(r"[A-Za-z0-9 !\"#%&'()*+,./:;<=>?\r\n-]*")  # as in ASCII, so that no table is needed

Fields = Mapping[str, "str | bytes"]


def coded(receive: Receive, text: str) -> dict[str, str | bytes]:
    """Return the fields of a text, its coding and its character set: GSM or UTF-8 for plain text, else UTF-16."""
    if receive.body == "json" and receive.method == "POST":
        return {receive.text: text}
    plain = bool(_SAME_IN_GSM.fullmatch(text))
    coding, codec = _coding(receive, plain)
    fields: dict[str, str | bytes] = {receive.text: text.encode(codec)}
    if receive.coding_from:
        raw = receive.coding_raw and coding.isdigit()
        fields[receive.coding_from] = bytes([int(coding)]) if raw else coding
    if receive.charset_from:
        fields[receive.charset_from] = "UTF-16BE" if codec == "utf-16-be" else codec.upper()
    if receive.hex:
        fields[receive.hex] = text.encode(codec).hex()
    return fields


def _coding(receive: Receive, plain: bool) -> tuple[str, str]:
    """Return a coding and its codec; Kannel's numbers (0, 2) if the settings list none for this text."""
    wide = None if plain else "utf-16-be"
    for coding, charset in receive.codings.items():
        codec = _CODECS.get(charset, charset)
        if codec == wide or (plain and charset.startswith("gsm")):
            return coding, codec
    if receive.charset_from:
        return ("0", "utf-8") if plain else ("2", "utf-16-be")
    return "0", _CODECS.get(receive.charset, receive.charset)


def moment(receive: Receive, at: datetime) -> str:
    """Return a time in the form of the settings."""
    if receive.time_format in ("unix", "unix_ms"):
        return str(int(at.timestamp() * (1000 if receive.time_format == "unix_ms" else 1)))
    if receive.time_format == "iso":
        return at.astimezone(UTC).isoformat()
    hours, minutes = int(receive.utc_offset[:3]), int(receive.utc_offset[4:])
    local = at.astimezone(timezone(timedelta(hours=hours, minutes=minutes if hours >= 0 else -minutes)))
    return local.strftime(receive.time_format)


def call(settings: AggregatorSettings, url: str, fields: Fields, *, at: datetime | None = None) -> WebhookRequest:
    """Build a call with these fields that passes every check of `auth`."""
    receive = settings.receive
    if receive.method == "GET":
        return authenticated(settings, "GET", extended(url, fields), {}, b"", at)
    if receive.body == "json":
        body, content_type = msgspec.json.encode(nested(fields)), "application/json"
    else:
        body, content_type = urlencode(dict(fields)).encode(), FORM
    return authenticated(settings, "POST", url, {"content-type": content_type}, body, at)


def authenticated(
    settings: AggregatorSettings,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    at: datetime | None = None,
) -> WebhookRequest:
    """Build a call with any content that passes every check of `auth`; `at` is the time of the signature."""
    auth, all_headers = settings.auth, dict(headers)
    if auth.token and auth.token.parameter and f"{auth.token.parameter}=" not in url:
        url = extended(url, {auth.token.parameter: auth.token.value.reveal()})
    if auth.token and auth.token.header:
        all_headers[auth.token.header.lower()] = auth.token.value.reveal()
    if auth.basic:
        all_headers["authorization"] = login(auth.basic.username, auth.basic.password.reveal())
    if auth.hmac:
        all_headers |= signature(auth.hmac, method, url, body, at or datetime.now(UTC))
    client = str(auth.networks[0].network_address) if auth.addresses else "127.0.0.1"
    return WebhookRequest(method, url, all_headers, body, client)


def signature(table: Hmac, method: str, url: str, body: bytes, at: datetime) -> dict[str, str]:
    """Return the headers of a signature."""
    timestamp, parts = at.isoformat(timespec="seconds"), urlsplit(url)
    values = {
        "method": method.encode(),
        "url": url.encode(),
        "path": url.removeprefix(f"{parts.scheme}://{parts.netloc}").encode(),
        "query": parts.query.encode(),
        "body": body,
        "body_sha256": sha256(body).hexdigest().encode(),
        "timestamp": timestamp.encode(),
    }
    text = re.sub(rb"\{(\w+)\}", lambda match: values[match[1].decode()], table.base.encode())
    digest = hmac.new(table.key.reveal().encode(), text, table.algorithm).digest()
    written = digest.hex() if table.encoding == "hex" else b64encode(digest).decode()
    headers = {table.header.lower(): table.prefix + written}
    return headers | ({table.timestamp.lower(): timestamp} if table.timestamp else {})


def extended(url: str, fields: Fields) -> str:
    """Return a URL with further fields in its query."""
    return url + ("&" if "?" in url else "?") + urlencode(dict(fields))


def nested(fields: Fields) -> dict[str, object]:
    """Return a JSON document of paths: `{"a.b": "x"}` becomes `{"a": {"b": "x"}}`."""
    document: dict[str, object] = {}
    for path, value in fields.items():
        *steps, last = path.split(".")
        place = document
        for step in steps:
            inner = place.setdefault(step, {})
            assert isinstance(inner, dict)  # no path is the beginning of another path
            place = inner
        place[last] = value.decode("latin-1") if isinstance(value, bytes) else value
    return document


# --- calls of the gateway ------------------------------------------------------------------------------------------


def placeholders_of(send: Send, parameters: Mapping[str, object]) -> dict[str, str]:
    """Return the values of the placeholders in a call of the gateway; `callback` is the whole callback URL.

    An id inside a longer text is returned as `reference`. Raises `ValueError` if the call does not fit the settings.
    """
    for table in (send.unicode, send.gsm):
        values = _match({**send.parameters, **table}, parameters)
        if values is not None:
            return values
    raise ValueError("the call has other parameters than send.parameters")


def _match(templates: Mapping[str, object], parameters: Mapping[str, object]) -> dict[str, str] | None:
    if set(templates) != set(parameters):
        return None
    values: dict[str, str] = {}
    for name, template in templates.items():
        value = parameters[name]
        if isinstance(template, Mapping):
            inner = _match(template, value) if isinstance(value, Mapping) else None
        else:
            inner = _match_text(str(template), str(value))
        if inner is None:
            return None
        values |= inner
    return values


def _match_text(template: str, text: str) -> dict[str, str] | None:
    match = re.fullmatch(_pattern(template), text, re.DOTALL)
    if match is None:
        return None
    values = match.groupdict()
    if "callback" in values:
        values["callback"] = text
    if "id" in values and template != "{id}":
        # Such an id is only for receipts, so a repeated one is not dropped.
        values["reference"] = values.pop("id")
    return values


def _pattern(template: str) -> str:
    """Return the regular expression of a template; a repeated placeholder must have the same value."""
    pattern, names = "", set[str]()
    for number, piece in enumerate(re.split(r"\{(\w+)\}", template)):
        if number % 2 == 0:
            pattern += re.escape(piece)
        elif piece in names:
            pattern += f"(?P={piece})"
        else:
            pattern += f"(?P<{piece}>.*)"
            names.add(piece)
    return pattern


def answer_text(places: Sequence[str | None], values: Sequence[str]) -> bytes:
    """Return an answer in which each place (a path, or a /regex/ with one pair of brackets) holds its value.

    Raises `ValueError` for a regular expression that is too complex for a simulator.
    """
    paths = {place: value for place, value in zip(places, values, strict=True) if place and not place.startswith("/")}
    if paths:
        return msgspec.json.encode(nested(paths))
    lines = []
    for place, value in zip(places, values, strict=True):
        if place:
            filled = re.sub(r"\([^)]*\)", value, place[1:-1].strip("^$"))
            line = re.sub(r"\\(.)", r"\1", filled)
            match = re.search(place[1:-1], line)
            if not match or match[1] != value:
                raise ValueError(f"cannot simulate an answer for {place}")
            lines.append(line)
    return "\n".join(lines).encode() or b"OK"
