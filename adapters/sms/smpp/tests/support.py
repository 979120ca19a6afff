"""Helpers of the tests in this folder."""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypedDict, TypeVar, Unpack
from uuid import UUID

from adapters.sms.smpp.adapter import SmppSms
from adapters.sms.smpp.patience import Clock
from adapters.sms.smpp.pdu import SMPP
from adapters.sms.smpp.settings import SmppSettings
from adapters.sms.smpp.simulator import FakeSmsc, wire
from gateway.domain.errors import GatewayError, Unavailable
from gateway.domain.events import CitizenMessage, DeliveryReceipt, Event, MessagePart
from gateway.ports import ChannelContext, Envelope, FetchedMessage, RawMessage, Receipt, Reply, Secret
from gateway.testing.forge import raw_message

CITIZEN = "+6281200000999"
CONTEXT = ChannelContext(region="00", channel="smpp", webhook_url="")
PASSWORD = "sandi123"
MOMENT = 1_767_323_045.0
LONG = "Lampu jalan mati di Jl. Sudirman {depan SD}, sudah seminggu gelap sekali. " * 5
EMOJI = "Banjir 😭 nang kampung Mlayu, banyune sedhengkul 🌊 tulung lurahe 🙏🏽 " * 6

E = TypeVar("E", bound=Event)


class ManualClock(Clock):
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._now = 1000.0
        self._looks: Counter[int] = Counter()  # by thread
        self.per_look = 0.0  # seconds that pass at each look

    def now(self) -> float:
        with self._changed:
            self._now += self.per_look
            self._looks[threading.get_ident()] += 1
            self._changed.notify_all()
            return self._now

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Wait until the clock was moved so far, or the event is set."""
        with self._changed:
            end = self._now + seconds
            while self._now < end and not event.is_set():
                self._changed.wait(0.02)  # the event does not notify us

    def advance(self, seconds: float) -> None:
        with self._changed:
            self._now += seconds
            self._changed.notify_all()

    def wait_for_looks(self, count: int, thread: threading.Thread | None = None) -> None:
        """Wait until a thread, or all threads together, have looked at the clock so many times from now on."""

        def looks() -> int:
            return self._looks.total() if thread is None else self._looks[thread.ident or 0]

        with self._changed:
            enough = looks() + count
            assert self._changed.wait_for(lambda: looks() >= enough, 10), "nobody looked at the clock"


class RunningClock(ManualClock):
    """A clock that is moved by each wait: nobody really waits."""

    def wait(self, event: threading.Event, seconds: float) -> None:
        self.advance(seconds)


def make(*, clock: Clock | None = None, **changes: object) -> SmppSms:
    """Make an adapter with the test account."""
    settings: dict[str, object] = {
        "host": "127.0.0.1",
        "port": 1,
        "system_id": "lapor",
        "password": Secret(PASSWORD),
        "sender": "1708",
        "timeout": 2,
        "tps": 1000,
    }
    return SmppSms(SmppSettings.model_validate(settings | changes), CONTEXT, clock=clock)


class MemoryLine:
    """The core's side of a connection: keeps the messages in memory, and refuses or waits on demand."""

    def __init__(self) -> None:
        self.failures: list[Unavailable] = []
        self.batches: list[list[FetchedMessage]] = []
        self.changed = threading.Condition()
        self.ending = False
        self.ups = 0
        self.error: GatewayError | None = None
        self.open = threading.Event()  # closed: a commit hangs
        self.open.set()
        self.committing = threading.Event()

    def up(self) -> None:
        with self.changed:
            self.ups += 1
            self.changed.notify_all()

    def accept(self, messages: Sequence[FetchedMessage]) -> list[GatewayError | None]:
        self.committing.set()
        assert self.open.wait(10)
        with self.changed:
            self.batches.append(list(messages))
            self.changed.notify_all()
            return [self.error] * len(messages)

    @property
    def messages(self) -> list[FetchedMessage]:
        return [message for batch in self.batches for message in batch]

    def wait_for(self, condition: Callable[[], bool], timeout: float = 5) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout), "it did not happen in time"

    def raws(self) -> list[RawMessage]:
        return [raw_message(message.payload, message.content_type) for message in self.messages]


@contextmanager
def listening(adapter: SmppSms, *, again: bool = True) -> Iterator[MemoryLine]:
    """Let an adapter listen until the block ends, as the core does; `again`: connect again after each loss."""
    line = MemoryLine()

    def run() -> None:
        while not line.ending:
            try:
                adapter.listen(line)
            except Unavailable as exc:
                line.failures.append(exc)
                if not again:
                    return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield line
    finally:
        line.ending = True
        line.open.set()
        thread.join(10)
        assert not thread.is_alive(), "listen must return when the line ends"


@contextmanager
def connected(smsc: FakeSmsc, *, clock: Clock | None = None, **changes: object) -> Iterator[tuple[SmppSms, MemoryLine]]:
    adapter = make(port=smsc.port, clock=clock, **changes)
    with listening(adapter) as line:
        line.wait_for(lambda: line.ups == 1)
        yield adapter, line


class DeliverFields(TypedDict, total=False):
    """The optional fields of a deliver_sm."""

    coding: int
    esm_class: int
    tlvs: bytes


def deliver(text: bytes, sequence: int = 7, source: str = CITIZEN, **fields: Unpack[DeliverFields]) -> bytes:
    return wire.pdu(wire.DELIVER_SM, sequence, wire.deliver(source, "1708", text, **fields))


def payload(text: bytes, *, coding: int = 0, esm_class: int = 0) -> bytes:
    return deliver(b"", tlvs=wire.tlv(0x0424, text), coding=coding, esm_class=esm_class)


def translated(pdu: bytes, kind: type[E], **settings: object) -> E:
    """Return the one event of a PDU, of this kind."""
    (event,) = make(**settings).translate(raw_message(pdu, SMPP))
    assert isinstance(event, kind)
    return event


def message_of(pdu: bytes, **settings: object) -> CitizenMessage:
    return translated(pdu, CitizenMessage, **settings)


def part_of(pdu: bytes) -> MessagePart:
    return translated(pdu, MessagePart)


def receipt_of(pdu: bytes, **settings: object) -> DeliveryReceipt:
    return translated(pdu, DeliveryReceipt, **settings)


def a_reply(text: str = "Laporan diterima", to: str = CITIZEN, number: int = 1) -> Reply:
    return Reply(id=UUID(int=number), to=to, text=text, created_at=datetime.fromtimestamp(MOMENT, UTC))


PARTS: dict[str, Callable[[bytes], bytes]] = {
    "udh8": lambda text: deliver(b"\x05\x00\x03\x2a\x03\x02" + text, esm_class=0x40),
    "udh16": lambda text: deliver(b"\x06\x08\x04\x01\x2a\x03\x02" + text, esm_class=0x40),
    "udh among others": lambda text: deliver(b"\x09\x24\x01\x00\x08\x04\x01\x2a\x03\x02" + text, esm_class=0x40),
    "sar": lambda text: deliver(
        text, tlvs=wire.tlv(0x20C, b"\x01\x2a") + wire.tlv(0x20E, b"\x03") + wire.tlv(0x20F, b"\x02")
    ),
    "payload": lambda text: payload(b"\x05\x00\x03\x2a\x03\x02" + text, esm_class=0x40),
}


def key(pdu: bytes, moment: float = MOMENT, **settings: object) -> Envelope:
    return make(**settings).fetched(pdu, moment).envelope


def receipt_pdu(text: str, tlvs: bytes = b"", *, esm_class: int = 0x04) -> bytes:
    return deliver(text.encode(), tlvs=tlvs, esm_class=esm_class)


class RawOperator:
    """Accepts one connection at a time; the test reads and writes each PDU."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(5)
        self.port: int = self._server.getsockname()[1]
        self.connection = socket.socket()
        self._buffer = b""

    def accept(self) -> None:
        self.connection.close()
        self.connection, _ = self._server.accept()
        self.connection.settimeout(5)
        self._buffer = b""

    def bind(self, status: int = 0) -> bytes:
        self.accept()
        pdu = self.read()
        self.answer(pdu, b"SMSC\0", status)
        return pdu

    def read(self, command: int | None = None) -> bytes:
        """Return the next PDU, or the next of a command; empty once the connection has ended."""
        while True:
            length = int.from_bytes(self._buffer[:4], "big")
            if len(self._buffer) >= 16 and len(self._buffer) >= length:
                pdu, self._buffer = self._buffer[:length], self._buffer[length:]
                if command in (None, struct.unpack(">I", pdu[4:8])[0]):
                    return pdu
            elif data := self.connection.recv(65536):
                self._buffer += data
            else:
                return b""

    def answer(self, pdu: bytes, body: bytes = b"", status: int = 0) -> None:
        command, sequence = (int.from_bytes(pdu[at : at + 4], "big") for at in (4, 12))
        self.connection.sendall(wire.pdu(command | 0x80000000, sequence, body, status))

    def until_read(self) -> None:
        """Wait until the gateway has read all that was sent, and check that it has sent nothing else meanwhile.

        The gateway answers our enquire_link only after all PDUs before it.
        """
        self.connection.sendall(wire.pdu(wire.ENQUIRE_LINK, 0x7777))
        assert self.read() == wire.pdu(0x80000015, 0x7777)

    def close(self) -> None:
        self.connection.close()
        self._server.close()


@contextmanager
def raw_session(
    operator: RawOperator, *, clock: Clock | None = None, **changes: object
) -> Iterator[tuple[SmppSms, MemoryLine]]:
    adapter = make(port=operator.port, clock=clock, **changes)
    with listening(adapter, again=False) as line:
        operator.bind()
        line.wait_for(lambda: line.ups == 1)
        yield adapter, line
        operator.connection.close()


class Sending(threading.Thread):
    """A reply that is being sent: `result` waits for its receipt, or raises its error."""

    def __init__(self, adapter: SmppSms, reply: Reply) -> None:
        super().__init__()
        self._adapter = adapter
        self._reply = reply
        self._receipt: Receipt | None = None
        self._error: GatewayError | None = None
        self.start()

    def run(self) -> None:
        try:
            self._receipt = self._adapter.reply(self._reply)
        except GatewayError as exc:
            self._error = exc

    def result(self) -> Receipt:
        self.join(10)
        assert not self.is_alive()
        if self._error is not None:
            raise self._error
        assert self._receipt is not None
        return self._receipt
