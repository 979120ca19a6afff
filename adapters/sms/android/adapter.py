"""SMS through a telephone of our own: an Android phone with the open-source app "SMS Gateway for Android" (SMSGate).

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

PAGE_SIZE = 500  # the most that the app lists at once; one page is stored in one transaction
EXPORT_EVERY = timedelta(hours=6)  # the phone goes through all its SMS for it
CLOCK_SLACK = timedelta(minutes=5)  # between our clock and the SMS centre's, whose times are cut to the second


class AndroidSms:
    """One phone, or several under one account."""

    Settings: ClassVar[type[ChannelSettings]] = AndroidSettings
    content_types: ClassVar[frozenset[str]] = frozenset({HTTP, JSON})
    methods: ClassVar[frozenset[str]] = frozenset({"POST"})
    media_types: ClassVar[frozenset[str]] = frozenset({JSON})

    def __init__(self, settings: AndroidSettings, context: ChannelContext) -> None:
        self._settings, self._context, self._own = settings, context, settings.sender
        self.own_addresses = (settings.sender,)
        self.poll_every = settings.poll_every
        self._keys = keys_of(settings.signing_key, settings.previous_signing_key)

    # In, inside the HTTP request: quick, no database.

    def verify(self, request: WebhookRequest) -> Envelope:
        """Refuse what the phone did not sign: hex(HMAC-SHA256(key, body + X-Timestamp)).

        The age of the timestamp is not limited. The app stamps each attempt anew, so a limit would lose no retry, but
        every message of a phone whose clock is wrong; and an old request sent again is known by its key.
        """
        given, stamp = request.headers.get("x-signature", ""), request.headers.get("x-timestamp", "")
        if not given or not (stamp.isascii() and stamp.isdigit()):
            raise Unverified("header X-Signature or X-Timestamp is missing or misshapen")
        if request.url.partition("?")[0] != self._context.webhook_url:
            raise Unverified("this is not the channel's address")
        signature = given.encode("latin-1", "replace")
        if not signed_by(self._keys, request.body + stamp.encode(), signature, "sha256", "hex"):
            raise Unverified("header X-Signature does not match")
        # Body and time are signed run together: without this, digits could be moved from one to the other.
        if not request.body.rstrip().endswith(b"}"):
            raise Malformed("the body is not a JSON object")
        return payloads.envelope(request.body)

    def accepted(self, request: WebhookRequest) -> Response:
        """Answer with an empty 200: the app only looks at the status."""
        return Response()

    # In, later and replayable: pure.

    def recognises(self, payload: bytes) -> str | None:
        """Return HTTP for a recorded webhook, JSON for what a poll stores."""
        return recognise(payload, self.content_types)

    def translate(self, raw: RawMessage) -> list[Event]:
        """Turn a stored webhook, or what a poll found, into events."""
        if raw.content_type == JSON:
            return [self._from_poll(raw)]
        event, payload = payloads.read_event(raw.request().body)
        if event in payloads.MESSAGES or event in payloads.BATCHES:
            found = payloads.messages_in(event, payload)
            messages = [
                payloads.message_of(kind, one, f"raw:{raw.id}#{place}", self._own) for kind, one, place in found
            ]
            return [self._of_others(message) for message in messages] or [Ignored(why="an empty batch")]
        if event in payloads.STATES:
            return [payloads.receipt_of(event, payload)]
        if event == "system:ping":
            return [health.ping_notice(payload)]
        return [Ignored(why=payloads.IGNORED.get(event) or f"unknown event {event[:32]!r}")]

    def _from_poll(self, raw: RawMessage) -> Event:
        fields = raw.json()
        if "contentPreview" in fields:
            return self._of_others(payloads.message_of_row(fields, self._own))
        if "lastSeen" in fields:
            return health.device_notice(raw.payload, raw.received_at, self._settings.offline_after)
        return health.health_notice(raw.payload)

    def _of_others(self, message: CitizenMessage) -> Event:
        return Ignored(why="our own message") if message.sender in self.own_addresses else message

    # Out: the only methods that touch the network.

    def poll(self, cursor: str | None) -> Batch:
        """See how the phone is, and fetch the SMS whose webhook never came.

        What is told of the phone is stored when it changes. A phone that does not answer is `Unavailable`.
        """
        now = datetime.now(UTC)
        state = payloads.Cursor.load(cursor) if cursor else payloads.Cursor(now - CLOCK_SLACK, since=now, until=now)
        try:
            found = self._ask_phone(state, now) if self._settings.local else self._ask_server(state, now)
        except (Rejected, Untranslatable) as exc:  # no message is at fault here, and a later look may succeed
            raise Unavailable(exc.message) from None
        return Batch(found=found, cursor=state.dump(), more=state.offset > 0)

    def _ask_phone(self, state: payloads.Cursor, now: datetime) -> list[FetchedMessage]:
        told = self._api.health()
        found = self._list(state, now) if self._settings.look_back and health.keeps_a_list(told) else []
        return [*found, *_told(state, health.health_notice(told), told, now)]

    def _list(self, state: payloads.Cursor, now: datetime) -> list[FetchedMessage]:
        """Read one page of the phone's own list of SMS; a list goes back `look_back` seconds before the last one."""
        since = max(state.began, state.since - timedelta(seconds=self._settings.look_back))
        if not state.offset:
            state.until = now
            self._api.refresh(since, now)
        listed = self._api.inbox(since, state.until, limit=PAGE_SIZE, offset=state.offset)
        rows = payloads.rows_of(listed, payloads.Incoming)
        state.offset += len(rows)
        if len(rows) < PAGE_SIZE:
            state.since, state.offset = state.until, 0
        return [FetchedMessage(Envelope(row.key, row.sender), raw) for row, raw in rows]

    def _ask_server(self, state: payloads.Cursor, now: datetime) -> list[FetchedMessage]:
        settings = self._settings
        told = health.longest_unseen(self._api.devices(), settings.device_id)
        last = state.exported or state.began
        if settings.export_missed and settings.device_id and last + EXPORT_EVERY <= now:
            since = max(state.began, last - timedelta(seconds=settings.look_back))
            self._api.export(settings.device_id, since, now)
            state.exported = now
        return _told(state, health.device_notice(told, now, settings.offline_after), told, now)

    def reply(self, reply: Reply) -> Receipt:
        """Send one SMS under our own id, so that a second attempt is known; folded to GSM 7-bit where nothing is lost."""
        message = {
            "id": str(reply.id),
            "textMessage": {"text": gsm.to_gsm7(reply.text)},
            "phoneNumbers": [reply.to],
            "withDeliveryReport": self._settings.receipts,
            "ttl": self._settings.ttl,
            "simNumber": self._settings.sim_number,
            "deviceId": self._settings.device_id,
        }
        self._api.send({name: value for name, value in message.items() if value is not None})
        return Receipt(str(reply.id))

    def find(self, reply: Reply) -> Receipt | None:
        """Look the reply up by its id. In an account of several phones the id is unique only for each of them."""
        return Receipt(str(reply.id)) if self._api.has(str(reply.id)) else None

    def parts(self, text: str) -> int:
        """Return how many SMS the phone sends for the text."""
        return gsm.parts(gsm.to_gsm7(text))

    @cached_property
    def _api(self) -> PhoneApi:
        from adapters.sms.android.client import PhoneApi  # noqa: PLC0415 - needed only to reply and to poll

        settings = self._settings
        base, password = settings.api_base.rstrip("/"), settings.password.reveal()
        return PhoneApi(base, settings.user, password, local=settings.local, timeout=settings.timeout)


def _told(state: payloads.Cursor, notice: Notice, told: bytes, now: datetime) -> list[FetchedMessage]:
    """Return what was told of the phone, if it is not what was told before."""
    if notice.text == state.said:
        return []
    state.said = notice.text
    return [FetchedMessage(Envelope(f"phone:{now.isoformat()}"), told, spoken=False)]
