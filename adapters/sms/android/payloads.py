"""Read the data of the phone's app: its events, the key of a message, and the cursor of a poll.

Sources: https://docs.sms-gate.app/features/ (webhooks, mms, status-tracking), and for the gaps of the documents the
sources of app and server: github.com/capcom6/android-sms-gateway, github.com/android-sms-gateway/server.
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
from gateway.domain.texts import text
from gateway.ports import Envelope
from gateway.ports.wire import Fields, json_fields

# Events with a citizen's message, and the field of its text.
MESSAGES = {"sms:received": "message", "mms:downloaded": "body"}
# The same with several messages in one event.
BATCHES = {"sms:batch:received": "sms:received", "mms:batch:downloaded": "mms:downloaded"}
# Events about a reply. "delivered" comes once per part; like the app we count the first one.
STATES = {
    "sms:sent": Delivery.SENT,
    "sms:delivered": Delivery.DELIVERED,
    "sms:failed": Delivery.FAILED,
    "sms:cancelled": Delivery.FAILED,
}
# Events without a message, each with the reason why it is ignored.
IGNORED = {
    "mms:received": "an MMS was announced; mms:downloaded brings it",
    "sms:data-received": "a data SMS, which programs send",
    "app:started": "the app started",
}

_CODE = re.compile(r"RESULT_[A-Z_]{3,60}")  # Android's code in the free text of a failure

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # the last: JSON that is nested too deeply

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


class Row(msgspec.Struct, rename="camel"):
    """The fields of a listed message that a poll reads; its `content_preview` is the whole text."""

    sender: str | None = None
    content_preview: str | None = None
    created_at: str | None = None

    @property
    def key(self) -> str:
        """Return the message's key, the same as that of its webhook."""
        return message_key(self.sender or "", self.created_at or "", self.content_preview or "")


class Cursor(StoredCursor):
    """The position of a poll; times are UTC."""

    began: datetime  # time of the first poll; older messages of the phone are not read
    since: datetime  # end of the last list that was read completely
    until: datetime  # end of the present list
    offset: int = 0  # rows of the present list that were read
    last_notice: str = msgspec.field(name="said", default="")  # of the phone; stored cursors have the name "said"
    exported: datetime | None = None  # time of the last request to send webhooks again


def envelope(body: bytes) -> Envelope:
    """Return the envelope of a signed event; an event that cannot be read has one too, because it is stored as well.

    A message's key is a hash of sender, time and text. The event's id is not usable: the app has sent one SMS in two
    events (its issues 291, 310, 372), and each registered webhook has an id of its own. Nor is its messageId: 32 bits
    of a hash, in some versions without the time, so that "STATUS" today and tomorrow would be one message.
    """
    try:
        signed = msgspec.json.decode(body, type=_Signed)
    except _UNREADABLE:
        signed = _Signed("", "")
    payload = signed.payload
    content = payload.body or "" if signed.event == "mms:downloaded" else payload.message
    # Only if no part of the key is missing: if a new version renamed a field, two messages would have one key.
    if signed.event in MESSAGES and payload.received_at and content is not None:
        sender = payload.sender or payload.phone_number or ""
        return Envelope(message_key(sender, payload.received_at, content, signed.event), sender or None)
    if signed.event in STATES and payload.message_id:
        return Envelope(f"{signed.event}:{payload.message_id}", payload.message_id)
    if signed.id:
        return Envelope(f"{signed.event}:{signed.id}")
    return Envelope(f"unread:{sha256(body).hexdigest()}")


def message_key(sender: str, received_at: str, content: str, event: str = "sms:received") -> str:
    """Return the key of a message from sender, time and text: the same by webhook, by its retries and by poll."""
    try:
        when = moment(received_at).isoformat()  # UTC: the phone may change its zone between two events
    except Untranslatable:
        when = received_at
    return sha256(msgspec.json.encode([event, sender, when, content])).hexdigest()[:40]


def moment(value: str) -> datetime:
    """Return an ISO 8601 time in UTC; raises `Untranslatable` if it is none, or has no offset."""
    try:
        date = datetime.fromisoformat(value)
        if date.tzinfo is not None:
            return date.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise Untranslatable(text("a time is not in ISO 8601 form")) from exc
    raise Untranslatable(text("a time has no offset from UTC"))


def read_event(body: bytes) -> tuple[str, bytes]:
    """Return an event's name, and its payload as JSON; raises `Untranslatable`."""
    event = decode(body, _Event)
    return event.event, bytes(event.payload)


def messages_in(event: str, payload: bytes) -> list[tuple[str, bytes, str]]:
    """Return event name, payload and JSON pointer of each message; a batch becomes single messages."""
    if event not in BATCHES:
        return [(event, payload, "/payload")]
    listed = enumerate(decode(payload, _Lists).messages)
    return [(BATCHES[event], bytes(message), f"/payload/messages/{number}") for number, message in listed]


def message_of(event: str, payload: bytes, pointer: str, own_number: str) -> CitizenMessage:
    """Read a message's payload; raises `Untranslatable`.

    `pointer` is its JSON pointer in the stored request, for attachments. `own_number` is used if the phone names none.
    """
    fields, text_field = json_fields(payload), MESSAGES[event]
    sender = fields.get("sender") or fields.need("phoneNumber")
    # An MMS may be a picture only, and the app leaves empty fields out; an SMS always has a text.
    if text_field not in fields and event == "sms:received":
        raise Untranslatable(text("field {name} is missing", name=text_field))
    content, received_at = fields.get(text_field), fields.need("receivedAt")
    return CitizenMessage(
        external_id=message_key(sender, received_at, content, event),
        made_id=True,
        sender=sender,
        recipient=fields.get("recipient") or own_number,
        text="\n".join(filter(None, [fields.get("subject"), content])),
        sent_at=moment(received_at),
        attachments=_attachments(payload, pointer),
    )


def _attachments(payload: bytes, pointer: str) -> tuple[Attachment, ...]:
    """Return the pictures of an MMS as references into the stored request, which holds them in base64: none is decoded."""
    attachments = [json_fields(bytes(attachment)) for attachment in decode(payload, _Lists).attachments]
    return tuple(
        Attachment(
            url=f"{pointer}/attachments/{number}",
            media_type=fields.get("contentType") or None,
            file_name=fields.get("name") or None,
        )
        for number, fields in enumerate(attachments)
    )


def message_of_row(fields: Fields, own_number: str) -> CitizenMessage:
    """Read a row of the phone's own list as the same message that its webhook gives; raises `Untranslatable`."""
    sender, content, received_at = fields.need("sender"), fields.get("contentPreview"), fields.need("createdAt")
    return CitizenMessage(
        external_id=message_key(sender, received_at, content),
        made_id=True,
        sender=sender,
        recipient=fields.get("recipient") or own_number,
        text=content,
        sent_at=moment(received_at),
    )


def receipt_of(event: str, payload: bytes) -> DeliveryReceipt:
    """Read the receipt of a reply; raises `Untranslatable`."""
    fields = json_fields(payload)
    code = _CODE.search(fields.get("reason"))
    return DeliveryReceipt(external_id=fields.need("messageId"), state=STATES[event], error=code[0] if code else None)


def rows_of(body: bytes, kind: type[_T]) -> list[tuple[_T, bytes]]:
    """Return each row of a JSON list with its exact bytes; raises `Untranslatable`."""
    return [(decode(bytes(raw), kind), bytes(raw)) for raw in decode(body, list[msgspec.Raw])]


def decode(body: bytes, kind: type[_T]) -> _T:
    """Read JSON as this type; raises `Untranslatable`."""
    try:
        return msgspec.json.decode(body, type=kind)
    except _UNREADABLE:
        # `from None`: the parser's message may quote a citizen's text.
        raise Untranslatable(text("the payload has an unexpected form")) from None
