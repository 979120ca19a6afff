"""The identity of a PDU: redeliveries of one message have one key, other messages have other keys."""

from __future__ import annotations

from adapters.sms.smpp.simulator import wire
from adapters.sms.smpp.tests.support import CITIZEN, MOMENT, PARTS, deliver, key
from gateway.ports import Envelope

WINDOW = 300  # seconds; the default


def status_at(seconds: int) -> Envelope:
    return key(deliver(b"STATUS", sequence=9), MOMENT + seconds)


def test_a_redelivery_in_the_same_window_has_the_same_key() -> None:
    first = key(deliver(b"STATUS", sequence=1), MOMENT)
    assert [status_at(0).key, status_at(1).key] == [first.key, first.key]


def test_a_redelivery_in_the_next_window_has_the_key_as_its_former_key() -> None:
    later = status_at(WINDOW)
    assert later.former_key == status_at(0).key
    assert later.former_key != later.key


def test_the_same_text_after_two_windows_is_another_message() -> None:
    late = status_at(2 * WINDOW)
    assert status_at(0).key not in (late.key, late.former_key)


def test_the_sender_is_the_citizen() -> None:
    assert status_at(0).sender == CITIZEN


def test_two_messages_have_two_keys() -> None:
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


def with_id(text: bytes, own_id: bytes, sequence: int = 1, esm_class: int = 0) -> Envelope:
    """Return the envelope of a message to which the operator gave an id."""
    pdu = deliver(text, sequence, tlvs=wire.tlv(0x1400, own_id), esm_class=esm_class)
    return key(pdu, message_id_tlv=0x1400)


def test_an_operators_own_id_is_the_key() -> None:
    assert with_id(b"STATUS", b"a1") == with_id(b"STATUS", b"a1", 5)
    assert with_id(b"STATUS", b"a1").key != with_id(b"STATUS", b"a2").key


def test_parts_with_one_id_have_two_keys() -> None:
    """Some operators give all parts of a message one id."""
    first, second = (with_id(bytes([5, 0, 3, 1, 2, number]) + b"x", b"a1", esm_class=0x40) for number in (1, 2))
    assert first.key != second.key


def test_without_the_operators_id_the_content_is_the_key() -> None:
    """Some operators forget the id."""
    assert key(deliver(b"STATUS"), message_id_tlv=0x1400) == key(deliver(b"STATUS"))
    assert key(deliver(b"STATUS"), message_id_tlv=0x1400).former_key
