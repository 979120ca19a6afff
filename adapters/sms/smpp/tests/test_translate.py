"""What a stored PDU becomes."""

from __future__ import annotations

import struct

import pytest
from smpplib import smpp as smpplib_smpp

from adapters.sms.smpp.pdu import ALPHABETS, ALPHANUMERIC, MOST_TLVS, read
from adapters.sms.smpp.session import MOST_BYTES, OK, QUEUE_FULL, Arrivals
from adapters.sms.smpp.simulator import wire
from adapters.sms.smpp.tests.support import CITIZEN, PARTS, deliver, make, payload, translated
from gateway.domain.errors import (
    Untranslatable,
)
from gateway.domain.events import Ignored, MessagePart
from gateway.pipeline.interpret.enrich import phone

SOURCE_TON = 17  # where it stands in a PDU with no service_type


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
