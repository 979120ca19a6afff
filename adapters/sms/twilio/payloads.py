"""What Twilio sends, as data: states, signed URLs, pages of messages, and the cursor of a poll.

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
from gateway.ports import Envelope

# Twilio's word for a message's state, in a callback or a resource.
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

# Of the header X-Twilio-Webhooks-Signature-Settings; without the header it is the first.
ALGORITHMS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}


class Listed(msgspec.Struct):
    """What a poll reads of a message resource; the rest is stored unread."""

    sid: str
    direction: str
    status: str
    sender: str | None = msgspec.field(name="from", default=None)
    date_sent: str | None = None
    date_created: str | None = None

    def moment(self, otherwise: datetime) -> datetime:
        """Return when it was sent, for ordering only: an unreadable date must not stop a poll."""
        try:
            return moment(self.date_sent) or moment(self.date_created) or otherwise
        except Untranslatable:
            return otherwise


class _Page(msgspec.Struct):
    messages: list[msgspec.Raw]
    next_page_uri: str | None = None


class Cursor(StoredCursor):
    """How far a poll has come; times are UTC."""

    since: datetime  # newest message of the last round that was read to its end
    began: datetime  # when this round began
    newest: datetime  # newest message of this round so far
    next: str | None = None  # path of the page to read next; none: begin a round


def read_page(text: str) -> tuple[list[tuple[Listed, bytes]], str | None]:
    """Read a list answer: each message with its exact JSON bytes, and the next page's path or `None`."""
    try:
        page = msgspec.json.decode(text, type=_Page)
        return [(msgspec.json.decode(raw, type=Listed), bytes(raw)) for raw in page.messages], page.next_page_uri
    except msgspec.DecodeError:
        # Not chained: the parser's message may quote what a citizen wrote.
        raise Unavailable("Twilio's list of messages has an unexpected form") from None


def moment(text: str | None) -> datetime | None:
    """Read an RFC 2822 time as UTC; raises `Untranslatable`."""
    if not text:
        return None
    try:
        found = parsedate_to_datetime(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as exc:
        raise Untranslatable("a date is not in RFC 2822 form") from exc


_SID = re.compile(rb"(?:SM|MM)[0-9a-fA-F]{32}")


def envelope(form: Mapping[bytes, bytes]) -> Envelope:
    """Return the key of a verified webhook: the MessageSid, with the status for a receipt; raises `Malformed`."""
    sid = form.get(b"MessageSid", b"")
    # Strictly: what is signed is names and values run together, so with a looser form the next field's name could be
    # passed off as a part of the sid, and one signed message become many.
    if not _SID.fullmatch(sid):
        raise Malformed("field MessageSid is missing or misshapen")
    key = sid.decode("ascii")
    status = (form.get(b"MessageStatus") or form.get(b"SmsStatus", b"")).decode("utf-8", "replace")
    if status in INBOUND:
        return Envelope(key, form.get(b"From", b"").decode("utf-8", "replace") or None)
    if not status.replace("_", "").isalnum() or len(status) > 32:
        raise Malformed("field MessageStatus is misshapen")
    return Envelope(f"{key}:{status}", key)


def url_variants(url: str) -> tuple[bytes, bytes]:
    """Return the URL as it is, then with or without its port: Twilio signs one of them, as its SDK's validator knows."""
    parsed = urlparse(url)
    bare, port = parsed.netloc, 443 if parsed.scheme == "https" else 80
    if parsed.port:
        bare, _, _ = parsed.netloc.rpartition(":")
        port = parsed.port
    first, second = (bare, f"{bare}:{port}") if not parsed.port else (f"{bare}:{port}", bare)
    given, other = (parsed._replace(netloc=netloc).geturl() for netloc in (first, second))
    return given.encode("utf-8", "replace"), other.encode("utf-8", "replace")


def read_signature_settings(header: str) -> tuple[str, str]:
    """Read `key=NAME,algorithm=HMAC_SHA256`; returns algorithm (SHA-1 unless said) and key name."""
    named = {"algorithm": "", "key": ""}
    for part in header.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if named.get(name) == "":
            named[name] = value
    return named["algorithm"].upper() or "HMAC_SHA1", named["key"]
