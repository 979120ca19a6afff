"""Receive and send SMS through any HTTP aggregator: the settings describe its wire format.

Sources of the wire formats in the sample configurations (samples/ beside this module):
  Kannel   user guide 1.4.5, "Setting up a SMS gateway": sms-service, sendsms; and its traffic, recorded
  Jasmin   HTTP API documentation: sending-mt, receiving-mo, receiving-dlr
  JSON     the typical form of Indonesian aggregators; the signature as in Bank Indonesia's SNAP
Alphabets and headers: 3GPP TS 23.038 and TS 23.040.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from adapters.sms import gsm
from adapters.sms.http import payloads as http_payloads
from adapters.sms.http import text as http_text
from adapters.sms.http.auth import checks
from adapters.sms.http.settings import HttpSettings, Receipts
from gateway.domain.errors import Rejected, Untranslatable
from gateway.domain.events import CitizenMessage, DeliveryReceipt, Event, Ignored, MessagePart
from gateway.domain.texts import text
from gateway.ports import (
    HTTP,
    ChannelContext,
    ChannelSettings,
    Envelope,
    RawMessage,
    Receipt,
    Reply,
    Response,
    recognise,
)
from gateway.ports.wire import WebhookRequest

if TYPE_CHECKING:
    from adapters.sms.http.client import AggregatorApi


# Content types of a POST; some aggregators send JSON as plain text.
MEDIA_TYPES = {
    "form": frozenset({"application/x-www-form-urlencoded"}),
    "json": frozenset({"application/json", "text/json", "text/plain"}),
}


class HttpSms:
    """A channel with one number or short code at one aggregator."""

    Settings: ClassVar[type[ChannelSettings]] = HttpSettings
    content_types: ClassVar[frozenset[str]] = frozenset({HTTP})

    def __init__(self, settings: HttpSettings, context: ChannelContext) -> None:
        self._settings = settings
        self._context = context
        self._receive = settings.receive
        self._receipts = settings.receipts
        self.own_addresses = (settings.sender,)
        self.methods = frozenset({settings.receive.method})
        self.media_types = MEDIA_TYPES[settings.receive.body]
        self._checks = checks(settings.auth, form=settings.receive.body == "form")
        answer = settings.receive.answer
        self._accepted = Response(answer.status, answer.body.encode(), answer.content_type)

    # In, inside the HTTP request: quick, no database.

    def verify(self, request: WebhookRequest) -> Envelope:
        """Return the envelope of a call that passes all configured checks; the key is an id, or a hash of the content.

        Raises `Unverified` or `Malformed`. A call that passes but cannot be read has an envelope too: usually the
        settings are wrong, and the stored call can be replayed once they are corrected.
        """
        for check in self._checks:
            check(request)
        try:
            return http_payloads.envelope(self._settings, self._read(request), time.time())
        except Untranslatable:
            return http_payloads.unread_envelope(request)

    def accepted(self, request: WebhookRequest) -> Response:
        """Return the answer that means "stored" to the aggregator."""
        return self._accepted

    # In, later and replayable: pure.

    def recognises(self, payload: bytes) -> str | None:
        """Return the content type: HTTP for a recorded call, `None` for anything else."""
        return recognise(payload, self.content_types)

    def translate(self, raw: RawMessage) -> list[Event]:
        """Turn a stored call into one event: a message, a part of a message, or a receipt; raises `Untranslatable`."""
        fields = self._read(raw.request())
        if self._receipts and (self._receipts.when or self._receipts.status) in fields:
            return [self._receipt(self._receipts, fields)]
        if self._receive.text not in fields and (self._receive.hex or self._receive.text) not in fields:
            return [Ignored(why="unknown kind of call: neither text nor receipt")]
        sender = fields.need(self._receive.sender)
        if sender in self.own_addresses:
            return [Ignored(why="our own message")]
        content, charset = http_payloads.content_of(self._receive, fields)
        part = http_payloads.part_of(self._receive.parts, fields) if self._receive.parts else None
        if part:
            group = f"{self._recipient(fields)}:{part.group}"
            return [MessagePart(group=group, number=part.number, total=part.total, sender=sender)]
        return [self._message(raw, fields, http_text.decode(content, charset))]

    def join(self, parts: Sequence[RawMessage | None]) -> CitizenMessage:
        """Return the message of its parts: their bytes are joined, then decoded, and each gap is marked.

        Id and time are those of the first part that is there. Raises `Untranslatable`.
        """
        calls = [(part, self._read(part.request())) if part else None for part in parts]
        pieces = [http_payloads.content_of(self._receive, call[1]) if call else None for call in calls]
        first = next((call for call in calls if call), None)
        if first is None:
            raise Untranslatable(text("no part of the message is there"))
        return self._message(*first, http_text.join(pieces))

    def _read(self, request: WebhookRequest) -> http_payloads.CallFields:
        return http_payloads.read(request, as_json=self._receive.body == "json")

    def _recipient(self, fields: http_payloads.CallFields) -> str:
        return (fields.get(self._receive.recipient) if self._receive.recipient else "") or self._settings.sender

    def _message(self, raw: RawMessage, fields: http_payloads.CallFields, content: str) -> CitizenMessage:
        return CitizenMessage(
            external_id=http_payloads.envelope(self._settings, fields, raw.received_at.timestamp()).key,
            made_id=self._receive.id is None,
            sender=fields.need(self._receive.sender),
            recipient=self._recipient(fields),
            text=content,
            sent_at=http_payloads.moment_of(self._receive, fields),
        )

    def _receipt(self, receipts: Receipts, fields: http_payloads.CallFields) -> Event:
        status = fields.get(receipts.status)
        state = receipts.states.get(status)
        if state is None:
            return Ignored(why=f"unknown message status {status[:32]!r}")
        error = fields.get(receipts.error) if receipts.error else ""
        return DeliveryReceipt(external_id=fields.need(receipts.id), state=state, error=error or None)

    # Out: the only method that touches the network.

    def reply(self, reply: Reply) -> Receipt:
        """Send one SMS, in GSM 7-bit if nothing is lost: fewer billed parts for the same text.

        Raises `Throttled`, `Unavailable` or `Rejected`.
        """
        if self._api is None:
            raise Rejected(text("the channel has no table send: add it, or set replies = false"))
        return Receipt(self._api.send(reply.to, gsm.to_gsm7(reply.text), reply.id.hex))

    def find(self, reply: Reply) -> Receipt | None:
        """Return `None`: aggregators have no common way to look a reply up.

        If the aggregator drops a reply with a repeated id, {id} in `send.parameters` prevents a second SMS.
        """
        return None

    def parts(self, text: str) -> int:
        """Return the number of SMS parts that the aggregator bills for the text."""
        return gsm.parts(gsm.to_gsm7(text))

    @cached_property
    def _api(self) -> AggregatorApi | None:
        from adapters.sms.http.client import AggregatorApi  # noqa: PLC0415 - a receiver never needs it

        send = self._settings.send
        return AggregatorApi(send, self._settings.sender, self._context.webhook_url) if send else None
