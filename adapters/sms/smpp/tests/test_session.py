"""The held connection to an operator: binding, receiving, storing before answering."""

from __future__ import annotations

import struct
import threading

import pytest

from adapters.sms.smpp.arrivals import MOST_AT_ONCE, MOST_WAITING
from adapters.sms.smpp.simulator import FakeSmsc, wire
from adapters.sms.smpp.tests.support import (
    CITIZEN,
    PASSWORD,
    ManualClock,
    MemoryLine,
    RawOperator,
    Sending,
    a_reply,
    connected,
    deliver,
    listening,
    make,
    message_of,
    raw_session,
    receipt_of,
    receipt_pdu,
)
from gateway.domain.errors import Overloaded, Unavailable, Untranslatable


@pytest.mark.parametrize(
    ("ids", "in_answer", "in_text", "in_tlv"),
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
def test_ids_match_in_every_form(
    operator: RawOperator, ids: str, in_answer: str, in_text: str | None, in_tlv: str | None
) -> None:
    with raw_session(operator, receipt_ids=ids) as (adapter, _):
        sending = Sending(adapter, a_reply())
        operator.answer(operator.read(), in_answer.encode() + b"\0")
        receipt = sending.result()
    tlvs = (wire.tlv(0x001E, in_tlv.encode()) if in_tlv else b"") + wire.tlv(0x0427, b"\x02")
    pdu = receipt_pdu(f"id:{in_text} stat:DELIVRD" if in_text else "", tlvs)
    assert receipt_of(pdu, receipt_ids=ids).external_id == receipt.external_id


def test_binds_as_configured(operator: RawOperator) -> None:
    with listening(make(port=operator.port, system_type="VMA", address_range="^1708"), again=False) as line:
        pdu = operator.bind()
        line.wait_for(lambda: line.ups == 1)
        assert pdu[4:8] == b"\0\0\0\x09"
        assert pdu[16:] == b"lapor\0sandi123\0VMA\0\x34\0\0^1708\0"
        line.ending = True
        operator.answer(operator.read(6))


@pytest.mark.parametrize(
    ("status", "words"), [(0x0E, "password"), (0x0F, "system_id"), (0x05, "already"), (0x99, "0x99")]
)
def test_a_refused_bind_names_the_setting_to_correct(operator: RawOperator, status: int, words: str) -> None:
    line = MemoryLine()
    answering = threading.Thread(target=operator.bind, args=(status,))
    answering.start()
    with pytest.raises(Unavailable, match=words) as caught:
        make(port=operator.port).listen(line)
    answering.join()
    assert PASSWORD not in str(caught.value)
    assert line.ups == 0


def test_an_operator_that_is_away_is_reported() -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        make().listen(MemoryLine())


def test_without_a_connection_no_reply_is_sent() -> None:
    with pytest.raises(Unavailable, match="not connected"):
        make().reply(a_reply())


def test_an_operator_that_does_not_answer_the_bind_is_given_up(operator: RawOperator, clock: ManualClock) -> None:
    clock.per_look = 0.5
    with pytest.raises(Unavailable, match="bind_transceiver"):
        make(port=operator.port, clock=clock).listen(MemoryLine())


def test_nothing_is_answered_before_it_is_durable(operator: RawOperator) -> None:
    with raw_session(operator) as (_, line):
        line.open.clear()
        operator.connection.sendall(deliver(b"Jalan rusak", 3))
        assert line.committing.wait(5)
        operator.until_read()
        line.open.set()
        assert operator.read()[4:16] == struct.pack(">3I", 0x80000005, 0, 3)
    (message,) = line.messages
    assert message_of(message.payload).text == "Jalan rusak"


def test_messages_that_come_during_a_commit_are_stored_in_one_transaction(operator: RawOperator) -> None:
    with raw_session(operator) as (_, line):
        line.open.clear()
        operator.connection.sendall(deliver(b"0", 100))
        assert line.committing.wait(5)
        for number in range(1, 65):
            operator.connection.sendall(deliver(b"%d" % number, 100 + number))
        operator.until_read()  # the session answers although the database does not
        line.open.set()
        answers = [struct.unpack(">3I", operator.read()[4:16]) for _ in range(65)]
        assert answers == [(0x80000005, 0, 100 + number) for number in range(65)]
        assert [len(batch) for batch in line.batches] == [1, 64]


def test_a_message_that_cannot_be_stored_stays_with_the_operator(smsc: FakeSmsc) -> None:
    with connected(smsc) as (_, line):
        line.error = Overloaded("disk full")
        assert smsc.send(CITIZEN, "Jalan rusak") == (503, "SMPP error 0x64")
        line.error = None
        assert smsc.send(CITIZEN, "Jalan rusak").status == 200
    first, second = (message.envelope for message in line.messages)
    assert first.key in (second.key, second.former_key)


def test_an_unreadable_message_is_stored_too(operator: RawOperator) -> None:
    with raw_session(operator) as (adapter, line):
        operator.connection.sendall(wire.pdu(wire.DELIVER_SM, 3, b"broken"))
        assert operator.read()[4:16] == struct.pack(">3I", 0x80000005, 0, 3)
        with pytest.raises(Untranslatable):
            adapter.translate(line.raws()[0])


def test_pdus_in_single_bytes(operator: RawOperator) -> None:
    with raw_session(operator) as (_, line):
        for byte in deliver(b"Jalan") + deliver(b"rusak", 8):
            operator.connection.sendall(bytes([byte]))
        assert [operator.read()[12:16] for _ in range(2)] == [b"\0\0\0\x07", b"\0\0\0\x08"]
        assert line.messages[0].payload == deliver(b"Jalan")


def test_a_data_sm_is_answered(operator: RawOperator) -> None:
    with raw_session(operator):
        operator.connection.sendall(wire.pdu(0x103, 2, b"\0\1\1628\0\0\x001708\0\0\0\0"))
        assert operator.read() == wire.pdu(0x80000103, 2, b"\0")


def test_a_command_that_we_do_not_serve_is_refused(operator: RawOperator) -> None:
    submit_multi = 0x21
    with raw_session(operator):
        operator.connection.sendall(wire.pdu(submit_multi, 3))
        assert operator.read() == wire.pdu(0x80000000, 3, status=0x03)


@pytest.mark.parametrize(
    "pdu",
    [wire.pdu(0x102, 1, b"\0\0a\0\0\0b\0"), wire.pdu(0x80000004, 99, b"x\0")],
    ids=["alert_notification", "an answer without a request"],
)
def test_some_pdus_have_no_answer(operator: RawOperator, pdu: bytes) -> None:
    with raw_session(operator):
        operator.connection.sendall(pdu)
        operator.until_read()


@pytest.mark.parametrize("length", [0, 15, 70_001, 0xFFFFFFFF])
def test_data_that_is_not_smpp_ends_the_session(operator: RawOperator, length: int) -> None:
    with raw_session(operator) as (_, line):
        operator.connection.sendall(struct.pack(">4I", length, 5, 0, 1))
        assert operator.read() == wire.pdu(0x80000000, 0, status=0x02)
        assert operator.read() == b""
    assert "not SMPP" in str(line.failures)


def test_the_operators_unbind_is_answered_after_the_messages_before_it(operator: RawOperator) -> None:
    with raw_session(operator) as (_, line):
        operator.connection.sendall(deliver(b"Jalan") + wire.pdu(wire.UNBIND, 8))
        assert operator.read()[4:8] == b"\x80\0\0\x05"
        assert operator.read() == wire.pdu(0x80000006, 8)
        assert operator.read() == b""
    assert "ended the session" in str(line.failures)


def test_a_dead_session_is_noticed(operator: RawOperator, clock: ManualClock) -> None:
    with raw_session(operator, clock=clock, enquire_every=30, timeout=10) as (adapter, line):
        for _ in range(2):
            clock.advance(31)
            operator.answer(operator.read(wire.ENQUIRE_LINK))
            operator.until_read()
        clock.advance(31)
        assert operator.read(wire.ENQUIRE_LINK)
        clock.advance(11)  # without an answer
        assert operator.read() == b""
        with pytest.raises(Unavailable):
            adapter.reply(a_reply())
    assert "enquire_link" in str(line.failures)


def test_it_connects_again_after_a_cut(smsc: FakeSmsc) -> None:
    with connected(smsc) as (_, line):
        assert smsc.send(CITIZEN, "satu").status == 200
        smsc.drop()
        line.wait_for(lambda: line.ups == 2)
        assert smsc.send(CITIZEN, "dua").status == 200


@pytest.mark.parametrize(("settings", "sessions"), [({"bind_mode": "separate"}, 2), ({"binds": 3}, 3)])
def test_several_sessions(smsc: FakeSmsc, settings: dict[str, object], sessions: int) -> None:
    with connected(smsc, **settings) as (adapter, line):
        assert smsc.connected == sessions
        assert smsc.send(CITIZEN, "Jalan rusak").status == 200
        adapter.reply(a_reply("Terima kasih"))
        assert smsc.replies_to(CITIZEN) == ["Terima kasih"]
        line.wait_for(lambda: len(line.messages) == 2)  # the second is the receipt


def test_a_flood_beyond_any_window_has_to_wait(operator: RawOperator) -> None:
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
