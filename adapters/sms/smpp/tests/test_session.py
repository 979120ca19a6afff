"""The held connection to an operator."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from adapters.sms.smpp.adapter import SmppSms
from adapters.sms.smpp.link import Link, Patience
from adapters.sms.smpp.session import MOST_AT_ONCE, MOST_WAITING
from adapters.sms.smpp.simulator import wire
from adapters.sms.smpp.tests.support import (
    CITIZEN,
    PASSWORD,
    MemoryLine,
    Sending,
    a_reply,
    connected,
    deliver,
    listening,
    make,
    raw_session,
    receipt_pdu,
    translated,
)
from gateway.domain.errors import (
    Overloaded,
    Unavailable,
    Untranslatable,
)


@pytest.mark.parametrize(
    ("ids", "taken", "text", "tlv"),
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
def test_ids_meet_however_they_are_written(operator, ids, taken, text, tlv):
    with raw_session(operator, receipt_ids=ids) as (adapter, _):
        sending = Sending(adapter, a_reply())
        operator.answer(operator.read(), taken.encode() + b"\0")
        receipt = sending.result()
    tlvs = (wire.tlv(0x001E, tlv.encode()) if tlv else b"") + wire.tlv(0x0427, b"\x02")
    event = translated(receipt_pdu(f"id:{text} stat:DELIVRD" if text else "", tlvs), receipt_ids=ids)
    assert event.external_id == receipt.external_id


def test_binds_as_configured(operator):
    with listening(make(port=operator.port, system_type="VMA", address_range="^1708"), again=False) as line:
        pdu = operator.bind()
        line.wait_for(lambda: line.ups == 1)
        assert pdu[4:8] == b"\0\0\0\x09"
        assert pdu[16:] == b"lapor\0sandi123\0VMA\0\x34\0\0^1708\0"
        line.ending = True
        operator.answer(operator.read(6))


@pytest.mark.parametrize(
    ("status", "says"), [(0x0E, "password"), (0x0F, "system_id"), (0x05, "already"), (0x99, "0x99")]
)
def test_refused_bind_says_what_to_correct(operator, status, says):
    adapter, line = make(port=operator.port), MemoryLine()
    answering = threading.Thread(target=operator.bind, args=(status,))
    answering.start()
    with pytest.raises(Unavailable, match=says) as caught:
        adapter.listen(line)
    answering.join()
    assert PASSWORD not in str(caught.value)
    assert line.ups == 0


def test_nobody_there():
    with pytest.raises(Unavailable, match="cannot be reached"):
        make().listen(MemoryLine())
    with pytest.raises(Unavailable, match="not connected"):
        make().reply(a_reply())


def test_a_mute_operator_is_given_up(operator):
    adapter = make(port=operator.port, timeout=0.2)
    with pytest.raises(Unavailable, match="bind_transceiver"):
        adapter.listen(MemoryLine())


def test_nothing_is_answered_before_it_is_durable(smsc):
    with connected(smsc) as (_, line):
        line.open.clear()
        answers: list[Any] = []
        citizen = threading.Thread(target=lambda: answers.append(smsc.send(CITIZEN, "Jalan rusak")))
        citizen.start()
        citizen.join(0.3)
        assert citizen.is_alive()
        assert not answers
        line.open.set()
        citizen.join(5)
        assert answers == [(200, None)]
    (event,) = make().translate(line.raws()[0])
    assert event.text == "Jalan rusak"


def test_what_comes_meanwhile_is_one_transaction(operator):
    with raw_session(operator) as (_, line):
        line.open.clear()
        operator.connection.sendall(deliver(b"0", 100))
        assert line.committing.wait(5)
        for number in range(1, 65):
            operator.connection.sendall(deliver(b"%d" % number, 100 + number))
        operator.until_read()  # alive while the database is not
        line.open.set()
        answers = [struct.unpack(">3I", operator.read()[4:16]) for _ in range(65)]
        assert answers == [(0x80000005, 0, 100 + number) for number in range(65)]
        assert [len(batch) for batch in line.batches] == [1, 64]


def test_what_cannot_be_stored_stays_with_the_operator(smsc):
    with connected(smsc) as (_, line):
        line.error = Overloaded("disk full")
        assert smsc.send(CITIZEN, "Jalan rusak") == (503, "SMPP error 0x64")
        line.error = None
        assert smsc.send(CITIZEN, "Jalan rusak").status == 200
    assert line.found[0].envelope.key in (line.found[1].envelope.key, line.found[1].envelope.former_key)


def test_the_unreadable_is_stored_too(operator):
    with raw_session(operator) as (adapter, line):
        operator.connection.sendall(wire.pdu(wire.DELIVER_SM, 3, b"broken"))
        assert operator.read()[4:16] == struct.pack(">3I", 0x80000005, 0, 3)
        with pytest.raises(Untranslatable):
            adapter.translate(line.raws()[0])


def test_pdus_in_single_bytes(operator):
    with raw_session(operator) as (_, line):
        for byte in deliver(b"Jalan") + deliver(b"rusak", 8):
            operator.connection.sendall(bytes([byte]))
        assert [operator.read()[12:16] for _ in range(2)] == [b"\0\0\0\x07", b"\0\0\0\x08"]
        assert line.found[0].payload == deliver(b"Jalan")


def test_data_sm_alerts_and_strangers(operator):
    with raw_session(operator):
        operator.connection.sendall(wire.pdu(0x102, 1, b"\0\0a\0\0\0b\0"))  # alert_notification: no answer
        operator.connection.sendall(wire.pdu(0x103, 2, b"\0\1\1628\0\0\x001708\0\0\0\0"))
        assert operator.read() == wire.pdu(0x80000103, 2, b"\0")
        operator.connection.sendall(wire.pdu(0x21, 3))  # submit_multi, to us
        assert operator.read() == wire.pdu(0x80000000, 3, status=0x03)
        operator.connection.sendall(wire.pdu(0x80000004, 99, b"x\0"))  # an answer to nothing


@pytest.mark.parametrize("length", [0, 15, 70_001, 0xFFFFFFFF])
def test_what_is_not_smpp_ends_the_session(operator, length):
    with raw_session(operator) as (_, line):
        operator.connection.sendall(struct.pack(">4I", length, 5, 0, 1))
        assert operator.read() == wire.pdu(0x80000000, 0, status=0x02)
        assert operator.read() == b""
    assert "not SMPP" in str(line.failures)


def test_the_peers_unbind_is_answered_after_what_came_before(operator):
    with raw_session(operator) as (_, line):
        operator.connection.sendall(deliver(b"Jalan") + wire.pdu(wire.UNBIND, 8))
        assert operator.read()[4:8] == b"\x80\0\0\x05"
        assert operator.read() == wire.pdu(0x80000006, 8)
        assert operator.read() == b""
    assert "ended the session" in str(line.failures)


def test_a_dead_session_is_noticed(operator):
    with raw_session(operator, enquire_every=0.1, timeout=1) as (adapter, line):
        operator.answer(operator.read(wire.ENQUIRE_LINK))
        operator.answer(operator.read(wire.ENQUIRE_LINK))
        assert operator.read(wire.ENQUIRE_LINK)  # and no answer
        assert operator.read() == b""
        with pytest.raises(Unavailable):
            adapter.reply(a_reply())
    assert "enquire_link" in str(line.failures)


def test_at_the_end_what_is_under_way_is_finished(operator):
    with raw_session(operator) as (adapter, line):
        sending = Sending(adapter, a_reply())
        submitted = operator.read(wire.SUBMIT_SM)
        line.open.clear()
        operator.connection.sendall(deliver(b"taken", 1))
        assert line.committing.wait(5)
        operator.connection.sendall(deliver(b"late", 2))
        operator.until_read()
        line.ending = True
        line.open.set()
        assert operator.read()[8:16] == struct.pack(">2I", 0, 1)
        assert operator.read()[8:16] == struct.pack(">2I", 0x64, 2), "not taken: the operator keeps it"
        operator.answer(submitted, b"a1\0")
        assert sending.result().external_id == "a1"
        unbind = operator.read()
        assert unbind[4:8] == b"\0\0\0\x06"
        operator.answer(unbind)
        assert operator.read() == b""
    assert not line.failures


@contextmanager
def ends_quickly(adapter: SmppSms) -> Iterator[MemoryLine]:
    """Let an adapter listen that has all the patience there is; at the end of the block it must return all the same."""
    with listening(adapter, again=False) as line:
        yield line
        line.ending = True
        began = time.monotonic()
    assert time.monotonic() - began < 1.8, "a process that ends has 2 seconds for its connections"


def test_the_end_does_not_wait_for_a_connection():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as stack:
        port = full.getsockname()[1]
        for _ in range(8):  # beyond the backlog nobody is answered, as behind a firewall that says nothing
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        with ends_quickly(make(port=port, timeout=30)) as line:
            time.sleep(0.2)  # it is on its way
            assert not line.failures


@pytest.mark.parametrize("settings", [{}, {"tls": True}, {"bind_mode": "separate"}])
def test_the_end_does_not_wait_for_a_bind(operator, settings):
    with ends_quickly(make(port=operator.port, timeout=30, **settings)) as line:
        operator.accept()
        assert operator.connection.recv(1), "a bind, or the beginning of TLS"
    assert line.ups == 0


def test_the_end_waits_a_second_for_what_is_under_way(operator):
    adapter = make(port=operator.port, timeout=30)
    with ends_quickly(adapter) as line:
        operator.bind()
        line.wait_for(lambda: line.ups == 1)
        sending = Sending(adapter, a_reply())
        assert operator.read(wire.SUBMIT_SM)
    assert operator.read(wire.UNBIND), "it is said, whether or not anybody listens"
    with pytest.raises(Unavailable):
        sending.result()


def test_it_comes_back_after_a_cut(smsc):
    with connected(smsc) as (_, line):
        assert smsc.send(CITIZEN, "satu").status == 200
        smsc.drop()
        line.wait_for(lambda: line.ups == 2)
        assert smsc.send(CITIZEN, "dua").status == 200


@pytest.mark.parametrize(("settings", "sessions"), [({"bind_mode": "separate"}, 2), ({"binds": 3}, 3)])
def test_several_sessions(smsc, settings, sessions):
    with connected(smsc, **settings) as (adapter, line):
        assert smsc.connected == sessions
        assert smsc.send(CITIZEN, "Jalan rusak").status == 200
        adapter.reply(a_reply("Terima kasih"))
        assert smsc.replies_to(CITIZEN) == ["Terima kasih"]
        line.wait_for(lambda: len(line.found) == 2)  # the receipt came the other way


def test_a_flood_beyond_any_window_is_asked_to_wait(operator):
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


def test_an_unbind_that_waits_at_the_end_is_answered(operator):
    with raw_session(operator) as (_, line):
        line.open.clear()
        operator.connection.sendall(deliver(b"taken", 1))
        assert line.committing.wait(5)
        operator.connection.sendall(wire.pdu(wire.UNBIND, 2))
        operator.until_read()
        line.ending = True
        line.open.set()
        assert operator.read()[8:16] == struct.pack(">2I", 0, 1)
        assert operator.read() == wire.pdu(0x80000006, 2)
        assert operator.read() == b"", "and no unbind of ours"
    assert not line.failures


def test_an_operator_that_does_not_read_is_given_up(operator):
    link = Link("127.0.0.1", operator.port, tls=None, patience=Patience(0.2, lambda: False))
    operator.accept()
    with pytest.raises(Unavailable, match="does not read"):
        link.write(bytes(50_000_000))
    for use in (lambda: link.write(b"x"), lambda: link.read(0)):
        with pytest.raises(Unavailable):  # half a PDU is out: nobody could read on
            use()
    link.forget()


def test_an_operator_that_reads_slowly_gets_everything(operator):
    link = Link("127.0.0.1", operator.port, tls=None, patience=Patience(10, lambda: False))
    operator.accept()
    got = []

    def read() -> None:
        while data := operator.connection.recv(1_000_000):
            got.append(len(data))

    reading = threading.Thread(target=read)
    reading.start()
    link.write(bytes(20_000_000))
    link.close()
    link.forget()
    reading.join(10)
    assert sum(got) == 20_000_000
