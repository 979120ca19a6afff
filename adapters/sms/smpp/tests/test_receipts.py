"""Delivery receipts of an operator."""

from __future__ import annotations

import pytest

from adapters.sms.smpp.simulator import wire
from adapters.sms.smpp.tests.support import MOMENT, deliver, key, receipt_pdu, translated
from gateway.domain.errors import (
    Untranslatable,
)
from gateway.domain.events import CitizenMessage, Delivery, DeliveryReceipt, Ignored


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
