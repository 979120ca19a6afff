"""Which PDUs are one message."""

from __future__ import annotations

from typing import Any

from adapters.sms.smpp.simulator import wire
from adapters.sms.smpp.tests.support import CITIZEN, MOMENT, PARTS, deliver, key


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
