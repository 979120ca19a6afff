"""Delivery receipts of an operator."""

from __future__ import annotations

import pytest

from adapters.sms.smpp.simulator import wire
from adapters.sms.smpp.tests.support import MOMENT, deliver, key, message_of, receipt_of, receipt_pdu, translated
from gateway.domain.errors import Untranslatable
from gateway.domain.events import Delivery, DeliveryReceipt, Ignored

ID_AND_STATE = wire.tlv(0x001E, b"1A\0") + wire.tlv(0x0427, b"\x05")


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
def test_receipts(text: str, state: str, error: str | None) -> None:
    assert receipt_of(receipt_pdu(text)) == DeliveryReceipt(external_id="1a", state=Delivery(state), error=error)


@pytest.mark.parametrize("esm_class", [0x04, 0x00, 0x20], ids=["marked", "not marked", "intermediate"])
def test_receipts_by_tlv(esm_class: int) -> None:
    receipt = receipt_of(receipt_pdu("", ID_AND_STATE, esm_class=esm_class))
    assert receipt == DeliveryReceipt(external_id="1A", state=Delivery.FAILED)


def test_the_id_of_the_tlv_comes_before_that_of_the_text() -> None:
    assert receipt_of(receipt_pdu("id:7 stat:DELIVRD", wire.tlv(0x001E, b"1A\0"))).external_id == "1A"


def test_a_citizen_cannot_write_a_receipt() -> None:
    assert message_of(deliver(b"id:1a stat:DELIVRD err:000"))


def test_an_unknown_state_is_ignored() -> None:
    assert translated(receipt_pdu("id:1a stat:UNKNOWN"), Ignored)


@pytest.mark.parametrize("text", ["stat:DELIVRD", "id:1a", "", "terkirim"])
def test_a_receipt_without_id_or_state_is_dead(text: str) -> None:
    with pytest.raises(Untranslatable):
        receipt_of(receipt_pdu(text))


def test_receipts_of_one_message_have_a_key_per_state() -> None:
    sent, delivered = (key(receipt_pdu(f"id:1a stat:{word} text:x")) for word in ("ENROUTE", "DELIVRD"))
    assert sent.key != delivered.key
    assert sent.sender == delivered.sender


def test_a_receipt_has_the_same_key_at_any_time() -> None:
    early, late = (key(receipt_pdu("id:1a stat:DELIVRD"), moment) for moment in (MOMENT, MOMENT + 9999))
    assert early == late
