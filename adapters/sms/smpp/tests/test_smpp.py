"""The SMPP adapter: the contract every adapter keeps, and what is peculiar to a connection that stays open."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import ValidationError
from smpplib import smpp as smpplib_smpp

from adapters.sms import gsm
from adapters.sms.smpp.adapter import MISSING, SmppSettings, SmppSms
from adapters.sms.smpp.link import Link, Patience
from adapters.sms.smpp.pdu import ALPHABETS, ALPHANUMERIC, MOST_TLVS, SMPP, read
from adapters.sms.smpp.session import MOST_AT_ONCE, MOST_BYTES, MOST_WAITING, OK, QUEUE_FULL, Arrivals
from adapters.sms.smpp.simulator import FakeSmsc, wire
from adapters.sms.smpp.submit import Pace
from gateway.domain.errors import (
    GatewayError,
    Overloaded,
    Rejected,
    Throttled,
    Unavailable,
    Untranslatable,
)
from gateway.domain.events import CitizenMessage, Delivery, DeliveryReceipt, Ignored, MessagePart
from gateway.pipeline.interpret.enrich import phone
from gateway.ports import (
    ChannelContext,
    FetchedMessage,
    Joiner,
    Listener,
    RawMessage,
    Replier,
    Reply,
    Secret,
    Translator,
    Webhook,
)
from gateway.testing.contract import AdapterContract
from gateway.testing.forge import RAW_ID, raw_message

HERE = Path(__file__).parent
CITIZEN = "+6281200000999"
CONTEXT = ChannelContext(region="00", channel="smpp", webhook_url="")
PASSWORD = "sandi123"
SOURCE_TON = 17  # where it stands in a PDU with no service_type
MOMENT = 1_767_323_045.0
LONG = "Lampu jalan mati di Jl. Sudirman {depan SD}, sudah seminggu gelap sekali. " * 5
EMOJI = "Banjir 😭 nang kampung Mlayu, banyune sedhengkul 🌊 tulung lurahe 🙏🏽 " * 6


def make(**changes: object) -> SmppSms:
    """Make an adapter with the test account."""
    given: dict[str, object] = {
        "host": "127.0.0.1",
        "port": 1,
        "system_id": "lapor",
        "password": Secret(PASSWORD),
        "sender": "1708",
        "timeout": 2,
        "tps": 1000,
    }
    return SmppSms(SmppSettings(**(given | changes)), CONTEXT)  # type: ignore[arg-type]


class MemoryLine:
    """What the core gives a listener: remembers what it took, and refuses or waits when told."""

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

    def accept(self, found: Sequence[FetchedMessage]) -> list[GatewayError | None]:
        self.committing.set()
        assert self.open.wait(10)
        with self.changed:
            self.batches.append(list(found))
            self.changed.notify_all()
            return [self.error] * len(found)

    @property
    def found(self) -> list[FetchedMessage]:
        return [one for batch in self.batches for one in batch]

    def wait_for(self, condition: Callable[[], bool], timeout: float = 5) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout), "it did not happen in time"

    def raws(self) -> list[RawMessage]:
        return [raw_message(one.payload, one.content_type) for one in self.found]


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


@pytest.fixture
def smsc() -> Iterator[FakeSmsc]:
    with FakeSmsc(system_id="lapor", password=PASSWORD, sender="1708", delivery_delay=0.01) as smsc:
        yield smsc


@contextmanager
def connected(smsc: FakeSmsc, **changes: object) -> Iterator[tuple[SmppSms, MemoryLine]]:
    adapter = make(port=smsc.port, **changes)
    with listening(adapter) as line:
        line.wait_for(lambda: line.ups == 1)
        yield adapter, line


def deliver(text: bytes, sequence: int = 7, source: str = CITIZEN, **fields: Any) -> bytes:
    return wire.pdu(wire.DELIVER_SM, sequence, wire.deliver(source, "1708", text, **fields))


def payload(text: bytes, **fields: Any) -> bytes:
    return deliver(b"", tlvs=wire.tlv(0x0424, text), **fields)


def translated(pdu: bytes, **settings: object) -> Any:
    (event,) = make(**settings).translate(raw_message(pdu, SMPP))
    return event


def a_reply(text: str = "Laporan diterima", to: str = CITIZEN, number: int = 1) -> Reply:
    return Reply(id=UUID(int=number), to=to, text=text, created_at=None)  # type: ignore[arg-type]


# --- the contract ---


class SmppForge:
    """Writes what an operator sends."""

    signature_header = ""
    sender = CITIZEN
    refused_code = "reject:11"
    secrets = (PASSWORD,)
    resends = "operators offer no look-up, and know no id of ours"

    def __init__(self, adapter: SmppSms, provider: FakeSmsc) -> None:
        self.provider, self._adapter = provider, adapter

    def message(self, text: str, external_id: str) -> FetchedMessage:
        # SMPP has no id: two messages are two because they come at different times.
        return self._adapter.found(
            payload(text.encode("utf-16-be"), coding=8), MOMENT + 1000.0 * crc32(external_id.encode())
        )

    def unknown(self) -> FetchedMessage:
        return self._adapter.found(deliver(b"?", esm_class=0x18), MOMENT)

    def garbage(self, body: bytes) -> FetchedMessage:
        return self._adapter.found(wire.pdu(wire.DELIVER_SM, 1, body), MOMENT)


class TestContract(AdapterContract):
    longest_text = 30_000  # UTF-16 units in a message_payload

    @pytest.fixture
    def adapter(self, smsc):
        with connected(smsc, receipts=False, timeout=0.5) as (adapter, _):
            yield adapter

    @pytest.fixture
    def forge(self, adapter, smsc):
        return SmppForge(adapter, smsc)

    @pytest.fixture
    def requests_dir(self):
        return HERE / "requests"

    def recorded(self, adapter, requests_dir):
        for path in sorted(requests_dir.glob("*.pdu")):
            yield path.stem, adapter.found(path.read_bytes(), MOMENT)


def test_ports():
    adapter = make()
    assert isinstance(adapter, Translator | Listener | Joiner | Replier)
    assert all(isinstance(adapter, port) for port in (Translator, Listener, Joiner, Replier))
    assert not isinstance(adapter, Webhook)


# --- reading ---


@pytest.mark.parametrize(
    ("coding", "raw", "text"),
    [
        (0, b"Jalan rusak \x00 \x1b(Menteng\x1b) \x1be5", "Jalan rusak @ {Menteng} €5"),
        (0, b"\x1b\x1b(\x1bA\x1b", " {A "),  # an escaped escape says nothing; A is not in the extension
        (0, b"caf\xe9", "caf\ufffd"),  # not GSM 7-bit at all: seen, not guessed
        (1, b"Jalan [rusak]", "Jalan [rusak]"),
        (3, b"caf\xe9 \xa35", "café £5"),
        (8, "Banjir 😭".encode("utf-16-be"), "Banjir 😭"),
        (8, b"\x00B\x00a\x00", "Ba\ufffd"),
        (6, "Привет".encode("iso8859-5"), "Привет"),
        (0x11, b"\x00", "@"),
        (0x18, "é".encode("utf-16-be"), "é"),
        (0xF0, b"\x00", "@"),
        (0xE0, "é".encode("utf-16-be"), "é"),
    ],
)
def test_alphabets(coding, raw, text):
    assert translated(deliver(raw, coding=coding)).text == text
    assert translated(payload(raw, coding=coding)).text == text


@pytest.mark.parametrize("coding", [2, 4, 9, 0x14, 0x3F, 0xF4, 0xFF])
def test_what_is_no_text_is_dead_and_can_be_named(coding):
    with pytest.raises(Untranslatable, match=f"data_coding {coding} "):
        translated(deliver(b"abc", coding=coding))
    assert translated(deliver(b"abc", coding=coding), codings={str(coding): "latin1"}).text == "abc"


@pytest.mark.parametrize(
    ("default", "raw"), [("latin1", b"caf\xe9"), ("utf8", b"caf\xc3\xa9"), ("gsm7", b"caf\x05"), ("ascii", b"caf?")]
)
def test_default_alphabet(default, raw):
    assert translated(deliver(raw), default_alphabet=default).text == ("caf?" if default == "ascii" else "café")


def test_every_alphabet_reads_every_byte():
    for decode in ALPHABETS.values():
        decode(bytes(range(256))).encode("utf-8")


def test_senders():
    assert translated(deliver(b"x")).sender == CITIZEN
    assert translated(deliver(b"x", source="0812000")).sender == "0812000"
    assert translated(deliver(b"x", source="TELKOMSEL")).sender == "TELKOMSEL"
    assert translated(deliver(b"x", source="112")).sender == "112"


def test_a_name_of_digits_does_not_pass_for_the_telephone_with_that_number():
    """Who sends in bulk chooses the name; else they could read, add to and withdraw another's complaint."""
    spoofed = bytearray(deliver(b"STATUS 10000004", source=CITIZEN.lstrip("+")))
    spoofed[SOURCE_TON] = ALPHANUMERIC
    sender = translated(bytes(spoofed)).sender
    assert CITIZEN.lstrip("+") in sender
    assert phone(sender) is None
    named = bytearray(deliver(b"x", source="TELKOMSEL"))
    named[SOURCE_TON] = ALPHANUMERIC
    assert translated(bytes(named)).sender == "TELKOMSEL"


def test_a_flood_of_tlvs_is_a_dead_letter_and_cheap():
    flood = deliver(b"x", tlvs=wire.tlv(0x1400, b"") * (MOST_TLVS + 1))
    assert translated(deliver(b"x", tlvs=wire.tlv(0x1400, b"") * MOST_TLVS)).text == "x"
    with pytest.raises(Untranslatable):
        translated(flood)
    assert make().found(flood, 0.0).envelope.sender is None


def test_large_pdus_that_wait_are_bounded_in_bytes_too():
    arrivals, session, large = Arrivals(), object(), bytes(65_000)
    count = MOST_BYTES // len(large)
    assert not any(arrivals.put(session, large) for _ in range(count))
    assert arrivals.put(session, large) == QUEUE_FULL
    while arrivals.take(0):
        pass
    assert arrivals.put(session, large) == OK


def test_our_own_number_is_no_citizen():
    assert translated(deliver(b"x", source="1708")) == Ignored(why="our own message")
    assert translated(deliver(b"x", source="+1708")) == Ignored(why="our own message")  # called international


def test_data_sm():
    body = b"\0\x01\x016281200\0\0\x001708\0\x00\x00\x08" + wire.tlv(0x0424, "é".encode("utf-16-be"))
    event = translated(wire.pdu(0x103, 1, body))
    assert (event.sender, event.recipient, event.text) == ("+6281200", "1708", "é")


@pytest.mark.parametrize("pdu", [deliver(b"Jalan rusak", tlvs=wire.tlv(0x1400, b"operator")), payload(b"Jalan")])
def test_what_is_cut_off_is_dead(pdu):
    assert translated(pdu)
    for length in range(16, len(pdu)):
        shorter = struct.pack(">I", length) + pdu[4:length]
        if length == len(pdu) - len(wire.tlv(0x1400, b"operator")) and pdu[-8:] == b"operator":
            continue  # whole again, without its last parameter
        if (length, pdu[-5:]) == (len(pdu) - 9, b"Jalan"):
            continue
        with pytest.raises(Untranslatable):
            translated(shorter)
    with pytest.raises(Untranslatable):
        translated(pdu + b"\0")


def test_agrees_with_smpplib():
    """Where smpplib reads right, both read the same."""
    for pdu in (deliver(b"Jalan", coding=3, esm_class=0x01), payload(b"x" * 400), deliver(b"", source="TELKOMSEL")):
        ours, theirs = read(pdu), smpplib_smpp.parse_pdu(pdu, sequence=0)
        assert ours.source.lstrip("+") == theirs.source_addr.decode()
        assert (ours.data_coding, ours.text) == (
            theirs.data_coding,
            theirs.short_message or theirs.message_payload or b"",
        )


PARTS = {
    "udh8": lambda text: deliver(b"\x05\x00\x03\x2a\x03\x02" + text, esm_class=0x40),
    "udh16": lambda text: deliver(b"\x06\x08\x04\x01\x2a\x03\x02" + text, esm_class=0x40),
    "udh among others": lambda text: deliver(b"\x09\x24\x01\x00\x08\x04\x01\x2a\x03\x02" + text, esm_class=0x40),
    "sar": lambda text: deliver(
        text, tlvs=wire.tlv(0x20C, b"\x01\x2a") + wire.tlv(0x20E, b"\x03") + wire.tlv(0x20F, b"\x02")
    ),
    "payload": lambda text: payload(b"\x05\x00\x03\x2a\x03\x02" + text, esm_class=0x40),
}


@pytest.mark.parametrize("form", PARTS)
def test_parts(form):
    part = translated(PARTS[form](b"Jalan"))
    assert isinstance(part, MessagePart)
    assert (part.number, part.total, part.sender) == (2, 3, CITIZEN)


def test_what_is_different_is_no_part_of_the_same_message():
    forms = [*(form(b"x") for name, form in PARTS.items() if name not in ("udh among others", "payload"))]
    forms += [
        deliver(b"\x05\x00\x03\x2b\x03\x02x", esm_class=0x40),
        deliver(b"\x05\x00\x03\x2a\x04\x02x", esm_class=0x40),
        deliver(b"\x05\x00\x03\x2a\x03\x02x", esm_class=0x40, source="+6281200000998"),
        wire.pdu(5, 1, wire.deliver(CITIZEN, "1709", b"\x05\x00\x03\x2a\x03\x02x", esm_class=0x40)),
    ]
    assert len({translated(pdu).group for pdu in forms}) == len(forms)


@pytest.mark.parametrize("numbers", [b"\x03\x00", b"\x03\x04", b"\x01\x01", b"\x00\x00"])
def test_impossible_parts_are_whole_messages(numbers):
    assert translated(deliver(b"\x05\x00\x03\x2a" + numbers + b"Jalan", esm_class=0x40)).text == "Jalan"
    tlvs = wire.tlv(0x20C, b"\0\1") + wire.tlv(0x20E, numbers[:1]) + wire.tlv(0x20F, numbers[1:])
    assert translated(deliver(b"Jalan", tlvs=tlvs)).text == "Jalan"


# --- joining ---


def raw_parts(pieces: Sequence[bytes | None], coding: int) -> list[RawMessage | None]:
    """Return parts as the inbox keeps them; the ids say in which order they came."""
    return [
        None
        if piece is None
        else replace(
            raw_message(
                deliver(bytes([6, 8, 4, 1, 2, len(pieces), number]) + piece[:200], esm_class=0x40, coding=coding),
                SMPP,
            ),
            id=UUID(int=RAW_ID.int + number),
        )
        for number, piece in enumerate(pieces, 1)
    ]


@given(text=st.text(gsm.BASIC + gsm.EXTENSION, min_size=3, max_size=150), cut=st.integers(1, 200))
def test_gsm_parts_join_wherever_they_were_cut(text, cut):
    raw, cut = gsm.encode(text), cut % len(gsm.encode(text))
    assert make().join(raw_parts([raw[:cut], raw[cut:]], 0)).text == text


@given(text=st.text(min_size=2, max_size=60), cut=st.integers(1, 200))
def test_ucs2_parts_join_wherever_they_were_cut(text, cut):
    raw = text.encode("utf-16-be")
    cut %= len(raw)
    assert make().join(raw_parts([raw[:cut], raw[cut:]], 8)).text == text


def test_a_missing_part_is_marked_and_a_late_one_is_of_the_same_message():
    adapter, whole = make(), raw_parts([b"satu", b"dua", b"tiga"], 0)
    for gone, text in [((0,), f"{MISSING}duatiga"), ((1,), f"satu{MISSING}tiga"), ((0, 1), f"{MISSING}tiga")]:
        parts = [None if place in gone else raw for place, raw in enumerate(whole)]
        assert adapter.join(parts).text == text
    came = [replace(raw, id=UUID(int=RAW_ID.int + place)) for raw, place in zip(whole, (3, 1, 2), strict=True)]
    partial, complete = adapter.join([None, *came[1:]]), adapter.join(came)
    assert partial.external_id == complete.external_id == came[1].id.hex
    assert complete.text == "satuduatiga"
    with pytest.raises(Untranslatable):
        adapter.join([None, None])


def test_parts_in_two_alphabets():
    parts = raw_parts([b"Jalan \x1b", b"(rusak", "😭".encode("utf-16-be")], 0)
    parts[2] = raw_parts([b"", b"", "😭".encode("utf-16-be")], 8)[2]
    assert make().join(parts).text == "Jalan {rusak😭"


@pytest.mark.parametrize("text", [LONG, EMOJI, "{" * 400])
def test_what_a_careless_operator_cut_is_whole_again(smsc, text):
    with connected(smsc) as (adapter, line):
        assert smsc.send(CITIZEN, text).status == 200
    raws = line.raws()
    assert len(raws) > 1
    parts = {adapter.translate(raw)[0].number: raw for raw in raws}
    message = adapter.join([parts[number] for number in sorted(parts)])
    assert (message.sender, message.recipient, message.text) == (CITIZEN, "1708", text)


# --- which message is which ---


def key(pdu: bytes, moment: float = MOMENT, **settings: object) -> Any:
    return make(**settings).found(pdu, moment).envelope


def test_a_redelivery_is_known_in_its_window_and_the_next():
    first = key(deliver(b"STATUS", sequence=1), MOMENT)
    again, later, late = (key(deliver(b"STATUS", sequence=9), MOMENT + s) for s in (1, 300, 600))
    assert first.key == again.key
    assert first.key == later.former_key != later.key
    assert first.key not in (late.key, late.former_key)
    assert first.sender == CITIZEN


def test_two_messages_have_two_keys():
    pdus = [
        deliver(b"STATUS"),
        deliver(b"STATUS "),
        deliver(b"STATUS", source="+6281200000998"),
        deliver(b"STATUS", coding=3),
        *(form(b"STATUS") for name, form in PARTS.items() if name not in ("udh among others", "payload")),
        deliver(b"\x05\x00\x03\x2a\x03\x01STATUS", esm_class=0x40),
        deliver(b"\x05\x00\x03\x2b\x03\x02STATUS", esm_class=0x40),
        wire.pdu(5, 1, b"broken"),
    ]
    assert len({key(pdu).key for pdu in pdus}) == len(pdus)


def test_an_operators_own_id_is_the_key():
    def named(text: bytes, name: bytes, sequence: int = 1, **fields: Any) -> Any:
        return key(deliver(text, sequence, tlvs=wire.tlv(0x1400, name), **fields), message_id_tlv=0x1400)

    assert named(b"STATUS", b"a1") == named(b"STATUS", b"a1", 5)
    assert named(b"STATUS", b"a1").key != named(b"STATUS", b"a2").key
    first, second = (named(bytes([5, 0, 3, 1, 2, n]) + b"x", b"a1", esm_class=0x40) for n in (1, 2))
    assert first.key != second.key  # some give all parts of a message one id
    assert key(deliver(b"STATUS"), message_id_tlv=0x1400).former_key  # and some forget it


# --- receipts ---


def receipt_pdu(text: str, tlvs: bytes = b"", **fields: Any) -> bytes:
    return deliver(text.encode(), tlvs=tlvs, **({"esm_class": 0x04} | fields))


@pytest.mark.parametrize(
    ("text", "state", "error"),
    [
        (
            "id:1a sub:001 dlvrd:001 submit date:2601020304 done date:2601020304 stat:DELIVRD err:000 text:id:9",
            "delivered",
            None,
        ),
        ("id:1a stat:UNDELIV err:00B", "failed", "00B"),
        ("id:1a stat:expired err:0", "failed", None),
        ("ID: 1a STAT: REJECTD ERR: 012 TEXT:", "failed", "012"),
        ("id:1a sub:001 stat:ENROUTE err:000 text:", "sent", None),
        ("id:1a stat:ACCEPTD", "sent", None),
    ],
)
def test_receipts(text, state, error):
    assert translated(receipt_pdu(text)) == DeliveryReceipt(external_id="1a", state=Delivery(state), error=error)


def test_receipts_by_tlv():
    tlvs = wire.tlv(0x001E, b"1A\0") + wire.tlv(0x0427, b"\x05")
    wanted = DeliveryReceipt(external_id="1A", state=Delivery.FAILED)
    assert translated(receipt_pdu("", tlvs)) == wanted
    assert translated(receipt_pdu("", tlvs, esm_class=0)) == wanted  # the operator forgot to mark it
    assert translated(receipt_pdu("", tlvs, esm_class=0x20)) == wanted
    assert translated(receipt_pdu("id:7 stat:DELIVRD", wire.tlv(0x001E, b"1A\0"))).external_id == "1A"


def test_a_citizen_cannot_write_a_receipt():
    assert isinstance(translated(deliver(b"id:1a stat:DELIVRD err:000")), CitizenMessage)


def test_odd_receipts():
    assert isinstance(translated(receipt_pdu("id:1a stat:UNKNOWN")), Ignored)
    for text in ("stat:DELIVRD", "id:1a", "", "terkirim"):
        with pytest.raises(Untranslatable):
            translated(receipt_pdu(text))


def test_a_receipt_is_known_by_message_and_state():
    enroute, delivered = (key(receipt_pdu(f"id:1a stat:{word} text:x")) for word in ("ENROUTE", "DELIVRD"))
    assert enroute.key != delivered.key
    assert enroute.sender == delivered.sender
    assert key(receipt_pdu("id:1a stat:DELIVRD"), MOMENT + 9999) == delivered


# --- an operator of bytes: does what no library would ---


class RawOperator:
    """Accepts one connection at a time; the test reads and writes each PDU."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(5)
        self.port = self._server.getsockname()[1]
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
        """Wait until the gateway has read all that was sent: it answers an enquire_link only after that."""
        self.connection.sendall(wire.pdu(wire.ENQUIRE_LINK, 0x7777))
        assert self.read() == wire.pdu(0x80000015, 0x7777)

    def close(self) -> None:
        self.connection.close()
        self._server.close()


@pytest.fixture
def operator() -> Iterator[RawOperator]:
    made = RawOperator()
    yield made
    made.close()


@contextmanager
def raw_session(operator: RawOperator, **changes: object) -> Iterator[tuple[SmppSms, MemoryLine]]:
    adapter = make(port=operator.port, **changes)
    with listening(adapter, again=False) as line:
        operator.bind()
        line.wait_for(lambda: line.ups == 1)
        yield adapter, line
        operator.connection.close()


class Sending(threading.Thread):
    """A reply that is on its way: `result` waits for its receipt, or raises what it raised."""

    def __init__(self, adapter: SmppSms, reply: Reply) -> None:
        super().__init__()
        self._adapter, self._reply = adapter, reply
        self._receipt: Any = None
        self._error: GatewayError | None = None
        self.start()

    def run(self) -> None:
        try:
            self._receipt = self._adapter.reply(self._reply)
        except GatewayError as exc:
            self._error = exc

    def result(self) -> Any:
        self.join(10)
        assert not self.is_alive()
        if self._error is not None:
            raise self._error
        return self._receipt


@pytest.mark.parametrize(
    ("ids", "taken", "text", "tlv"),
    [
        ("same", "1a", "1a", None),
        ("same", "1a", "26", "1a"),
        ("hex-then-decimal", "1a", "0000000026", None),
        ("hex-then-decimal", "1A", "26", "1a"),
        ("hex-then-decimal", "1A", None, "1a"),
        ("decimal-then-hex", "26", "0000001A", None),
        ("decimal-then-hex", "x-26", "x-26", None),
    ],
)
def test_ids_meet_however_they_are_written(operator, ids, taken, text, tlv):
    with raw_session(operator, receipt_ids=ids) as (adapter, _):
        sending = Sending(adapter, a_reply())
        operator.answer(operator.read(), taken.encode() + b"\0")
        receipt = sending.result()
    tlvs = (wire.tlv(0x001E, tlv.encode()) if tlv else b"") + wire.tlv(0x0427, b"\x02")
    event = translated(receipt_pdu(f"id:{text} stat:DELIVRD" if text else "", tlvs), receipt_ids=ids)
    assert event.external_id == receipt.external_id


# --- the connection ---


def test_binds_as_configured(operator):
    with listening(make(port=operator.port, system_type="VMA", address_range="^1708"), again=False) as line:
        pdu = operator.bind()
        line.wait_for(lambda: line.ups == 1)
        assert pdu[4:8] == b"\0\0\0\x09"
        assert pdu[16:] == b"lapor\0sandi123\0VMA\0\x34\0\0^1708\0"
        line.ending = True
        operator.answer(operator.read(6))


@pytest.mark.parametrize(
    ("status", "says"), [(0x0E, "password"), (0x0F, "system_id"), (0x05, "already"), (0x99, "0x99")]
)
def test_refused_bind_says_what_to_correct(operator, status, says):
    adapter, line = make(port=operator.port), MemoryLine()
    answering = threading.Thread(target=operator.bind, args=(status,))
    answering.start()
    with pytest.raises(Unavailable, match=says) as caught:
        adapter.listen(line)
    answering.join()
    assert PASSWORD not in str(caught.value)
    assert line.ups == 0


def test_nobody_there():
    with pytest.raises(Unavailable, match="cannot be reached"):
        make().listen(MemoryLine())
    with pytest.raises(Unavailable, match="not connected"):
        make().reply(a_reply())


def test_a_mute_operator_is_given_up(operator):
    adapter = make(port=operator.port, timeout=0.2)
    with pytest.raises(Unavailable, match="bind_transceiver"):
        adapter.listen(MemoryLine())


def test_nothing_is_answered_before_it_is_durable(smsc):
    with connected(smsc) as (_, line):
        line.open.clear()
        answers: list[Any] = []
        citizen = threading.Thread(target=lambda: answers.append(smsc.send(CITIZEN, "Jalan rusak")))
        citizen.start()
        citizen.join(0.3)
        assert citizen.is_alive()
        assert not answers
        line.open.set()
        citizen.join(5)
        assert answers == [(200, None)]
    (event,) = make().translate(line.raws()[0])
    assert event.text == "Jalan rusak"


def test_what_comes_meanwhile_is_one_transaction(operator):
    with raw_session(operator) as (_, line):
        line.open.clear()
        operator.connection.sendall(deliver(b"0", 100))
        assert line.committing.wait(5)
        for number in range(1, 65):
            operator.connection.sendall(deliver(b"%d" % number, 100 + number))
        operator.until_read()  # alive while the database is not
        line.open.set()
        answers = [struct.unpack(">3I", operator.read()[4:16]) for _ in range(65)]
        assert answers == [(0x80000005, 0, 100 + number) for number in range(65)]
        assert [len(batch) for batch in line.batches] == [1, 64]


def test_what_cannot_be_stored_stays_with_the_operator(smsc):
    with connected(smsc) as (_, line):
        line.error = Overloaded("disk full")
        assert smsc.send(CITIZEN, "Jalan rusak") == (503, "SMPP error 0x64")
        line.error = None
        assert smsc.send(CITIZEN, "Jalan rusak").status == 200
    assert line.found[0].envelope.key in (line.found[1].envelope.key, line.found[1].envelope.former_key)


def test_the_unreadable_is_stored_too(operator):
    with raw_session(operator) as (adapter, line):
        operator.connection.sendall(wire.pdu(wire.DELIVER_SM, 3, b"broken"))
        assert operator.read()[4:16] == struct.pack(">3I", 0x80000005, 0, 3)
        with pytest.raises(Untranslatable):
            adapter.translate(line.raws()[0])


def test_pdus_in_single_bytes(operator):
    with raw_session(operator) as (_, line):
        for byte in deliver(b"Jalan") + deliver(b"rusak", 8):
            operator.connection.sendall(bytes([byte]))
        assert [operator.read()[12:16] for _ in range(2)] == [b"\0\0\0\x07", b"\0\0\0\x08"]
        assert line.found[0].payload == deliver(b"Jalan")


def test_data_sm_alerts_and_strangers(operator):
    with raw_session(operator):
        operator.connection.sendall(wire.pdu(0x102, 1, b"\0\0a\0\0\0b\0"))  # alert_notification: no answer
        operator.connection.sendall(wire.pdu(0x103, 2, b"\0\1\1628\0\0\x001708\0\0\0\0"))
        assert operator.read() == wire.pdu(0x80000103, 2, b"\0")
        operator.connection.sendall(wire.pdu(0x21, 3))  # submit_multi, to us
        assert operator.read() == wire.pdu(0x80000000, 3, status=0x03)
        operator.connection.sendall(wire.pdu(0x80000004, 99, b"x\0"))  # an answer to nothing


@pytest.mark.parametrize("length", [0, 15, 70_001, 0xFFFFFFFF])
def test_what_is_not_smpp_ends_the_session(operator, length):
    with raw_session(operator) as (_, line):
        operator.connection.sendall(struct.pack(">4I", length, 5, 0, 1))
        assert operator.read() == wire.pdu(0x80000000, 0, status=0x02)
        assert operator.read() == b""
    assert "not SMPP" in str(line.failures)


def test_the_peers_unbind_is_answered_after_what_came_before(operator):
    with raw_session(operator) as (_, line):
        operator.connection.sendall(deliver(b"Jalan") + wire.pdu(wire.UNBIND, 8))
        assert operator.read()[4:8] == b"\x80\0\0\x05"
        assert operator.read() == wire.pdu(0x80000006, 8)
        assert operator.read() == b""
    assert "ended the session" in str(line.failures)


def test_a_dead_session_is_noticed(operator):
    with raw_session(operator, enquire_every=0.1, timeout=1) as (adapter, line):
        operator.answer(operator.read(wire.ENQUIRE_LINK))
        operator.answer(operator.read(wire.ENQUIRE_LINK))
        assert operator.read(wire.ENQUIRE_LINK)  # and no answer
        assert operator.read() == b""
        with pytest.raises(Unavailable):
            adapter.reply(a_reply())
    assert "enquire_link" in str(line.failures)


def test_at_the_end_what_is_under_way_is_finished(operator):
    with raw_session(operator) as (adapter, line):
        sending = Sending(adapter, a_reply())
        submitted = operator.read(wire.SUBMIT_SM)
        line.open.clear()
        operator.connection.sendall(deliver(b"taken", 1))
        assert line.committing.wait(5)
        operator.connection.sendall(deliver(b"late", 2))
        operator.until_read()
        line.ending = True
        line.open.set()
        assert operator.read()[8:16] == struct.pack(">2I", 0, 1)
        assert operator.read()[8:16] == struct.pack(">2I", 0x64, 2), "not taken: the operator keeps it"
        operator.answer(submitted, b"a1\0")
        assert sending.result().external_id == "a1"
        unbind = operator.read()
        assert unbind[4:8] == b"\0\0\0\x06"
        operator.answer(unbind)
        assert operator.read() == b""
    assert not line.failures


@contextmanager
def ends_quickly(adapter: SmppSms) -> Iterator[MemoryLine]:
    """Let an adapter listen that has all the patience there is; at the end of the block it must return all the same."""
    with listening(adapter, again=False) as line:
        yield line
        line.ending = True
        began = time.monotonic()
    assert time.monotonic() - began < 1.8, "a process that ends has 2 seconds for its connections"


def test_the_end_does_not_wait_for_a_connection():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as stack:
        port = full.getsockname()[1]
        for _ in range(8):  # beyond the backlog nobody is answered, as behind a firewall that says nothing
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        with ends_quickly(make(port=port, timeout=30)) as line:
            time.sleep(0.2)  # it is on its way
            assert not line.failures


@pytest.mark.parametrize("settings", [{}, {"tls": True}, {"bind_mode": "separate"}])
def test_the_end_does_not_wait_for_a_bind(operator, settings):
    with ends_quickly(make(port=operator.port, timeout=30, **settings)) as line:
        operator.accept()
        assert operator.connection.recv(1), "a bind, or the beginning of TLS"
    assert line.ups == 0


def test_the_end_waits_a_second_for_what_is_under_way(operator):
    adapter = make(port=operator.port, timeout=30)
    with ends_quickly(adapter) as line:
        operator.bind()
        line.wait_for(lambda: line.ups == 1)
        sending = Sending(adapter, a_reply())
        assert operator.read(wire.SUBMIT_SM)
    assert operator.read(wire.UNBIND), "it is said, whether or not anybody listens"
    with pytest.raises(Unavailable):
        sending.result()


def test_it_comes_back_after_a_cut(smsc):
    with connected(smsc) as (_, line):
        assert smsc.send(CITIZEN, "satu").status == 200
        smsc.drop()
        line.wait_for(lambda: line.ups == 2)
        assert smsc.send(CITIZEN, "dua").status == 200


@pytest.mark.parametrize(("settings", "sessions"), [({"bind_mode": "separate"}, 2), ({"binds": 3}, 3)])
def test_several_sessions(smsc, settings, sessions):
    with connected(smsc, **settings) as (adapter, line):
        assert smsc.connected == sessions
        assert smsc.send(CITIZEN, "Jalan rusak").status == 200
        adapter.reply(a_reply("Terima kasih"))
        assert smsc.replies_to(CITIZEN) == ["Terima kasih"]
        line.wait_for(lambda: len(line.found) == 2)  # the receipt came the other way


def test_a_flood_beyond_any_window_is_asked_to_wait(operator):
    with raw_session(operator) as (_, line):
        line.open.clear()
        operator.connection.sendall(deliver(b"first", 1))
        assert line.committing.wait(5)
        for start in range(0, MOST_WAITING + 3, 1000):
            count = min(1000, MOST_WAITING + 3 - start)
            operator.connection.sendall(b"".join(deliver(b"x", 2 + start + n) for n in range(count)))
        refused = [operator.read()[4:16] for _ in range(3)]
        assert refused == [struct.pack(">3I", 0x80000005, 0x14, 2 + MOST_WAITING + n) for n in range(3)]
        line.open.set()
        assert [operator.read()[8:12] for _ in range(MOST_WAITING + 1)] == [b"\0" * 4] * (MOST_WAITING + 1)
        assert max(len(batch) for batch in line.batches) == MOST_AT_ONCE


def test_an_unbind_that_waits_at_the_end_is_answered(operator):
    with raw_session(operator) as (_, line):
        line.open.clear()
        operator.connection.sendall(deliver(b"taken", 1))
        assert line.committing.wait(5)
        operator.connection.sendall(wire.pdu(wire.UNBIND, 2))
        operator.until_read()
        line.ending = True
        line.open.set()
        assert operator.read()[8:16] == struct.pack(">2I", 0, 1)
        assert operator.read() == wire.pdu(0x80000006, 2)
        assert operator.read() == b"", "and no unbind of ours"
    assert not line.failures


def test_an_operator_that_does_not_read_is_given_up(operator):
    link = Link("127.0.0.1", operator.port, tls=None, patience=Patience(0.2, lambda: False))
    operator.accept()
    with pytest.raises(Unavailable, match="does not read"):
        link.write(bytes(50_000_000))
    for use in (lambda: link.write(b"x"), lambda: link.read(0)):
        with pytest.raises(Unavailable):  # half a PDU is out: nobody could read on
            use()
    link.forget()


def test_an_operator_that_reads_slowly_gets_everything(operator):
    link = Link("127.0.0.1", operator.port, tls=None, patience=Patience(10, lambda: False))
    operator.accept()
    got = []

    def read() -> None:
        while data := operator.connection.recv(1_000_000):
            got.append(len(data))

    reading = threading.Thread(target=read)
    reading.start()
    link.write(bytes(20_000_000))
    link.close()
    link.forget()
    reading.join(10)
    assert sum(got) == 20_000_000


# --- replies ---


@pytest.mark.parametrize("form", ["udh16", "udh8", "sar", "payload"])
@pytest.mark.parametrize("text", ["Laporan diterima", LONG, EMOJI, "`§` " * 60, "{" * 400, "a" * 151 + "{" + "b" * 60])
def test_long_replies_arrive_whole(smsc, form, text):
    with connected(smsc, long_messages=form, receipts=False) as (adapter, _):
        receipt = adapter.reply(a_reply(text))
        (body,) = smsc.replies_to(CITIZEN)
        assert body == gsm.to_gsm7(text)
        assert 1 + len(receipt.others) == (adapter.parts(text) if form != "payload" else 1)


def test_each_part_is_readable_by_itself():
    adapter = make()
    for text, coding in ((LONG, 0), (EMOJI, 8)):
        pieces = adapter._composer.compose(a_reply(text))
        assert {piece["data_coding"] for piece in pieces} == {coding}
        assert max(len(piece["short_message"]) for piece in pieces) <= (159 if coding == 0 else 140)
        decode = ALPHABETS["gsm7" if coding == 0 else "ucs2"]
        assert "".join(decode(piece["short_message"][7:]) for piece in pieces) == text


def test_a_second_attempt_completes_the_first():
    first, again, other = (make()._composer.compose(a_reply(LONG, number=number)) for number in (0x12345, 0x12345, 2))
    assert first == again
    assert first[0]["short_message"][:6] == b"\x06\x08\x04\x23\x45\x03"
    assert first[0]["short_message"][:7] != other[0]["short_message"][:7]


@pytest.mark.parametrize(
    ("default", "text", "coding", "raw"),
    [
        ("gsm7", "é€ [1]", 0, b"\x05\x1be \x1b<1\x1b>"),
        ("latin1", "é [1]", 0, b"\xe9 [1]"),
        ("latin1", "€", 8, b"\x20\xac"),
        ("ascii", "halo", 0, b"halo"),
        ("ascii", "é", 8, b"\0\xe9"),
        ("utf8", "é", 8, b"\0\xe9"),
        ("latin1", "á", 8, b"\0\xe1"),  # not in GSM 7-bit, and so not in a part of 160
    ],
)
def test_replies_in_the_operators_alphabet(default, text, coding, raw):
    (piece,) = make(default_alphabet=default)._composer.compose(a_reply(text))
    assert (piece["data_coding"], piece["short_message"]) == (coding, raw)


def test_submit_sm_to_the_byte(operator):
    with raw_session(operator, sender_ton=3, service_type="CMT") as (adapter, _):
        sending = Sending(adapter, a_reply("Halo"))
        pdu = operator.read(wire.SUBMIT_SM)
        operator.answer(pdu, b"\0")
        assert pdu[16:] == b"CMT\0\3\x001708\0\1\x016281200000999\0\0\0\0\0\0\1\0\0\0\4Halo"
        assert sending.result().external_id == a_reply().id.hex  # taken without an id: not to be sent again


@pytest.mark.parametrize(
    ("how", "error", "says"),
    [
        ("queue_full", Throttled, "full"),
        ("throttle", Throttled, "fewer"),
        ("reject:1", Rejected, "long"),
        ("reject:102", Rejected, "refused"),
        ("reject:10", Unavailable, "sender"),
        ("reject:81", Unavailable, "recipient_npi"),
        ("reject:192", Unavailable, "long_messages"),
        ("reject:1234", Unavailable, "0x4d2"),  # nobody knows: it may pass
        ("drop", Unavailable, "closed"),
    ],
)
def test_refusals_say_what_to_do(smsc, how, error, says):
    with connected(smsc) as (adapter, _):
        smsc.fail(how)
        with pytest.raises(error, match=says) as caught:
            adapter.reply(a_reply())
        assert type(caught.value) is error


@pytest.mark.parametrize("to", ["TELKOMSEL", "", "+", "12", "0" * 21, "+62 812", "٠٨١٢٠٠"])
def test_who_has_no_number_is_not_written_to(smsc, to):
    with connected(smsc) as (adapter, _), pytest.raises(Rejected):
        adapter.reply(a_reply(to=to))


def test_answers_are_matched_out_of_order_and_while_a_commit_hangs(operator):
    with raw_session(operator, window=3, timeout=5) as (adapter, line):
        line.open.clear()
        operator.connection.sendall(deliver(b"Jalan"))
        sendings = [Sending(adapter, a_reply(f"balasan {number}", number=number)) for number in range(3)]
        pdus = [operator.read(wire.SUBMIT_SM) for _ in sendings]
        for pdu in reversed(pdus):
            operator.answer(pdu, pdu[-9:] + b"\0")
        assert [sending.result().external_id for sending in sendings] == ["balasan 0", "balasan 1", "balasan 2"]


def test_no_more_than_the_window_wait(operator):
    with raw_session(operator, window=2, timeout=5) as (adapter, _):
        sendings = [Sending(adapter, a_reply(number=number)) for number in range(3)]
        pdus = [operator.read(wire.SUBMIT_SM) for _ in range(2)]
        operator.connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            operator.read()
        operator.connection.settimeout(5)
        operator.answer(pdus[0], b"a\0")
        pdus.append(operator.read(wire.SUBMIT_SM))
        for pdu in pdus[1:]:
            operator.answer(pdu, b"a\0")
        assert all(sending.result() for sending in sendings)


def test_a_full_window_is_throttled(operator):
    with (
        raw_session(operator, window=1, timeout=0.2) as (adapter, _),
        adapter._senders[0].turn(),
        pytest.raises(Throttled, match="wait"),
    ):
        adapter.reply(a_reply())


def test_generic_nack_is_an_answer(operator):
    with raw_session(operator) as (adapter, _):
        sending = Sending(adapter, a_reply())
        pdu = operator.read(wire.SUBMIT_SM)
        operator.connection.sendall(wire.pdu(wire.GENERIC_NACK, int.from_bytes(pdu[12:16], "big"), status=0x03))
        with pytest.raises(Unavailable, match="submit_sm"):
            sending.result()


def test_pace(monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: 100.0)
    monkeypatch.setattr("adapters.sms.smpp.submit.time", clock)
    pace = Pace(10, patience=1)
    waits = [wait for count in (1, 3, 5, 1, 1) for wait in pace.reserve(count)]
    assert waits == pytest.approx([number / 10 for number in range(11)])
    with pytest.raises(Throttled) as caught:
        pace.reserve(1)
    assert caught.value.retry_after == pytest.approx(1.1)
    clock.monotonic = lambda: 200.0
    assert pace.reserve(2) == pytest.approx([0, 0.1])


def test_no_faster_than_tps(smsc):
    with connected(smsc, tps=20, receipts=False) as (adapter, _):
        start = time.monotonic()
        sendings = [Sending(adapter, a_reply(number=number)) for number in range(5)]
        assert all(sending.result() for sending in sendings)
        assert time.monotonic() - start >= 4 / 20


def test_receipts_of_all_parts_are_matched(smsc):
    with connected(smsc) as (adapter, line):
        receipt = adapter.reply(a_reply(LONG))
        line.wait_for(lambda: len(line.found) == 3)
        events = [adapter.translate(raw)[0] for raw in line.raws()]
    assert {event.external_id for event in events} == {receipt.external_id, *receipt.others}
    assert {event.state for event in events} == {Delivery.DELIVERED}


# --- TLS ---


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a PEM file with key and certificate of 127.0.0.1."""
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "smsc.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + made.public_bytes(pem))
    return path


class TlsOperator(RawOperator):
    def __init__(self, certificate: Path) -> None:
        super().__init__()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)

    def accept(self) -> None:
        super().accept()
        self.connection = self._context.wrap_socket(self.connection, server_side=True)


def test_tls_both_ways_at_once(certificate):
    operator = TlsOperator(certificate)
    try:
        settings = {"tls": True, "tls_ca": str(certificate), "window": 50, "timeout": 5, "tps": 10000}
        with raw_session(operator, **settings) as (adapter, line):
            sendings = [Sending(adapter, a_reply(number=number)) for number in range(40)]
            waiting = {*range(1, 401)}
            for start in range(0, 400, 100):
                operator.connection.sendall(b"".join(deliver(b"x" * 150, start + n) for n in range(1, 101)))
            submitted = 0
            while waiting or submitted < 40:
                pdu = operator.read()
                if pdu[4:8] == b"\0\0\0\x04":
                    operator.answer(pdu, b"a\0")
                    submitted += 1
                else:
                    assert pdu[4:12] == struct.pack(">2I", 0x80000005, 0)
                    waiting.remove(int.from_bytes(pdu[12:16], "big"))
            assert all(sending.result() for sending in sendings)
            assert len(line.found) == 400
    finally:
        operator.close()


def test_a_stranger_is_not_spoken_to(certificate, tmp_path):
    operator = TlsOperator(certificate)

    def accept() -> None:
        with suppress(OSError):
            operator.accept()

    answering = threading.Thread(target=accept)
    answering.start()
    with pytest.raises(Unavailable, match="TLS"):
        make(port=operator.port, tls=True).listen(MemoryLine())
    answering.join()
    operator.close()
    with pytest.raises(Unavailable, match="tls_ca"):
        make(tls=True, tls_ca=str(tmp_path / "none.pem")).listen(MemoryLine())


# --- settings ---


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", ""),
        ("port", 0),
        ("system_id", "x" * 16),
        ("system_id", "lapör"),
        ("system_type", "Ω"),
        ("sender", "08"),
        ("sender", "LAPOR-1708"),
        ("bind_mode", "both"),
        ("default_alphabet", "ucs2"),
        ("codings", {"4": "klingon"}),
        ("codings", {"x": "latin1"}),
        ("tps", 0),
        ("window", 0),
        ("password", Secret("longer than 8")),
        ("unknown", 1),
    ],
)
def test_wrong_settings_are_refused(name, value):
    with pytest.raises(ValidationError):
        make(**{name: value})
