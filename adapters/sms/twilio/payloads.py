"""Read Twilio's data: message states, signed URLs, pages of messages, and the cursor of a poll.

Sources, under https://www.twilio.com/docs: messaging/api/message-resource, usage/webhooks/webhooks-security.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlparse

import msgspec

from adapters.common.cursor import StoredCursor
from gateway.domain.errors import Malformed, Unavailable, Untranslatable
from gateway.domain.events import Delivery
from gateway.domain.texts import text
from gateway.ports import Envelope

# Twilio's names of a message's state, in a callback or a resource.
INBOUND = frozenset({"", "received", "receiving"})
STATES = {
    "accepted": Delivery.SENT,
    "queued": Delivery.SENT,
    "sending": Delivery.SENT,
    "sent": Delivery.SENT,
    "delivered": Delivery.DELIVERED,
    "read": Delivery.DELIVERED,
    "undelivered": Delivery.FAILED,
    "failed": Delivery.FAILED,
    "canceled": Delivery.FAILED,
}

# Names in the header X-Twilio-Webhooks-Signature-Settings; without the header Twilio uses the first.
ALGORITHMS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}


class Row(msgspec.Struct):
    """The fields of a listed message that a poll reads; the others are only stored."""

    sid: str
    direction: str
    status: str
    sender: str | None = msgspec.field(name="from", default=None)
    date_sent: str | None = None
    date_created: str | None = None

    def moment(self, otherwise: datetime) -> datetime:
        """Return the time of sending, else of creation, else `otherwise`; a bad date must not stop the poll."""
        try:
            return moment(self.date_sent) or moment(self.date_created) or otherwise
        except Untranslatable:
            return otherwise


class _Page(msgspec.Struct):
    messages: list[msgspec.Raw]
    next_page_uri: str | None = None


class Cursor(StoredCursor):
    """The position of a poll; times are UTC."""

    since: datetime  # time of the newest message of the last complete round
    began: datetime  # start of this round
    newest: datetime  # time of the newest message of this round so far
    next: str | None = None  # path of the next page; `None`: begin a round


def read_page(page: str) -> tuple[list[tuple[Row, bytes]], str | None]:
    """Return each message of a page with its exact JSON, and the next page's path or `None`; raises `Unavailable`."""
    try:
        document = msgspec.json.decode(page, type=_Page)
        rows = [(msgspec.json.decode(raw, type=Row), bytes(raw)) for raw in document.messages]
        return rows, document.next_page_uri
    except msgspec.DecodeError:
        # `from None`: the parser's message may quote a citizen's text.
        raise Unavailable(text("Twilio's list of messages has an unexpected form")) from None


def moment(value: str | None) -> datetime | None:
    """Return an RFC 2822 time in UTC, `None` for an empty value; raises `Untranslatable`."""
    if not value:
        return None
    try:
        date = parsedate_to_datetime(value)
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as exc:
        raise Untranslatable(text("a date is not in RFC 2822 form")) from exc


_SID = re.compile(rb"(?:SM|MM)[0-9a-fA-F]{32}")


def envelope(form: Mapping[bytes, bytes]) -> Envelope:
    """Return the envelope of a verified webhook; the key is the MessageSid, with the status for a receipt.

    Raises `Malformed`.
    """
    sid = form.get(b"MessageSid", b"")
    # Strict, because names and values are signed in one run without borders: if other characters were allowed, the next
    # field's name could be moved into the sid, and one signed message would become many.
    if not _SID.fullmatch(sid):
        raise Malformed(text("field MessageSid is missing or misshapen"))
    key = sid.decode("ascii")
    status = (form.get(b"MessageStatus") or form.get(b"SmsStatus", b"")).decode("utf-8", "replace")
    if status in INBOUND:
        return Envelope(key, form.get(b"From", b"").decode("utf-8", "replace") or None)
    if not status.replace("_", "").isalnum() or len(status) > 32:
        raise Malformed(text("field MessageStatus is misshapen"))
    return Envelope(f"{key}:{status}", key)


def url_variants(url: str) -> tuple[bytes, bytes]:
    """Return the URL with and without its port, the unchanged one first: Twilio signs one of them, and its SDK tries both."""
    parsed = urlparse(url)
    bare, port = parsed.netloc, 443 if parsed.scheme == "https" else 80
    if parsed.port:
        bare, _, _ = parsed.netloc.rpartition(":")
        port = parsed.port
    first, second = (bare, f"{bare}:{port}") if not parsed.port else (f"{bare}:{port}", bare)
    unchanged, other = (parsed._replace(netloc=netloc).geturl() for netloc in (first, second))
    return unchanged.encode("utf-8", "replace"), other.encode("utf-8", "replace")


def read_signature_settings(header: str) -> tuple[str, str]:
    """Read `key=NAME,algorithm=HMAC_SHA256`; return the algorithm (by default HMAC_SHA1) and the key's name."""
    values = {"algorithm": "", "key": ""}
    for part in header.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if values.get(name) == "":
            values[name] = value
    return values["algorithm"].upper() or "HMAC_SHA1", values["key"]
