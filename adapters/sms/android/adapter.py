"""Receive and send SMS through an Android phone with the open-source app "SMS Gateway for Android" (SMSGate).

Sources of the wire formats, all under https://docs.sms-gate.app:
  webhooks, signature  features/webhooks/
  health, ping         features/health/, features/ping/
  sending, states      features/sending-messages/, features/status-tracking/
  addresses            getting-started/ (public-cloud-server, private-server, local-server)
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from adapters.common.signature import keys_of, signed_by
from adapters.sms import gsm
from adapters.sms.android import health, payloads
from adapters.sms.android.settings import AndroidSettings
from gateway.domain.errors import Malformed, Rejected, Unavailable, Untranslatable, Unverified
from gateway.domain.events import CitizenMessage, Event, Ignored, Notice
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
from gateway.ports.wire import WebhookRequest

if TYPE_CHECKING:
    from adapters.sms.android.client import PhoneApi

PAGE_SIZE = 500  # the app allows 500; one page is stored in one transaction
EXPORT_EVERY = timedelta(hours=6)  # rarely, because the phone reads all its SMS for it
CLOCK_SLACK = timedelta(minutes=5)  # between our clock and the SMS centre's, which cuts times to the second


class AndroidSms:
    """A channel with one phone, or with several phones of one account."""

    Settings: ClassVar[type[ChannelSettings]] = AndroidSettings
    content_types: ClassVar[frozenset[str]] = frozenset({HTTP, JSON})
    methods: ClassVar[frozenset[str]] = frozenset({"POST"})
    media_types: ClassVar[frozenset[str]] = frozenset({JSON})

    def __init__(self, settings: AndroidSettings, context: ChannelContext) -> None:
        self._settings = settings
        self._context = context
        self.own_addresses = (settings.sender,)
        self.poll_every = settings.poll_every
        self._keys = keys_of(settings.signing_key, settings.previous_signing_key)

    # In, inside the HTTP request: quick, no database.

    def verify(self, request: WebhookRequest) -> Envelope:
        """Return the envelope of an event that the phone signed.

        The signature X-Signature is hex(HMAC-SHA256(key, body + X-Timestamp)). Raises `Unverified` if the signature is
        missing or wrong, `Malformed` if the body is no JSON object. The age of the timestamp is not limited: a limit
        would refuse every message of a phone whose clock is wrong, and a request that is sent again has the same key.
        """
        header, stamp = request.headers.get("x-signature", ""), request.headers.get("x-timestamp", "")
        if not header or not (stamp.isascii() and stamp.isdigit()):
            raise Unverified(text("header X-Signature or X-Timestamp is missing or misshapen"))
        if request.url.partition("?")[0] != self._context.webhook_url:
            raise Unverified(text("this is not the channel's address"))
        signature = header.encode("latin-1", "replace")
        if not signed_by(self._keys, request.body + stamp.encode(), signature, "sha256", "hex"):
            raise Unverified(text("header X-Signature does not match"))
        # Body and time are signed in one run: without this check, digits could be moved from one to the other.
        if not request.body.rstrip().endswith(b"}"):
            raise Malformed(text("the body is not a JSON object"))
        return payloads.envelope(request.body)

    def accepted(self, request: WebhookRequest) -> Response:
        """Return an empty 200: the app reads only the status."""
        return Response()

    # In, later and replayable: pure.

    def recognises(self, payload: bytes) -> str | None:
        """Return the content type: HTTP for a recorded webhook, JSON for a row of a poll, `None` for anything else."""
        return recognise(payload, self.content_types)

    def translate(self, raw: RawMessage) -> list[Event]:
        """Turn a stored webhook, or a stored row of a poll, into its events; raises `Untranslatable`."""
        if raw.content_type == JSON:
            return [self._from_poll(raw)]
        event, payload = payloads.read_event(raw.request().body)
        if event in payloads.MESSAGES or event in payloads.BATCHES:
            messages = [
                payloads.message_of(kind, content, f"raw:{raw.id}#{place}", self._settings.sender)
                for kind, content, place in payloads.messages_in(event, payload)
            ]
            return [self._unless_own(message) for message in messages] or [Ignored(why="an empty batch")]
        if event in payloads.STATES:
            return [payloads.receipt_of(event, payload)]
        if event == "system:ping":
            return [health.ping_notice(payload)]
        return [Ignored(why=payloads.IGNORED.get(event) or f"unknown event {event[:32]!r}")]

    def _from_poll(self, raw: RawMessage) -> Event:
        fields = raw.json()
        if "contentPreview" in fields:
            return self._unless_own(payloads.message_of_row(fields, self._settings.sender))
        if "lastSeen" in fields:
            return health.device_notice(raw.payload, raw.received_at, self._settings.offline_after)
        return health.health_notice(raw.payload)

    def _unless_own(self, message: CitizenMessage) -> Event:
        return Ignored(why="our own message") if message.sender in self.own_addresses else message

    # Out: the only methods that touch the network.

    def poll(self, cursor: str | None) -> Batch:
        """Fetch the SMS whose webhook never came, and the state of the phone if it has changed.

        Raises `Unavailable` or `Throttled`, also if the phone does not answer.
        """
        now = datetime.now(UTC)
        state = payloads.Cursor.load(cursor) if cursor else payloads.Cursor(now - CLOCK_SLACK, since=now, until=now)
        try:
            rows = self._read_phone(state, now) if self._settings.local else self._read_server(state, now)
        except (Rejected, Untranslatable) as exc:  # a poll has no message to reject, and a later poll may succeed
            raise Unavailable(exc.message) from None
        return Batch(messages=rows, cursor=state.dump(), more=state.offset > 0)

    def _read_phone(self, state: payloads.Cursor, now: datetime) -> list[FetchedMessage]:
        answer = self._api.health()
        messages = self._list(state, now) if self._settings.look_back and health.keeps_a_list(answer) else []
        return [*messages, *_if_changed(state, health.health_notice(answer), answer, now)]

    def _list(self, state: payloads.Cursor, now: datetime) -> list[FetchedMessage]:
        """Read one page of the phone's own list of SMS; each list begins `look_back` seconds before the last one."""
        since = max(state.began, state.since - timedelta(seconds=self._settings.look_back))
        if not state.offset:
            state.until = now
            self._api.refresh(since, now)
        listed = self._api.inbox(since, state.until, limit=PAGE_SIZE, offset=state.offset)
        rows = payloads.rows_of(listed, payloads.Row)
        state.offset += len(rows)
        if len(rows) < PAGE_SIZE:
            state.since = state.until
            state.offset = 0
        return [FetchedMessage(Envelope(row.key, row.sender), raw) for row, raw in rows]

    def _read_server(self, state: payloads.Cursor, now: datetime) -> list[FetchedMessage]:
        settings = self._settings
        device = health.longest_unseen(self._api.devices(), settings.device_id)
        last = state.exported or state.began
        if settings.export_missed and settings.device_id and last + EXPORT_EVERY <= now:
            since = max(state.began, last - timedelta(seconds=settings.look_back))
            self._api.export(settings.device_id, since, now)
            state.exported = now
        return _if_changed(state, health.device_notice(device, now, settings.offline_after), device, now)

    def reply(self, reply: Reply) -> Receipt:
        """Send one SMS, in GSM 7-bit if nothing is lost, under our own id: the app drops a second attempt.

        Raises `Throttled`, `Unavailable` or `Rejected`.
        """
        message = {
            "textMessage": {"text": gsm.to_gsm7(reply.text)},
            "phoneNumbers": [reply.to],
            "withDeliveryReport": self._settings.receipts,
            "ttl": self._settings.ttl,
            "simNumber": self._settings.sim_number,
            "deviceId": self._settings.device_id,
        }
        self._api.send(str(reply.id), {name: value for name, value in message.items() if value is not None})
        return Receipt(str(reply.id))

    def find(self, reply: Reply) -> Receipt | None:
        """Return the receipt of the message with our id, or `None`.

        In an account of several phones an id is unique only per phone. Raises `Throttled`, `Unavailable` or `Rejected`.
        """
        return Receipt(str(reply.id)) if self._api.has(str(reply.id)) else None

    def parts(self, text: str) -> int:
        """Return the number of SMS parts that the phone sends for the text."""
        return gsm.parts(gsm.to_gsm7(text))

    @cached_property
    def _api(self) -> PhoneApi:
        from adapters.sms.android.client import PhoneApi  # noqa: PLC0415 - a receiver never needs it

        settings = self._settings
        base, password = settings.api_base.rstrip("/"), settings.password.reveal()
        return PhoneApi(base, settings.user, password, local=settings.local, timeout=settings.timeout)


def _if_changed(state: payloads.Cursor, notice: Notice, answer: bytes, now: datetime) -> list[FetchedMessage]:
    """Return the answer about the phone's state as a row to store, or nothing if its notice has not changed."""
    if notice.text == state.last_notice:
        return []
    state.last_notice = notice.text
    return [FetchedMessage(Envelope(f"phone:{now.isoformat()}"), answer, from_citizen=False)]
