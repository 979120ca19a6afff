"""Receive and send SMS over SMPP 3.4, straight from an operator's SMSC: one connection, kept open, for both directions.

Source of the wire format: Short Message Peer to Peer Protocol Specification v3.4, issue 1.2 (smpp.org); the modules beside
this one name the sections. Alphabets and headers of the radio side: 3GPP TS 23.038 and 23.040.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import ClassVar

from adapters.sms import joining
from adapters.sms.smpp.alphabets import ALPHABETS, alphabet
from adapters.sms.smpp.arrivals import Arrivals
from adapters.sms.smpp.link import Link
from adapters.sms.smpp.patience import Clock, Patience
from adapters.sms.smpp.pdu import (
    INTERMEDIATE,
    MESSAGE,
    NOT_NOW,
    OK,
    RECEIPT,
    SMPP,
    STATES,
    ShortMessage,
    canonical_id,
    command_of,
    envelope,
    read,
    read_receipt,
)
from adapters.sms.smpp.session import UNBIND, Session
from adapters.sms.smpp.settings import SmppSettings
from adapters.sms.smpp.submit import Composer, Pace, bind_refusal, refusal
from gateway.domain.errors import Unavailable, Untranslatable
from gateway.domain.events import CitizenMessage, Delivery, DeliveryReceipt, Event, Ignored, MessagePart
from gateway.domain.texts import text
from gateway.ports import ChannelContext, ChannelSettings, FetchedMessage, Line, RawMessage, Receipt, Reply

TICK = 0.2  # seconds between two checks of `line.ending`

_BINDS = {"transceiver": ("bind_transceiver",), "separate": ("bind_receiver", "bind_transmitter")}
# Number bases of an id by receipt_ids: in submit_sm_resp and in the TLV, and in a receipt's text.
_TAKEN_BASES = {"hex-then-decimal": 16, "decimal-then-hex": 10}
_REPORTED_BASES = {"hex-then-decimal": 10, "decimal-then-hex": 16}


class SmppSms:
    """A channel with one account at one operator."""

    Settings: ClassVar[type[ChannelSettings]] = SmppSettings
    content_types: ClassVar[frozenset[str]] = frozenset({SMPP})

    def __init__(self, settings: SmppSettings, context: ChannelContext, *, clock: Clock | None = None) -> None:
        """Prepare, without any I/O; a test passes a clock of its own."""
        self.own_addresses = (settings.sender,)
        self._settings = settings
        self._clock = clock or Clock()
        self._codings = {0: settings.default_alphabet} | settings.codings
        self._taken_base = _TAKEN_BASES.get(settings.receipt_ids, 0)
        self._reported_base = _REPORTED_BASES.get(settings.receipt_ids, 0)
        self._pace = Pace(settings.tps, settings.timeout, self._clock)
        self._senders: tuple[Session, ...] = ()  # the bound sessions that may send; empty while we are not connected
        self._composer = Composer(
            fields={
                "service_type": settings.service_type,
                "source_addr_ton": settings.sender_ton,
                "source_addr_npi": settings.sender_npi,
                "source_addr": settings.sender.lstrip("+"),
                "dest_addr_ton": settings.recipient_ton,
                "dest_addr_npi": settings.recipient_npi,
                "registered_delivery": int(settings.receipts),
            },
            default=settings.default_alphabet,
            long_messages=settings.long_messages,
        )

    # In, while the connection is up.

    def listen(self, line: Line) -> None:
        """Bind, and store the messages that come: those that wait in one transaction, and they are answered after it.

        Returns when `line.ending` is true; raises `Unavailable` if the bind is refused or the connection is lost.
        """
        arrivals = Arrivals[Session]()
        commands = _BINDS[self._settings.bind_mode] * self._settings.binds
        patience = Patience(self._settings.timeout, lambda: line.ending, self._clock)
        with ExitStack() as stack:
            sessions = [stack.enter_context(self._bound(command, arrivals, patience)) for command in commands]
            self._senders = tuple(s for s, c in zip(sessions, commands, strict=True) if c != "bind_receiver")
            try:
                line.up()
                while not line.ending:
                    self._store(arrivals.take(TICK), line)
                    for session in sessions:
                        session.check()
            finally:
                self._senders = ()
                with suppress(Unavailable):  # a lost session: the operator gets no answer and keeps the messages
                    for session, pdu in arrivals.close():
                        if command_of(pdu) == UNBIND:
                            session.answer_unbind(pdu)
                        else:
                            session.answer([(pdu, NOT_NOW)])

    @contextmanager
    def _bound(self, command: str, arrivals: Arrivals[Session], patience: Patience) -> Iterator[Session]:
        settings = self._settings
        link = Link(settings.host, settings.port, tls=self._tls, patience=patience)
        with Session(link, arrivals, patience, window=settings.window, enquire_every=settings.enquire_every) as session:
            status = session.bind(
                command,
                system_id=settings.system_id,
                password=settings.password.reveal(),
                system_type=settings.system_type,
                address_range=settings.address_range,
            )
            if status != OK:
                raise bind_refusal(status)
            yield session

    @property
    def _tls(self) -> ssl.SSLContext | None:
        if not self._settings.tls:
            return None
        try:
            return ssl.create_default_context(cafile=self._settings.tls_ca)
        except OSError as exc:
            raise Unavailable(text("tls_ca cannot be read ({error})", error=type(exc).__name__)) from None

    def _store(self, arrived: Sequence[tuple[Session, bytes]], line: Line) -> None:
        """Store messages, then answer them; the operator keeps a message that cannot be stored, and sends it again."""
        messages = [(session, pdu) for session, pdu in arrived if command_of(pdu) != UNBIND]
        if messages:
            now = time.time()
            outcomes = line.accept([self.fetched(pdu, now) for _, pdu in messages])
            answers: dict[Session, list[tuple[bytes, int]]] = {}
            for (session, pdu), error in zip(messages, outcomes, strict=True):
                answers.setdefault(session, []).append((pdu, NOT_NOW if error else OK))
            for session, statuses in answers.items():
                session.answer(statuses)
        for session, pdu in arrived:
            if command_of(pdu) == UNBIND:
                session.answer_unbind(pdu)
                raise Unavailable(text("the operator ended the session"))

    def fetched(self, pdu: bytes, moment: float) -> FetchedMessage:
        """Return a deliver_sm in the core's form; `moment` is the time it came, in seconds since 1970."""
        window, tag = self._settings.redelivery_window, self._settings.message_id_tlv
        return FetchedMessage(envelope(pdu, moment, window=window, id_tag=tag), pdu, SMPP)

    # In, later and replayable: pure.

    def recognises(self, payload: bytes) -> str | None:
        """Return the content type: SMPP for a recorded PDU (below 16 MB its first byte is 0), `None` for anything else."""
        return SMPP if payload[:1] == b"\0" else None

    def translate(self, raw: RawMessage) -> list[Event]:
        """Turn a stored PDU into one event: a message, a part of a message, or a receipt; raises `Untranslatable`."""
        message = self._read(raw)
        if message.kind in (RECEIPT, INTERMEDIATE):
            return [self._receipt(message)]
        if message.kind != MESSAGE:
            return [Ignored(why=f"unknown type of message {message.kind:#04x}")]
        if message.source in self.own_addresses:
            return [Ignored(why="our own message")]
        if message.part is not None:
            group, number, total = message.part
            group = f"{message.source}:{message.destination}:{group}"
            return [MessagePart(group=group, number=number, total=total, sender=message.source)]
        return [self._message(raw, message, self._decode([message]))]

    def join(self, parts: Sequence[RawMessage | None]) -> CitizenMessage:
        """Return the message of its parts: bytes joined, then decoded, each gap marked; raises `Untranslatable`."""
        messages = [None if raw is None else self._read(raw) for raw in parts]
        present = [(raw, message) for raw, message in zip(parts, messages, strict=True) if raw and message]
        if not present:
            raise Untranslatable(text("no part of the message is there"))
        joined = joining.join(messages, alphabet=lambda message: message.data_coding, decode=self._decode)
        # The id is that of the part that came first, so that a part that comes late does not make another message.
        return self._message(min((raw for raw, _ in present), key=lambda raw: raw.id), present[0][1], joined)

    def _read(self, raw: RawMessage) -> ShortMessage:
        if raw.content_type != SMPP:
            raise Untranslatable(text("the stored message did not come over SMPP"))
        return read(raw.payload)

    def _decode(self, messages: Sequence[ShortMessage]) -> str:
        name = alphabet(messages[0].data_coding, self._codings)
        return ALPHABETS[name](b"".join(message.content for message in messages))

    def _message(self, raw: RawMessage, message: ShortMessage, content: str) -> CitizenMessage:
        # SMPP gives a message no id. A redelivery is not stored again, so the stored row's id can stand for it.
        return CitizenMessage(
            external_id=raw.id.hex, sender=message.source, recipient=message.destination, text=content
        )

    def _receipt(self, message: ShortMessage) -> Event:
        receipt = read_receipt(message)
        state = STATES.get(receipt.state)
        if state is None:
            return Ignored(why=f"unknown state of a receipt: {str(receipt.state)[:16]!r}")
        # The id in the TLV has the form of the submit_sm_resp; the id in the text, which most operators send, may differ.
        by_tlv = canonical_id(receipt.tlv_id, self._taken_base)
        by_text = canonical_id(receipt.text_id, self._reported_base)
        external_id = (by_text or by_tlv) if self._taken_base else (by_tlv or by_text)
        error = receipt.error if state is Delivery.FAILED else ""
        return DeliveryReceipt(external_id=external_id, state=state, error=error or None)

    # Out, over the sessions that `listen` has bound.

    def reply(self, reply: Reply) -> Receipt:
        """Send one SMS, in GSM 7-bit if nothing is lost, in as many parts as it needs, no faster than `tps`.

        Raises `Throttled`, `Unavailable` or `Rejected`.
        """
        pieces = self._composer.compose(reply)
        session = min(self._senders, key=lambda session: session.outstanding, default=None)
        if session is None:
            raise Unavailable(text("not connected with the operator"))
        ids = []
        with session.turn():
            start = self._clock.now()
            for wait, fields in zip(self._pace.reserve(len(pieces)), pieces, strict=True):
                self._clock.wait(session.ended, max(0.0, start + wait - self._clock.now()))
                answer = session.request("submit_sm", **fields)
                if answer.status != OK:
                    raise refusal(answer.status)
                ids.append(canonical_id(answer.message_id, self._taken_base))
        # Without an id from the operator no receipt will match, but the reply must not be sent again.
        return Receipt(ids[0] or reply.id.hex, tuple(filter(None, ids[1:])))

    def find(self, reply: Reply) -> Receipt | None:
        """Return `None`: SMPP cannot look up a message without its id, and that was lost with the answer."""
        return None

    def parts(self, text: str) -> int:
        """Return the number of SMS parts that the operator bills for the text."""
        return self._composer.parts(text)
