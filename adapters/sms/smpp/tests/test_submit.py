"""Submitting replies to an operator."""

from __future__ import annotations

import pytest

from adapters.sms import gsm
from adapters.sms.smpp.alphabets import ALPHABETS
from adapters.sms.smpp.settings import DefaultAlphabet
from adapters.sms.smpp.simulator import FakeSmsc, wire
from adapters.sms.smpp.submit import Composer, Pace
from adapters.sms.smpp.tests.support import (
    CITIZEN,
    EMOJI,
    LONG,
    ManualClock,
    RawOperator,
    RunningClock,
    Sending,
    a_reply,
    connected,
    deliver,
    raw_session,
    receipt_of,
)
from gateway.domain.errors import GatewayError, Rejected, Throttled, Unavailable
from gateway.domain.events import Delivery


def compose(text: str, *, default: DefaultAlphabet = "gsm7", number: int = 1) -> list[tuple[int, bytes]]:
    """Return data_coding and short_message of each submit_sm of a reply."""
    composer = Composer(fields={}, default=default, long_messages="udh16")
    pieces: list[tuple[int, bytes]] = []
    for fields in composer.compose(a_reply(text, number=number)):
        coding, content = fields["data_coding"], fields["short_message"]
        assert isinstance(coding, int)
        assert isinstance(content, bytes)
        pieces.append((coding, content))
    return pieces


@pytest.mark.parametrize("form", ["udh16", "udh8", "sar", "payload"])
@pytest.mark.parametrize("text", ["Laporan diterima", LONG, EMOJI, "`§` " * 60, "{" * 400, "a" * 151 + "{" + "b" * 60])
def test_long_replies_arrive_whole(smsc: FakeSmsc, form: str, text: str) -> None:
    with connected(smsc, long_messages=form, receipts=False) as (adapter, _):
        receipt = adapter.reply(a_reply(text))
        assert smsc.replies_to(CITIZEN) == [gsm.to_gsm7(text)]
        assert 1 + len(receipt.others) == (adapter.parts(text) if form != "payload" else 1)


@pytest.mark.parametrize(("text", "coding", "alphabet", "longest"), [(LONG, 0, "gsm7", 159), (EMOJI, 8, "ucs2", 140)])
def test_each_part_is_readable_by_itself(text: str, coding: int, alphabet: str, longest: int) -> None:
    pieces = compose(text)
    assert {data_coding for data_coding, _ in pieces} == {coding}
    assert max(len(content) for _, content in pieces) <= longest
    assert "".join(ALPHABETS[alphabet](content[7:]) for _, content in pieces) == text


def test_a_second_attempt_completes_the_first() -> None:
    first = compose(LONG, number=0x12345)
    assert first == compose(LONG, number=0x12345)
    assert first[0][1][:6] == b"\x06\x08\x04\x23\x45\x03"


def test_another_reply_has_another_reference() -> None:
    (_, first), (_, other) = (compose(LONG, number=number)[0] for number in (0x12345, 2))
    assert first[:7] != other[:7]


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
def test_replies_in_the_operators_alphabet(default: DefaultAlphabet, text: str, coding: int, raw: bytes) -> None:
    assert compose(text, default=default) == [(coding, raw)]


def test_submit_sm_to_the_byte(operator: RawOperator) -> None:
    with raw_session(operator, sender_ton=3, service_type="CMT") as (adapter, _):
        sending = Sending(adapter, a_reply("Halo"))
        pdu = operator.read(wire.SUBMIT_SM)
        operator.answer(pdu, b"a\0")
        sending.result()
    assert pdu[16:] == b"CMT\0\3\x001708\0\1\x016281200000999\0\0\0\0\0\0\1\0\0\0\4Halo"


def test_a_reply_that_is_taken_without_an_id_is_sent(operator: RawOperator) -> None:
    """It must not be sent again, so its own id stands for the operator's."""
    with raw_session(operator) as (adapter, _):
        sending = Sending(adapter, a_reply())
        operator.answer(operator.read(wire.SUBMIT_SM), b"\0")
        assert sending.result().external_id == a_reply().id.hex


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ("queue_full", Throttled, "full"),
        ("throttle", Throttled, "fewer"),
        ("reject:1", Rejected, "long"),
        ("reject:102", Rejected, "refused"),
        ("reject:10", Unavailable, "sender"),
        ("reject:81", Unavailable, "recipient_npi"),
        ("reject:192", Unavailable, "long_messages"),
        ("reject:1234", Unavailable, "0x4d2"),  # unknown: it may pass
        ("drop", Unavailable, "closed"),
    ],
)
def test_a_refusal_says_how_to_correct_it(smsc: FakeSmsc, how: str, error: type[GatewayError], words: str) -> None:
    with connected(smsc) as (adapter, _):
        smsc.fail(how)
        with pytest.raises(error, match=words) as caught:
            adapter.reply(a_reply())
        assert type(caught.value) is error


@pytest.mark.parametrize("to", ["TELKOMSEL", "", "+", "12", "0" * 21, "+62 812", "٠٨١٢٠٠"])
def test_an_address_that_is_no_number_gets_no_reply(smsc: FakeSmsc, to: str) -> None:
    with connected(smsc) as (adapter, _), pytest.raises(Rejected):
        adapter.reply(a_reply(to=to))


def test_answers_are_matched_out_of_order_and_during_a_commit(operator: RawOperator) -> None:
    with raw_session(operator, window=3, timeout=5) as (adapter, line):
        line.open.clear()
        operator.connection.sendall(deliver(b"Jalan"))
        sendings = [Sending(adapter, a_reply(f"balasan {number}", number=number)) for number in range(3)]
        pdus = [operator.read(wire.SUBMIT_SM) for _ in sendings]
        for pdu in reversed(pdus):
            operator.answer(pdu, pdu[-9:] + b"\0")
        assert [sending.result().external_id for sending in sendings] == ["balasan 0", "balasan 1", "balasan 2"]


def test_at_most_the_window_waits_for_an_answer(operator: RawOperator) -> None:
    clock = RunningClock()
    with raw_session(operator, clock=clock, window=2) as (adapter, _):
        sendings = [Sending(adapter, a_reply(number=number)) for number in range(2)]
        pdus = [operator.read(wire.SUBMIT_SM) for _ in sendings]
        sendings.append(Sending(adapter, a_reply(number=2)))
        clock.wait_for_looks(2, sendings[2])  # it has asked for a turn, and waits
        operator.until_read()
        operator.answer(pdus[0], b"a\0")
        operator.answer(pdus[1], b"a\0")
        operator.answer(operator.read(wire.SUBMIT_SM), b"a\0")
        assert [sending.result().external_id for sending in sendings] == ["a"] * 3


def test_a_full_window_is_throttled(operator: RawOperator, clock: ManualClock) -> None:
    with raw_session(operator, clock=clock, window=1, tps=0.01, timeout=2) as (adapter, _):
        first = Sending(adapter, a_reply(LONG))
        operator.answer(operator.read(wire.SUBMIT_SM), b"a\0")
        # The second part waits for its pace, 100 seconds, and meanwhile the first reply keeps its turn.
        second = Sending(adapter, a_reply())
        clock.wait_for_looks(2, second)
        clock.advance(3)
        with pytest.raises(Throttled, match="wait"):
            second.result()
    with pytest.raises(Unavailable):
        first.result()


def test_generic_nack_is_an_answer(operator: RawOperator) -> None:
    with raw_session(operator) as (adapter, _):
        sending = Sending(adapter, a_reply())
        pdu = operator.read(wire.SUBMIT_SM)
        operator.connection.sendall(wire.pdu(wire.GENERIC_NACK, int.from_bytes(pdu[12:16], "big"), status=0x03))
        with pytest.raises(Unavailable, match="submit_sm"):
            sending.result()


def test_the_pace_gives_each_message_its_time(clock: ManualClock) -> None:
    pace = Pace(10, patience=1, clock=clock)
    waits = [wait for count in (1, 3, 5, 1, 1) for wait in pace.reserve(count)]
    assert waits == pytest.approx([number / 10 for number in range(11)])


def test_the_pace_refuses_a_wait_beyond_its_patience(clock: ManualClock) -> None:
    pace = Pace(10, patience=1, clock=clock)
    pace.reserve(11)
    with pytest.raises(Throttled) as caught:
        pace.reserve(1)
    assert caught.value.retry_after == pytest.approx(1.1)


def test_the_pace_is_free_again_after_a_pause(clock: ManualClock) -> None:
    pace = Pace(10, patience=1, clock=clock)
    pace.reserve(11)
    clock.advance(100)
    assert pace.reserve(2) == pytest.approx([0, 0.1])


def test_no_faster_than_tps(smsc: FakeSmsc) -> None:
    clock = RunningClock()
    with connected(smsc, clock=clock, tps=20, receipts=False) as (adapter, _):
        began = clock.now()
        for number in range(5):
            adapter.reply(a_reply(number=number))
        assert clock.now() - began == pytest.approx(4 / 20)
    assert len(smsc.replies_to(CITIZEN)) == 5


def test_receipts_of_all_parts_are_matched(smsc: FakeSmsc) -> None:
    with connected(smsc) as (adapter, line):
        receipt = adapter.reply(a_reply(LONG))
        line.wait_for(lambda: len(line.messages) == 3)
        events = [receipt_of(message.payload) for message in line.messages]
    assert {event.external_id for event in events} == {receipt.external_id, *receipt.others}
    assert {event.state for event in events} == {Delivery.DELIVERED}
