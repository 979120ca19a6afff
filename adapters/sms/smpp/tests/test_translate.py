"""Translating stored PDUs."""

from __future__ import annotations

import struct

import pytest
from smpplib import smpp as smpplib_smpp

from adapters.sms.smpp.alphabets import ALPHABETS
from adapters.sms.smpp.arrivals import MOST_BYTES, Arrivals
from adapters.sms.smpp.pdu import ALPHANUMERIC, MOST_TLVS, OK, QUEUE_FULL, read
from adapters.sms.smpp.simulator import wire
from adapters.sms.smpp.tests.support import CITIZEN, PARTS, deliver, make, message_of, part_of, payload, translated
from gateway.domain.errors import Untranslatable
from gateway.domain.events import Ignored
from gateway.pipeline.interpret.enrich import phone

SOURCE_TON = 17  # its position in a PDU without service_type


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
def test_alphabets(coding: int, raw: bytes, text: str) -> None:
    assert message_of(deliver(raw, coding=coding)).text == text
    assert message_of(payload(raw, coding=coding)).text == text


@pytest.mark.parametrize("coding", [2, 4, 9, 0x14, 0x3F, 0xF4, 0xFF])
def test_an_unknown_alphabet_is_dead(coding: int) -> None:
    with pytest.raises(Untranslatable, match=f"data_coding {coding} "):
        message_of(deliver(b"abc", coding=coding))


@pytest.mark.parametrize("coding", [2, 4, 9, 0x14, 0x3F, 0xF4, 0xFF])
def test_an_alphabet_can_be_configured(coding: int) -> None:
    assert message_of(deliver(b"abc", coding=coding), codings={str(coding): "latin1"}).text == "abc"


@pytest.mark.parametrize(
    ("default", "raw", "text"),
    [
        ("latin1", b"caf\xe9", "café"),
        ("utf8", b"caf\xc3\xa9", "café"),
        ("gsm7", b"caf\x05", "café"),
        ("ascii", b"caf?", "caf?"),
    ],
)
def test_default_alphabet(default: str, raw: bytes, text: str) -> None:
    assert message_of(deliver(raw), default_alphabet=default).text == text


@pytest.mark.parametrize("name", ALPHABETS)
def test_every_alphabet_reads_every_byte(name: str) -> None:
    ALPHABETS[name](bytes(range(256))).encode("utf-8")


@pytest.mark.parametrize("source", [CITIZEN, "0812000", "TELKOMSEL", "112"])
def test_senders(source: str) -> None:
    assert message_of(deliver(b"x", source=source)).sender == source


def alphanumeric(source: str) -> bytes:
    """Return a message whose sender is marked as a name."""
    pdu = bytearray(deliver(b"STATUS 10000004", source=source))
    pdu[SOURCE_TON] = ALPHANUMERIC
    return bytes(pdu)


def test_a_name_of_digits_does_not_pass_for_the_telephone_with_that_number() -> None:
    """A bulk sender chooses its name; else it could read, add to and withdraw the complaint of another person."""
    sender = message_of(alphanumeric(CITIZEN.lstrip("+"))).sender
    assert CITIZEN.lstrip("+") in sender
    assert phone(sender) is None


def test_a_name_of_letters_stays_as_it_is() -> None:
    assert message_of(alphanumeric("TELKOMSEL")).sender == "TELKOMSEL"


def test_the_most_tlvs_are_read() -> None:
    assert message_of(deliver(b"x", tlvs=wire.tlv(0x1400, b"") * MOST_TLVS)).text == "x"


def test_a_flood_of_tlvs_is_a_dead_letter() -> None:
    flood = deliver(b"x", tlvs=wire.tlv(0x1400, b"") * (MOST_TLVS + 1))
    with pytest.raises(Untranslatable):
        message_of(flood)
    assert make().fetched(flood, 0.0).envelope.sender is None


def test_large_pdus_that_wait_are_bounded_in_bytes() -> None:
    arrivals, large = Arrivals[str](), bytes(65_000)
    count = MOST_BYTES // len(large)
    assert {arrivals.put("session", large) for _ in range(count)} == {OK}
    assert arrivals.put("session", large) == QUEUE_FULL
    while arrivals.take(0):
        pass
    assert arrivals.put("session", large) == OK


@pytest.mark.parametrize("source", ["1708", "+1708"], ids=["national", "marked as international"])
def test_our_own_number_is_no_citizen(source: str) -> None:
    assert translated(deliver(b"x", source=source), Ignored) == Ignored(why="our own message")


def test_data_sm() -> None:
    body = b"\0\x01\x016281200\0\0\x001708\0\x00\x00\x08" + wire.tlv(0x0424, "é".encode("utf-16-be"))
    message = message_of(wire.pdu(0x103, 1, body))
    assert (message.sender, message.recipient) == ("+6281200", "1708")
    assert message.text == "é"


WITH_TLV = deliver(b"Jalan rusak", tlvs=wire.tlv(0x1400, b"operator"))
# At these lengths the PDU is whole again, without its last parameter.
WHOLE = {WITH_TLV: len(WITH_TLV) - len(wire.tlv(0x1400, b"operator")), payload(b"Jalan"): len(payload(b"Jalan")) - 9}


@pytest.mark.parametrize("pdu", WHOLE)
def test_a_pdu_that_is_cut_off_is_dead(pdu: bytes) -> None:
    for length in {*range(16, len(pdu))} - {WHOLE[pdu]}:
        with pytest.raises(Untranslatable):
            message_of(struct.pack(">I", length) + pdu[4:length])


@pytest.mark.parametrize("pdu", WHOLE)
def test_a_whole_pdu_is_a_message(pdu: bytes) -> None:
    assert message_of(pdu)


@pytest.mark.parametrize("pdu", WHOLE)
def test_a_pdu_that_is_too_long_is_dead(pdu: bytes) -> None:
    with pytest.raises(Untranslatable):
        message_of(pdu + b"\0")


@pytest.mark.parametrize(
    "pdu", [deliver(b"Jalan", coding=3, esm_class=0x01), payload(b"x" * 400), deliver(b"", source="TELKOMSEL")]
)
def test_agrees_with_smpplib(pdu: bytes) -> None:
    """Compare only PDUs that smpplib reads correctly."""
    by_adapter, by_smpplib = read(pdu), smpplib_smpp.parse_pdu(pdu, sequence=0)
    assert by_adapter.source.lstrip("+") == by_smpplib.source_addr.decode()
    assert by_adapter.data_coding == by_smpplib.data_coding
    assert by_adapter.content == (by_smpplib.short_message or by_smpplib.message_payload or b"")


@pytest.mark.parametrize("form", PARTS)
def test_parts(form: str) -> None:
    part = part_of(PARTS[form](b"Jalan"))
    assert (part.number, part.total) == (2, 3)
    assert part.sender == CITIZEN


def test_parts_of_other_messages_have_other_groups() -> None:
    pdus = [*(form(b"x") for name, form in PARTS.items() if name not in ("udh among others", "payload"))]
    pdus += [
        deliver(b"\x05\x00\x03\x2b\x03\x02x", esm_class=0x40),
        deliver(b"\x05\x00\x03\x2a\x04\x02x", esm_class=0x40),
        deliver(b"\x05\x00\x03\x2a\x03\x02x", esm_class=0x40, source="+6281200000998"),
        wire.pdu(5, 1, wire.deliver(CITIZEN, "1709", b"\x05\x00\x03\x2a\x03\x02x", esm_class=0x40)),
    ]
    assert len({part_of(pdu).group for pdu in pdus}) == len(pdus)


IMPOSSIBLE_PARTS = pytest.mark.parametrize("numbers", [b"\x03\x00", b"\x03\x04", b"\x01\x01", b"\x00\x00"])


@IMPOSSIBLE_PARTS
def test_an_impossible_part_in_a_header_is_a_whole_message(numbers: bytes) -> None:
    assert message_of(deliver(b"\x05\x00\x03\x2a" + numbers + b"Jalan", esm_class=0x40)).text == "Jalan"


@IMPOSSIBLE_PARTS
def test_an_impossible_part_in_tlvs_is_a_whole_message(numbers: bytes) -> None:
    tlvs = wire.tlv(0x20C, b"\0\1") + wire.tlv(0x20E, numbers[:1]) + wire.tlv(0x20F, numbers[1:])
    assert message_of(deliver(b"Jalan", tlvs=tlvs)).text == "Jalan"
