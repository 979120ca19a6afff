"""SMS over SMPP 3.4, straight from an operator's SMSC: one connection, kept open, for both directions.

Source of the wire format: Short Message Peer to Peer Protocol Specification v3.4, issue 1.2 (smpp.org); which section
says what stands in the modules beside this one. Alphabets and headers of the radio side: 3GPP TS 23.038 and 23.040.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import groupby
from typing import ClassVar

from adapters.sms.smpp.link import Link, Patience
from adapters.sms.smpp.pdu import (
    ALPHABETS,
    INTERMEDIATE,
    MESSAGE,
    RECEIPT,
    SMPP,
    STATES,
    ShortMessage,
    alphabet,
    command_of,
    envelope,
    read,
    report,
)
from adapters.sms.smpp.session import NOT_NOW, OK, UNBIND, Arrivals, Session
from adapters.sms.smpp.settings import SmppSettings
from adapters.sms.smpp.submit import Composer, Pace, bind_refusal, refusal
from gateway.domain.errors import Unavailable, Untranslatable
from gateway.domain.events import CitizenMessage, Delivery, DeliveryReceipt, Event, Ignored, MessagePart
from gateway.ports import (
    ChannelContext,
    ChannelSettings,
    FetchedMessage,
    Line,
    RawMessage,
    Receipt,
    Reply,
)

TICK = 0.2  # seconds between looks at whether to end
MISSING = " […] "  # stands where a part never came

_BINDS = {"transceiver": ("bind_transceiver",), "separate": ("bind_receiver", "bind_transmitter")}
# receipt_ids → number bases of an id in submit_sm_resp (and in the TLV), and in a receipt's text.
_ID_BASES = {"hex-then-decimal": (16, 10), "decimal-then-hex": (10, 16)}


class SmppSms:
    """One account at one operator."""

    Settings: ClassVar[type[ChannelSettings]] = SmppSettings
    content_types: ClassVar[frozenset[str]] = frozenset({SMPP})

    def __init__(self, settings: SmppSettings, context: ChannelContext) -> None:
        self._settings = settings
        self.own_addresses = (settings.sender,)
        self._codings = {0: settings.default_alphabet} | settings.codings
        self._pace = Pace(settings.tps, settings.timeout)
        self._senders: tuple[Session, ...] = ()  # sessions that stand and may send; none while we are not connected
        self._composer = Composer(
            {
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

    # In, while the connection stands.

    def listen(self, line: Line) -> None:
        """Bind, and store what comes: all that waits is one transaction, and is answered once that is durable."""
        arrivals, commands = Arrivals(), _BINDS[self._settings.bind_mode] * self._settings.binds
        patience = Patience(self._settings.timeout, lambda: line.ending)
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
                with suppress(Unavailable):  # lost already: then the operator has no answer and keeps them anyway
                    for session, pdu in arrivals.close():
                        if command_of(pdu) == UNBIND:
                            session.part(pdu)
                        else:
                            session.answer([(pdu, NOT_NOW)])

    @contextmanager
    def _bound(self, command: str, arrivals: Arrivals, patience: Patience) -> Iterator[Session]:
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
            raise Unavailable(f"tls_ca cannot be read ({type(exc).__name__})") from None

    def _store(self, arrived: Sequence[tuple[Session, bytes]], line: Line) -> None:
        """Store messages, then answer them. Where one cannot be stored the operator keeps it, and sends it again."""
        messages = [(session, pdu) for session, pdu in arrived if command_of(pdu) != UNBIND]
        if messages:
            now = time.time()
            outcomes = line.accept([self.found(pdu, now) for _, pdu in messages])
            answers: dict[Session, list[tuple[bytes, int]]] = {}
            for (session, pdu), error in zip(messages, outcomes, strict=True):
                answers.setdefault(session, []).append((pdu, NOT_NOW if error else OK))
            for session, answered in answers.items():
                session.answer(answered)
        for session, pdu in arrived:
            if command_of(pdu) == UNBIND:
                session.part(pdu)
                raise Unavailable("the operator ended the session")

    def found(self, pdu: bytes, moment: float) -> FetchedMessage:
        """Return a deliver_sm as the core takes it; `moment` is when it came, in seconds since 1970."""
        window, tag = self._settings.redelivery_window, self._settings.message_id_tlv
        return FetchedMessage(envelope(pdu, moment, window=window, id_tag=tag), pdu, SMPP)

    # In, later and replayable: pure.

    def recognises(self, payload: bytes) -> str | None:
        """Return SMPP for a recorded PDU: its first byte is 0, because no PDU is as long as 16 MB."""
        return SMPP if payload[:1] == b"\0" else None

    def translate(self, raw: RawMessage) -> list[Event]:
        """Turn one stored deliver_sm into a message, a part of one, or a delivery receipt."""
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
        """Join the bytes of parts that follow one another in the same alphabet, then decode; mark what is missing."""
        messages = [None if raw is None else self._read(raw) for raw in parts]
        there = [(raw, message) for raw, message in zip(parts, messages, strict=True) if raw and message]
        if not there:
            raise Untranslatable("no part of the message is there")
        text = ""
        for coding, run in groupby(messages, key=lambda message: message and message.data_coding):
            text += MISSING if coding is None else self._decode([message for message in run if message])
        # Named after the part that came first: a part that comes late does not make it another message.
        return self._message(min((raw for raw, _ in there), key=lambda raw: raw.id), there[0][1], text)

    def _read(self, raw: RawMessage) -> ShortMessage:
        if raw.content_type != SMPP:
            raise Untranslatable("the stored message did not come over SMPP")
        return read(raw.payload)

    def _decode(self, messages: Sequence[ShortMessage]) -> str:
        name = alphabet(messages[0].data_coding, self._codings)
        return ALPHABETS[name](b"".join(message.text for message in messages))

    def _message(self, raw: RawMessage, message: ShortMessage, text: str) -> CitizenMessage:
        # SMPP has no id of a message; a redelivery never comes this far, so the stored row's id is as good as one.
        return CitizenMessage(external_id=raw.id.hex, sender=message.source, recipient=message.destination, text=text)

    def _receipt(self, message: ShortMessage) -> Event:
        told = report(message)
        state = STATES.get(told.state)
        if state is None:
            return Ignored(why=f"unknown state of a receipt: {str(told.state)[:16]!r}")
        taken, reported = _ID_BASES.get(self._settings.receipt_ids, (0, 0))
        # The TLV has the id as we were given it; the text, which most operators send, need not.
        by_tlv, by_text = _canonical(told.tlv_id, taken), _canonical(told.text_id, reported)
        external_id = (by_text or by_tlv) if taken else (by_tlv or by_text)
        return DeliveryReceipt(
            external_id=external_id, state=state, error=told.error or None if state is Delivery.FAILED else None
        )

    # Out: the only method that touches the network.

    def reply(self, reply: Reply) -> Receipt:
        """Send one SMS over a session that stands, in as many parts as it takes, no faster than `tps`."""
        pieces = self._composer.compose(reply)
        session = min(self._senders, key=lambda session: session.outstanding, default=None)
        if session is None:
            raise Unavailable("not connected with the operator")
        ids = []
        with session.turn():
            start = time.monotonic()
            for wait, fields in zip(self._pace.reserve(len(pieces)), pieces, strict=True):
                session.ended.wait(max(0.0, start + wait - time.monotonic()))
                answer = session.request("submit_sm", **fields)
                if answer.status != OK:
                    raise refusal(answer.status)
                ids.append(_canonical(answer.message_id, _ID_BASES.get(self._settings.receipt_ids, (0, 0))[0]))
        # Taken without an id: no receipt will be matched, but it must not be sent again.
        return Receipt(ids[0] or reply.id.hex, tuple(filter(None, ids[1:])))

    def find(self, reply: Reply) -> Receipt | None:
        """Return `None`: SMPP cannot look up a message without the id that got lost with the answer."""
        return None

    def parts(self, text: str) -> int:
        """Return how many SMS parts the operator bills for the text."""
        return self._composer.parts(text)


def _canonical(message_id: str, base: int) -> str:
    """Return an id in decimal if it is a number of the base; with base 0, or where it is none, as it stands."""
    try:
        return str(int(message_id, base)) if base else message_id
    except ValueError:
        return message_id
