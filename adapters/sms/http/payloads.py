"""Read an aggregator's calls as the settings describe them: fields, text, time, parts, and the key of a call."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import msgspec

from adapters.sms import udh
from adapters.sms.http import text as http_text
from adapters.sms.http.receive_settings import Parts, Receive
from adapters.sms.http.settings import HttpSettings
from gateway.domain.errors import Untranslatable
from gateway.domain.texts import text
from gateway.ports import Envelope
from gateway.ports.wire import Fields, WebhookRequest, form_pairs

_ID = re.compile(r"[!-~]{1,200}")  # visible ASCII characters


class CallFields(Fields):
    """The named values of one call; the first value of a repeated name counts."""

    def undecoded(self, name: str) -> bytes | str:
        """Return a value undecoded: bytes from a form, text from JSON; empty if absent."""
        value = self._values.get(name)
        return value if isinstance(value, bytes) else self.get(name)


def read(request: WebhookRequest, *, as_json: bool) -> CallFields:
    """Return the values of a request: of its query if it is a GET, else of its body (a form, or JSON if `as_json`).

    Raises `Untranslatable` if the body is not JSON.
    """
    if request.method != "GET" and as_json:
        return CallFields(_Paths(request.body))
    sent = request.url.partition("?")[2].encode("latin-1", "replace") if request.method == "GET" else request.body
    # Reversed: of equal names a dict keeps the last.
    return CallFields({name.decode("utf-8", "replace"): value for name, value in reversed(form_pairs(sent))})


class _Paths(dict[str, object]):
    """A JSON document as a mapping of paths: `data.message.0.text`."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._document = _document(body)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self.get(path) is not None

    def get(self, path: str, default: object = None) -> object:
        return lookup(self._document, path, default)


def _document(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _document_with_halves(body)


def _document_with_halves(body: bytes) -> object:
    """Read JSON with an escaped half of a surrogate pair, from an emoji that was cut; msgspec refuses it."""
    try:
        # Writing and reading UTF-16 joins two halves into one character, and replaces a single half by U+FFFD.
        document = json.dumps(json.loads(body), ensure_ascii=False)
        return json.loads(document.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except (ValueError, RecursionError) as exc:
        raise Untranslatable(text("the payload is not JSON")) from exc


def lookup(document: object, path: str, default: object = None) -> object:
    """Return the value at a path of a JSON document: names and numbers, joined by dots."""
    for step in path.split("."):
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list) and step.isascii() and step.isdigit() and int(step) < len(document):
            document = document[int(step)]
        else:
            return default
    return document


# --- keys --------------------------------------------------------------------------------------------------------


def envelope(settings: HttpSettings, fields: CallFields, arrived: float) -> Envelope:
    """Return the envelope of a call; raises `Untranslatable` if it cannot be read.

    The key is the aggregator's id, else a hash of sender, recipient, content and time. Without a time it includes the
    arrival (in seconds since 1970), rounded down to `same_within`.
    """
    receive, receipts = settings.receive, settings.receipts
    if receipts and (receipts.when or receipts.status) in fields:
        message = fields.need(receipts.id)
        return Envelope(f"receipt:{message}:{fields.get(receipts.status)}", message)
    sender = fields.get(receive.sender) or None
    if receive.id:
        key = fields.need(receive.id)
        if not _ID.fullmatch(key):
            raise Untranslatable(text("field {name} is not an id", name=receive.id))
        part = part_of(receive.parts, fields) if receive.parts else None
        return Envelope(f"{key}:{part.number}/{part.total}" if part else key, sender)
    names = [receive.sender, receive.recipient, receive.text, receive.hex, receive.sent_at]
    if receive.parts:
        names += [receive.parts.udh, receive.parts.reference, receive.parts.number]
    content = digest(*(_octets(fields.undecoded(name)) for name in names if name))
    if not receive.same_within:
        fields.need(receive.sent_at or "")
        return Envelope(content, sender)
    bucket = int(arrived // receive.same_within)
    return Envelope(f"{content}:{bucket}", sender, f"{content}:{bucket - 1}")


def unread_envelope(request: WebhookRequest) -> Envelope:
    """Return the envelope of a call that cannot be read; it is stored, and can be replayed with corrected settings."""
    return Envelope("unread:" + digest(request.url.partition("?")[2].encode("latin-1", "replace"), request.body))


def digest(*values: bytes) -> str:
    """Return one hash (SHA-256, hex) of several values with their lengths, so that (ab, c) and (a, bc) differ."""
    return sha256(b"".join(b"%d:%b" % (len(value), value) for value in values)).hexdigest()


def _octets(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")


# --- text, parts, time -------------------------------------------------------------------------------------------


def content_of(receive: Receive, fields: CallFields) -> tuple[bytes | str, str]:
    """Return the content of a message, and the name of its character set; raises `Untranslatable`."""
    name = receive.charset
    coding = _coding(receive, fields)
    if coding in receive.codings:
        name = receive.codings[coding]
    elif receive.charset_from and fields.get(receive.charset_from):
        return _content(receive, fields), http_text.charset(fields.get(receive.charset_from))
    elif coding:
        raise Untranslatable(text("the coding is unknown: add it to codings"))
    return _content(receive, fields), http_text.charset(name)


def _content(receive: Receive, fields: CallFields) -> bytes | str:
    if receive.hex and (digits := fields.get(receive.hex)):
        try:
            return bytes.fromhex(digits)
        except ValueError as exc:
            raise Untranslatable(text("field {name} is not hex", name=receive.hex)) from exc
    return fields.undecoded(receive.text)


def _coding(receive: Receive, fields: CallFields) -> str:
    if not receive.coding_from:
        return ""
    value = fields.undecoded(receive.coding_from)
    if receive.coding_raw and isinstance(value, bytes) and len(value) == 1:
        return str(value[0])
    return fields.get(receive.coding_from)


def part_of(parts: Parts, fields: CallFields) -> udh.Concatenation | None:
    """Return the reference, number and total of a part, `None` for a complete message; raises `Untranslatable`."""
    if parts.udh:
        header = fields.undecoded(parts.udh)
        if not header:
            return None
        try:
            octets = bytes.fromhex(fields.get(parts.udh)) if parts.udh_form == "hex" else _octets(header)
        except ValueError as exc:
            raise Untranslatable(text("field {name} is not hex", name=parts.udh)) from exc
        return udh.concatenation(udh.split(octets)[0])
    number, total = fields.number(parts.number or ""), fields.number(parts.total or "")
    if not 1 <= number <= total or total == 1:
        return None
    # The reference may be any text. Its hash is a number, and still different for each message of a sender.
    reference = digest(_octets(fields.undecoded(parts.reference or "")))[:16]
    return udh.Concatenation(int(reference, 16), 64, total, number)


def moment_of(receive: Receive, fields: CallFields) -> datetime | None:
    """Return the time of sending in UTC, `None` if the message has none; raises `Untranslatable`."""
    value = fields.get(receive.sent_at) if receive.sent_at else ""
    if not value:
        return None
    try:
        if receive.time_format in ("unix", "unix_ms"):
            return datetime.fromtimestamp(int(value) / (1000 if receive.time_format == "unix_ms" else 1), UTC)
        if receive.time_format == "iso":
            moment = datetime.fromisoformat(value)
        else:
            moment = datetime.strptime(value, receive.time_format)  # noqa: DTZ007  the offset is set below
        return (moment if moment.tzinfo else moment.replace(tzinfo=_zone(receive.utc_offset))).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as exc:
        raise Untranslatable(
            text("field {name} is not a time of the form {form}", name=receive.sent_at, form=receive.time_format)
        ) from exc


def _zone(offset: str) -> timezone:
    sign = -1 if offset.startswith("-") else 1
    return timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[4:6])))
