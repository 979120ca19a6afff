"""What an aggregator sends, read as the settings say: fields, text, time, parts, and the key of a request."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import msgspec

from adapters.sms import udh
from adapters.sms.http import text as http_text
from adapters.sms.http.settings import HttpSettings, Parts, Receive
from gateway.domain.errors import Untranslatable
from gateway.ports import Envelope
from gateway.ports.wire import Fields, WebhookRequest, form_pairs

_ID = re.compile(r"[!-~]{1,200}")  # visible characters; anything else is no id


class Named(Fields):
    """The named values of one request; of a repeated name the first counts."""

    def bare(self, name: str) -> bytes | str:
        """Return a value as it came: bytes of a form, text of JSON; empty where absent."""
        value = self._values.get(name)
        return value if isinstance(value, bytes) else self.get(name)


def read(request: WebhookRequest, *, as_json: bool) -> Named:
    """Return what a request holds; raises `Untranslatable` where its body is not what it should be."""
    if request.method != "GET" and as_json:
        return Named(_Paths(request.body))
    sent = request.url.partition("?")[2].encode("latin-1", "replace") if request.method == "GET" else request.body
    # Reversed, because of equal names the last one stays in a dict.
    return Named({name.decode("utf-8", "replace"): value for name, value in reversed(form_pairs(sent))})


class _Paths(dict[str, Any]):
    """A JSON document as a mapping of paths: `data.message.0.text`."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._document = _document(body)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self.get(path) is not None

    def get(self, path: str, default: Any = None) -> Any:
        return lookup(self._document, path, default)


def _document(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _document_with_halves(body)


def _document_with_halves(body: bytes) -> Any:
    """Read JSON in which half of a surrogate pair is escaped, as of an emoji that was cut; msgspec refuses it."""
    try:
        # Each half is written as a character of its own, and read back as the sign for what is unreadable.
        text = json.dumps(json.loads(body), ensure_ascii=False)
        return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except (ValueError, RecursionError) as exc:
        raise Untranslatable("the payload is not JSON") from exc


def lookup(document: Any, path: str, default: Any = None) -> Any:
    """Return what stands at a path of a JSON document: names and numbers, joined by dots."""
    for step in path.split("."):
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list) and step.isascii() and step.isdigit() and int(step) < len(document):
            document = document[int(step)]
        else:
            return default
    return document


# --- keys --------------------------------------------------------------------------------------------------------


def key_of(settings: HttpSettings, found: Named, arrived: float) -> Envelope:
    """Return how a call is told from others; raises `Untranslatable` where that cannot be read.

    The aggregator's id where it gives one, else sender, recipient, content and time. Where it gives no time either,
    when it arrived (in seconds), cut to `same_within`.
    """
    receive, receipts = settings.receive, settings.receipts
    if receipts and (receipts.when or receipts.status) in found:
        message = found.need(receipts.id)
        return Envelope(f"receipt:{message}:{found.get(receipts.status)}", message)
    sender = found.get(receive.sender) or None
    if receive.id:
        key = found.need(receive.id)
        if not _ID.fullmatch(key):
            raise Untranslatable(f"field {receive.id} is no id")
        part = part_of(receive.parts, found) if receive.parts else None
        return Envelope(f"{key}:{part.number}/{part.total}" if part else key, sender)
    names = [receive.sender, receive.recipient, receive.text, receive.hex, receive.sent_at]
    if receive.parts:
        names += [receive.parts.udh, receive.parts.reference, receive.parts.number]
    content = digest(*(_octets(found.bare(name)) for name in names if name))
    if not receive.same_within:
        found.need(receive.sent_at or "")
        return Envelope(content, sender)
    bucket = int(arrived // receive.same_within)
    return Envelope(f"{content}:{bucket}", sender, f"{content}:{bucket - 1}")


def unread(request: WebhookRequest) -> Envelope:
    """Return the key of a request that cannot be read now: it is kept, and replayed once the settings are right."""
    return Envelope("unread:" + digest(request.url.partition("?")[2].encode("latin-1", "replace"), request.body))


def digest(*values: bytes) -> str:
    """Return one hash of several values; their borders count."""
    return sha256(b"".join(b"%d:%b" % (len(value), value) for value in values)).hexdigest()


def _octets(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")


# --- text, parts, time -------------------------------------------------------------------------------------------


def content_of(receive: Receive, found: Named) -> tuple[bytes | str, str]:
    """Return the content and its character set; a user data header in front of it is left out."""
    name = receive.charset
    coding = _coding(receive, found)
    if coding in receive.codings:
        name = receive.codings[coding]
    elif receive.charset_from and found.get(receive.charset_from):
        return _content(receive, found), http_text.charset(found.get(receive.charset_from))
    elif coding:
        raise Untranslatable("the coding is unknown: add it to codings")
    return _content(receive, found), http_text.charset(name)


def _content(receive: Receive, found: Named) -> bytes | str:
    if receive.hex and (digits := found.get(receive.hex)):
        try:
            return bytes.fromhex(digits)
        except ValueError as exc:
            raise Untranslatable(f"field {receive.hex} is not hex") from exc
    return found.bare(receive.text)


def _coding(receive: Receive, found: Named) -> str:
    if not receive.coding_from:
        return ""
    value = found.bare(receive.coding_from)
    if receive.coding_raw and isinstance(value, bytes) and len(value) == 1:
        return str(value[0])
    return found.get(receive.coding_from)


def part_of(parts: Parts, found: Named) -> udh.Concatenation | None:
    """Return where a part belongs, or `None` for a whole message."""
    if parts.udh:
        header = found.bare(parts.udh)
        if not header:
            return None
        try:
            octets = bytes.fromhex(found.get(parts.udh)) if parts.udh_form == "hex" else _octets(header)
        except ValueError as exc:
            raise Untranslatable(f"field {parts.udh} is not hex") from exc
        return udh.concatenation(udh.split(octets)[0])
    number, total = found.number(parts.number or ""), found.number(parts.total or "")
    if not 1 <= number <= total or total == 1:
        return None
    # A reference may be any word here: as a number it tells the messages of one sender apart just as well.
    reference = digest(_octets(found.bare(parts.reference or "")))[:16]
    return udh.Concatenation(int(reference, 16), 64, total, number)


def moment_of(receive: Receive, found: Named) -> datetime | None:
    """Return when the message was sent, in UTC, where it says so; raises `Untranslatable`."""
    text = found.get(receive.sent_at) if receive.sent_at else ""
    if not text:
        return None
    try:
        if receive.time_format in ("unix", "unix_ms"):
            return datetime.fromtimestamp(int(text) / (1000 if receive.time_format == "unix_ms" else 1), UTC)
        if receive.time_format == "iso":
            moment = datetime.fromisoformat(text)
        else:
            moment = datetime.strptime(text, receive.time_format)  # noqa: DTZ007  the offset is set below
        return (moment if moment.tzinfo else moment.replace(tzinfo=_zone(receive.utc_offset))).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as exc:
        raise Untranslatable(f"field {receive.sent_at} is not a time of the form {receive.time_format}") from exc


def _zone(offset: str) -> timezone:
    sign = -1 if offset.startswith("-") else 1
    return timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[4:6])))
