"""How a reply is submitted to an operator."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from adapters.sms import gsm
from adapters.sms.smpp.pdu import ALPHABETS
from adapters.sms.smpp.simulator import wire
from adapters.sms.smpp.submit import Pace
from adapters.sms.smpp.tests.support import (
    CITIZEN,
    EMOJI,
    LONG,
    Sending,
    a_reply,
    connected,
    deliver,
    make,
    raw_session,
)
from gateway.domain.errors import (
    Rejected,
    Throttled,
    Unavailable,
)
from gateway.domain.events import Delivery


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
