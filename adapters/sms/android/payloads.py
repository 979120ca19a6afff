"""What the phone's app sends, as data: its events, the key of a message, and the cursor of a poll.

Sources: https://docs.sms-gate.app/features/ (webhooks, mms, status-tracking), and what the documents leave out
from the sources of app and server: github.com/capcom6/android-sms-gateway, github.com/android-sms-gateway/server.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import TypeVar

import msgspec

from adapters.common.cursor import StoredCursor
from gateway.domain.complaint import Attachment
from gateway.domain.errors import Untranslatable
from gateway.domain.events import CitizenMessage, Delivery, DeliveryReceipt
from gateway.ports import Envelope
from gateway.ports.wire import Fields, json_fields

# Events that bring a citizen's message, and the field its text is in.
MESSAGES = {"sms:received": "message", "mms:downloaded": "body"}
# The same, several in one event.
BATCHES = {"sms:batch:received": "sms:received", "mms:batch:downloaded": "mms:downloaded"}
# Events that tell how far a reply has come. "delivered" comes once for each part; the app too counts the first one.
STATES = {
    "sms:sent": Delivery.SENT,
    "sms:delivered": Delivery.DELIVERED,
    "sms:failed": Delivery.FAILED,
    "sms:cancelled": Delivery.FAILED,
}
# Events that ask nothing of us.
IGNORED = {
    "mms:received": "an MMS was announced; mms:downloaded brings it",
    "sms:data-received": "a data SMS, which programs send",
    "app:started": "the app started",
}

_CODE = re.compile(r"RESULT_[A-Z_]{3,60}")  # Android's, in the free text of a failure

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # the last: brackets in brackets

_T = TypeVar("_T")


class _Message(msgspec.Struct, rename="camel"):
    message_id: str = ""
    sender: str | None = None
    phone_number: str | None = None
    message: str | None = None
    body: str | None = None
    received_at: str = ""


class _Signed(msgspec.Struct):
    event: str
    id: str
    payload: _Message = msgspec.field(default_factory=_Message)


class _Event(msgspec.Struct):
    event: str
    payload: msgspec.Raw = msgspec.Raw(b"{}")


class _Lists(msgspec.Struct):
    messages: list[msgspec.Raw] = []
    attachments: list[msgspec.Raw] = []


class Incoming(msgspec.Struct, rename="camel"):
    """A message in the phone's own list. The app calls its text a preview, and keeps all of it."""

    sender: str | None = None
    content_preview: str | None = None
    created_at: str | None = None

    @property
    def key(self) -> str:
        """Return the key that the message's webhook has."""
        return message_key(self.sender or "", self.created_at or "", self.content_preview or "")


class Cursor(StoredCursor):
    """How far a poll has come; times are UTC."""

    began: datetime  # first poll of all: what the phone got before is not ours
    since: datetime  # end of the last list that was read to its end
    until: datetime  # end of the list being read
    offset: int = 0  # how much of it was read
    said: str = ""  # what was last told of the phone
    exported: datetime | None = None  # when the phone was last asked to send its messages again


def envelope(body: bytes) -> Envelope:
    """Return the key of a signed event, whatever is in it: one that nobody can read is kept all the same.

    A message's key is made of the message. The event's id will not do: the app has sent one SMS in two events (its
    issues 291, 310, 372), and each registered webhook makes its own. Nor will its messageId: 32 bits of a hash, which
    in some versions leaves out the time, so that "STATUS" today is "STATUS" tomorrow.
    """
    try:
        told = msgspec.json.decode(body, type=_Signed)
    except _UNREADABLE:
        told = _Signed("", "")
    payload = told.payload
    text = payload.body or "" if told.event == "mms:downloaded" else payload.message
    # Only where all that makes the key is there: with a field that a new version renamed, two messages would be one.
    if told.event in MESSAGES and payload.received_at and text is not None:
        sender = payload.sender or payload.phone_number or ""
        return Envelope(message_key(sender, payload.received_at, text, told.event), sender or None)
    if told.event in STATES and payload.message_id:
        return Envelope(f"{told.event}:{payload.message_id}", payload.message_id)
    if told.id:
        return Envelope(f"{told.event}:{told.id}")
    return Envelope(f"unread:{sha256(body).hexdigest()}")


def message_key(sender: str, received_at: str, text: str, event: str = "sms:received") -> str:
    """Return what tells a message from all others: who, when, what. The same by webhook, again, and by poll."""
    try:
        when = moment(received_at).isoformat()  # one instant, in whatever zone the phone writes it
    except Untranslatable:
        when = received_at
    return sha256(msgspec.json.encode([event, sender, when, text])).hexdigest()[:40]


def moment(text: str) -> datetime:
    """Read an ISO 8601 time as UTC; raises `Untranslatable`."""
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise Untranslatable("a time is not in ISO 8601 form") from exc
    raise Untranslatable("a time has no offset from UTC")


def read_event(body: bytes) -> tuple[str, bytes]:
    """Return an event's name and its payload, unread; raises `Untranslatable`."""
    found = decode(body, _Event)
    return found.event, bytes(found.payload)


def messages_in(event: str, payload: bytes) -> list[tuple[str, bytes, str]]:
    """Return the messages that an event brings: each as event and payload it would have alone, and where it stands."""
    if event not in BATCHES:
        return [(event, payload, "/payload")]
    listed = enumerate(decode(payload, _Lists).messages)
    return [(BATCHES[event], bytes(one), f"/payload/messages/{number}") for number, one in listed]


def message_of(event: str, payload: bytes, stands: str, own: str) -> CitizenMessage:
    """Read a message's payload, which `stands` there; `own` is our number, which the phone does not always know."""
    fields, text_in = json_fields(payload), MESSAGES[event]
    sender = fields.get("sender") or fields.need("phoneNumber")
    if text_in not in fields and event == "sms:received":  # an MMS may be a picture alone; null fields are left out
        raise Untranslatable(f"field {text_in} is missing")
    text, received_at = fields.get(text_in), fields.need("receivedAt")
    return CitizenMessage(
        external_id=message_key(sender, received_at, text, event),
        made_id=True,
        sender=sender,
        recipient=fields.get("recipient") or own,
        text="\n".join(filter(None, [fields.get("subject"), text])),
        sent_at=moment(received_at),
        attachments=_attachments(payload, stands),
    )


def _attachments(payload: bytes, stands: str) -> tuple[Attachment, ...]:
    """Refer to the pictures of an MMS where they are, in base64 in the stored request: nothing is decoded here."""
    found = [json_fields(bytes(one)) for one in decode(payload, _Lists).attachments]
    return tuple(
        Attachment(
            url=f"{stands}/attachments/{number}",
            media_type=fields.get("contentType") or None,
            file_name=fields.get("name") or None,
        )
        for number, fields in enumerate(found)
    )


def message_of_row(fields: Fields, own: str) -> CitizenMessage:
    """Read a message in the phone's own list: it is what its webhook would have been."""
    sender, text, received_at = fields.need("sender"), fields.get("contentPreview"), fields.need("createdAt")
    return CitizenMessage(
        external_id=message_key(sender, received_at, text),
        made_id=True,
        sender=sender,
        recipient=fields.get("recipient") or own,
        text=text,
        sent_at=moment(received_at),
    )


def receipt_of(event: str, payload: bytes) -> DeliveryReceipt:
    """Read how far a reply has come."""
    fields = json_fields(payload)
    code = _CODE.search(fields.get("reason"))
    return DeliveryReceipt(external_id=fields.need("messageId"), state=STATES[event], error=code[0] if code else None)


def rows_of(body: bytes, kind: type[_T]) -> list[tuple[_T, bytes]]:
    """Read a listed answer: each row, and its exact bytes; raises `Untranslatable`."""
    return [(decode(bytes(raw), kind), bytes(raw)) for raw in decode(body, list[msgspec.Raw])]


def decode(body: bytes, kind: type[_T]) -> _T:
    """Read JSON of a known form; raises `Untranslatable`."""
    try:
        return msgspec.json.decode(body, type=kind)
    except _UNREADABLE:
        # Not chained: the parser's message may quote what a citizen wrote.
        raise Untranslatable("the payload has an unexpected form") from None
