"""Replies to an SMSC on the npm package smpp."""

from __future__ import annotations

import pytest

from adapters.sms import gsm
from gateway.domain.errors import Throttled, Unavailable
from gateway.domain.events import DeliveryReceipt
from tests.peers.support import CITIZEN, JALAN, JAWA, a_reply, listening, make, read

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("form", ["udh16", "udh8", "sar", "payload"])
@pytest.mark.parametrize("text", ["Laporan diterima: 12345678", "tick ` and § and {x}", JALAN, JAWA])
def test_replies(smsc, line, form, text):
    made = make(smsc.port, long_messages=form, receipts=False)
    with listening(made, line, smsc):
        receipt = made.reply(a_reply(text))
        got = [smsc.wait("submitted") for _ in range(1 + len(receipt.others))]
    assert {(one["from"], one["to"]) for one in got} == {("1708", CITIZEN[1:])}
    assert "".join(one["text"] for one in got) == gsm.to_gsm7(text)
    # Read by itself, no part may show half a character: a decoder would have put U+FFFD or a blank there.
    assert len(got) == (1 if form == "payload" else made.parts(text))
    if len(got) > 1 and form == "sar":
        assert [one["sar"] for one in got] == [[0x1708, len(got), number] for number in range(1, len(got) + 1)]
    elif len(got) > 1:
        head = {"udh16": "08041708", "udh8": "000308"}[form]
        assert [one["udh"] for one in got] == [[f"{head}{len(got):02x}{n:02x}"] for n in range(1, len(got) + 1)]


@pytest.mark.parametrize(
    ("ids", "mode"),
    [
        ("same", {"ids": 16, "receiptIds": 16, "receiptTlvs": True}),
        ("hex-then-decimal", {"ids": 16, "receiptIds": 10, "receiptTlvs": False}),
        ("hex-then-decimal", {"ids": 16, "receiptIds": 10, "receiptTlvs": True}),
        ("decimal-then-hex", {"ids": 10, "receiptIds": 16, "receiptTlvs": False}),
    ],
)
def test_receipts_meet_their_replies(smsc, line, ids, mode):
    made = make(smsc.port, receipt_ids=ids)
    smsc.wish("mode", set=mode)
    with listening(made, line, smsc):
        receipt = made.reply(a_reply(JALAN))
        for _ in range(1 + len(receipt.others)):
            assert smsc.wait("receipted")["status"] == 0
    events = read(made, line.raws())
    assert all(isinstance(event, DeliveryReceipt) for event in events)
    assert {event.external_id for event in events} == {receipt.external_id, *receipt.others}


def test_throttled_then_taken(smsc, adapter):
    smsc.wish("mode", set={"throttle": 1})
    smsc.wish("enquire")
    smsc.wait("alive")  # it has heard both
    with pytest.raises(Throttled):
        adapter.reply(a_reply("x"))
    assert adapter.reply(a_reply("x")).external_id


def test_no_answer_is_unavailable(smsc, line):
    made = make(smsc.port, timeout=0.3)
    with listening(made, line, smsc):
        smsc.wish("mode", set={"deaf": True})
        smsc.wish("enquire")
        smsc.wait("alive")
        with pytest.raises(Unavailable, match="submit_sm"):
            made.reply(a_reply("x"))
