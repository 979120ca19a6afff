"""Receive SMS from Twilio by signed webhooks, reply through its REST API, and poll for webhooks that never came.

Sources of the wire formats, all under https://www.twilio.com/docs:
  webhook form     messaging/guides/webhook-request
  status callback  messaging/guides/track-outbound-message-status
  signature        usage/webhooks/webhooks-security, and `twilio.request_validator` of the SDK 9.13
  REST resource    messaging/api/message-resource
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, ClassVar

from adapters.common.signature import keys_of, signed_by
from adapters.sms import gsm
from adapters.sms.twilio.payloads import (
    ALGORITHMS,
    INBOUND,
    STATES,
    Cursor,
    envelope,
    moment,
    read_page,
    read_signature_settings,
    url_variants,
)
from adapters.sms.twilio.settings import API, TwilioSettings
from gateway.domain.complaint import Attachment
from gateway.domain.errors import Malformed, Rejected, Unverified
from gateway.domain.events import CitizenMessage, DeliveryReceipt, Event, Ignored
from gateway.domain.texts import text
from gateway.ports import (
    HTTP,
    JSON,
    Batch,
    ChannelContext,
    ChannelSettings,
    Envelope,
    FetchedMessage,
    RawMessage,
    Receipt,
    Reply,
    Response,
    recognise,
)
from gateway.ports.wire import Fields, WebhookRequest, form_pairs

if TYPE_CHECKING:
    from adapters.sms.twilio.client import TwilioApi

PAGE_SIZE = 500  # Twilio allows 1000; one page is stored in one transaction
PAGE_LIFE = timedelta(hours=1)  # a round that was interrupted for longer is begun again from the first page
CLOCK_SLACK = timedelta(seconds=2)  # Twilio cuts times to the second
MOST_ESCAPES = 50_000  # of the form %41; Twilio's longest text has 6,400
MOST_FIELDS = 500  # Twilio sends about 20; a flood of fields must not delay other requests
MOST_LISTED = 200  # messages to one number that `find` reads, the newest first


class TwilioSms:
    """A channel with one Twilio number or short code."""

    Settings: ClassVar[type[ChannelSettings]] = TwilioSettings
    content_types: ClassVar[frozenset[str]] = frozenset({HTTP, JSON})
    methods: ClassVar[frozenset[str]] = frozenset({"POST"})
    media_types: ClassVar[frozenset[str]] = frozenset({"application/x-www-form-urlencoded"})

    def __init__(self, settings: TwilioSettings, context: ChannelContext) -> None:
        self._settings = settings
        self._context = context
        self.own_addresses = (settings.sender,)
        self.poll_every = settings.poll_every
        self._tokens = keys_of(settings.auth_token, settings.previous_auth_token)
        self._keys = {name: keys_of(key) for name, key in settings.webhook_keys.items()}
        self._urls = url_variants(context.webhook_url)

    # In, inside the HTTP request: quick, no database.

    def verify(self, request: WebhookRequest) -> Envelope:
        """Return the envelope of a request that Twilio signed; its key is the MessageSid, with the status for a receipt.

        The signature is base64(HMAC(token, URL + names and values sorted)), over the decoded bytes. Raises
        `Unverified` if it is missing or wrong, `Malformed` if the form is not Twilio's.
        """
        header = request.headers.get("x-twilio-signature")
        if not header:
            raise Unverified(text("header X-Twilio-Signature is missing"))
        keys, algorithm = self._tokens, "sha1"
        signature_settings = request.headers.get("x-twilio-webhooks-signature-settings")
        if signature_settings:
            name, key_name = read_signature_settings(signature_settings)
            if name not in ALGORITHMS:
                raise Unverified(text("the signature's algorithm is unknown"))
            keys, algorithm = self._keys.get(key_name, self._tokens), ALGORITHMS[name]
        if request.body.count(b"&") > MOST_FIELDS or request.body.count(b"%") > MOST_ESCAPES:
            raise Malformed(text("too many form fields"))
        pairs = form_pairs(request.body)
        form = dict(pairs)
        if len(form) == len(pairs):
            signed = b"".join([name + form[name] for name in sorted(form)])
        else:  # a name is repeated: each different value is signed once, and the first value counts
            signed = b"".join([name + value for name, value in sorted(set(pairs))])
            form = dict(reversed(pairs))
        signature = header.encode("latin-1", "replace")
        for url in self._urls if request.url == self._context.webhook_url else url_variants(request.url):
            if signed_by(keys, url + signed, signature, algorithm, "base64"):
                return envelope(form)
        raise Unverified(text("header X-Twilio-Signature does not match"))

    def accepted(self, request: WebhookRequest) -> Response:
        """Return empty TwiML: the message is stored, and this call sends no reply."""
        return Response(body=b'<?xml version="1.0" encoding="UTF-8"?><Response/>', content_type="text/xml")

    # In, later and replayable: pure.

    def recognises(self, payload: bytes) -> str | None:
        """Return the content type: HTTP for a recorded webhook, JSON for a message resource, `None` for anything else."""
        return recognise(payload, self.content_types)

    def translate(self, raw: RawMessage) -> list[Event]:
        """Turn a stored webhook, or a message resource from a poll, into one event; raises `Untranslatable`."""
        if raw.content_type == JSON:
            return [self._from_resource(raw.json())]
        return [self._from_form(raw.request().form())]

    def _from_form(self, form: Fields) -> Event:
        sid = form.need("MessageSid")
        status = form.get("MessageStatus") or form.get("SmsStatus")
        if status not in INBOUND:
            if status not in STATES:
                return Ignored(why=f"unknown message status {status[:32]!r}")
            return DeliveryReceipt(external_id=sid, state=STATES[status], error=form.get("ErrorCode") or None)
        if "Body" not in form and "MediaUrl0" not in form:
            return Ignored(why="unknown kind of webhook: neither text nor media")
        attachments = []
        for number in count():
            if not (url := form.get(f"MediaUrl{number}")):
                break
            attachments.append(Attachment(url=url, media_type=form.get(f"MediaContentType{number}") or None))
        return self._message(sid, form.need("From"), form.need("To"), form.get("Body"), None, attachments)

    def _from_resource(self, fields: Fields) -> Event:
        sid, direction = fields.need("sid"), fields.need("direction")
        if direction != "inbound":
            return Ignored(why=f"unknown message direction {direction[:32]!r}")
        attachments = []
        if fields.number("num_media"):
            # A resource has no media URLs, so the attachment is the URL of their list.
            path = f"/2010-04-01/Accounts/{fields.need('account_sid')}/Messages/{sid}/Media.json"
            attachments.append(Attachment(url=API + path, media_type=JSON))
        sent_at = moment(fields.get("date_sent"))
        return self._message(sid, fields.need("from"), fields.need("to"), fields.get("body"), sent_at, attachments)

    def _message(
        self, sid: str, sender: str, to: str, content: str, sent_at: datetime | None, attachments: list[Attachment]
    ) -> Event:
        if sender in self.own_addresses:
            return Ignored(why="our own message")
        return CitizenMessage(
            external_id=sid, sender=sender, recipient=to, text=content, sent_at=sent_at, attachments=tuple(attachments)
        )

    # Out: the only methods that touch the network.

    def poll(self, cursor: str | None) -> Batch:
        """Read one page of Twilio's list of messages to our number, which begins with the newest.

        `since` moves only after the last page of a round, and each round begins `poll_overlap` seconds before it. If
        Twilio reads the date as a whole day, the list is longer than necessary, never shorter. Raises `Throttled`,
        `Unavailable` or `Rejected`.
        """
        now = datetime.now(UTC)
        state = Cursor.load(cursor) if cursor else Cursor(since=now, began=now, newest=now)
        resumed = state.next is not None and now - state.began < PAGE_LIFE
        if not resumed:
            state = Cursor(since=state.since, began=now, newest=state.since)
        start = state.since - timedelta(seconds=self._settings.poll_overlap)
        try:
            listed, state.next = read_page(self._api.list_page(state.next, start, PAGE_SIZE))
        except Rejected:
            if not resumed:
                raise
            state.next = None  # Twilio does not have this page any more: the next poll begins the round again
            return Batch(messages=(), cursor=state.dump(), more=False)
        moments = [message.moment(otherwise=now) for message, _ in listed]
        # Not after our own time: if Twilio's clock is ahead of ours, the next round must not skip a message.
        state.newest = min(now, max([state.newest, *moments]))
        if moments and max(moments) < start:
            state.next = None  # Twilio filtered by whole days: all following messages are even older
        if state.next is None:
            state.since = state.newest
        # "receiving" is a long message with missing parts: a later round reads the complete message.
        messages = [
            FetchedMessage(Envelope(message.sid, message.sender), raw)
            for message, raw in listed
            if message.direction == "inbound" and message.status == "received"
        ]
        return Batch(messages=messages, cursor=state.dump(), more=state.next is not None)

    def reply(self, reply: Reply) -> Receipt:
        """Send one SMS, in GSM 7-bit if nothing is lost: fewer billed parts for the same text.

        Raises `Throttled`, `Unavailable` or `Rejected`.
        """
        callback = self._context.webhook_url if self._settings.receipts else None
        return Receipt(self._api.create(reply.to, gsm.to_gsm7(reply.text), callback))

    def find(self, reply: Reply) -> Receipt | None:
        """Return the receipt of a message with the same text to the same number, not older than the reply, or `None`.

        Raises `Throttled`, `Unavailable` or `Rejected`.
        """
        content, since = gsm.to_gsm7(reply.text).strip(), reply.created_at - CLOCK_SLACK
        for sid, sent_text, created_at in self._api.sent_to(reply.to, MOST_LISTED):
            if sid and created_at and created_at >= since and sent_text.strip() == content:
                return Receipt(sid)
        return None

    def parts(self, text: str) -> int:
        """Return the number of SMS parts that Twilio bills for the text."""
        return gsm.parts(gsm.to_gsm7(text))

    @cached_property
    def _api(self) -> TwilioApi:
        from adapters.sms.twilio.client import TwilioApi  # noqa: PLC0415 - the SDK takes 26 MB, and a receiver never needs it

        settings, token = self._settings, self._settings.auth_token.reveal()
        return TwilioApi(
            settings.account_sid, token, sender=settings.sender, api_base=settings.api_base, timeout=settings.timeout
        )
