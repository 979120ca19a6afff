"""The end of a process: work in progress is finished, and nothing is waited for longer than a second."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from adapters.sms.smpp.patience import Patience
from adapters.sms.smpp.simulator import wire
from adapters.sms.smpp.tests.support import (
    ManualClock,
    MemoryLine,
    RawOperator,
    Sending,
    a_reply,
    deliver,
    listening,
    make,
    raw_session,
)
from gateway.domain.errors import Unavailable


def test_at_the_end_work_in_progress_is_finished(operator: RawOperator) -> None:
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
        assert operator.read()[8:16] == struct.pack(">2I", 0x64, 2), "not stored: the operator keeps it"
        operator.answer(submitted, b"a1\0")
        assert sending.result().external_id == "a1"
        unbind = operator.read()
        assert unbind[4:8] == b"\0\0\0\x06"
        operator.answer(unbind)
        assert operator.read() == b""
    assert not line.failures


def test_an_unbind_that_waits_at_the_end_is_answered(operator: RawOperator) -> None:
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
        assert operator.read() == b"", "the gateway sends no unbind of its own"
    assert not line.failures


def seconds_waited(patience: Patience, clock: ManualClock) -> float:
    """Wait for something that never comes; return the seconds of the clock."""
    began = clock.now()
    for wait in patience.waits():
        clock.advance(wait)
    return clock.now() - began


def test_each_wait_has_the_whole_timeout(clock: ManualClock) -> None:
    patience = Patience(30, lambda: False, clock)
    assert [seconds_waited(patience, clock) for _ in range(2)] == pytest.approx([30, 30])


def test_at_the_end_all_waits_together_have_a_second(clock: ManualClock) -> None:
    patience = Patience(30, lambda: True, clock)
    assert [seconds_waited(patience, clock) for _ in range(2)] == pytest.approx([1, 0])


def test_an_end_during_a_wait_is_noticed(clock: ManualClock) -> None:
    end = clock.now() + 5
    patience = Patience(30, lambda: clock.now() >= end, clock)
    assert seconds_waited(patience, clock) == pytest.approx(6, abs=0.2)


@contextmanager
def ends_quickly(operator_port: int, clock: ManualClock, **settings: object) -> Iterator[MemoryLine]:
    """Let an adapter with a long timeout listen; after the block it must return within two seconds of the clock.

    The clock stands still in the block. After it, a tenth of a second passes at each look.
    """
    with listening(make(port=operator_port, clock=clock, timeout=30, **settings), again=False) as line:
        yield line
        line.ending = True
        began = clock.now()
        clock.per_look = 0.1
    assert clock.now() - began < 2, "a process that ends has 2 seconds for its connections"


def test_the_end_does_not_wait_for_a_connection(clock: ManualClock) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as stack:
        port = full.getsockname()[1]
        for _ in range(8):  # beyond the backlog nobody is answered, as behind a firewall that drops packets
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        with ends_quickly(port, clock) as line:
            clock.wait_for_looks(3)  # it is connecting
            assert not line.failures


@pytest.mark.parametrize("settings", [{}, {"tls": True}, {"bind_mode": "separate"}])
def test_the_end_does_not_wait_for_a_bind(
    operator: RawOperator, clock: ManualClock, settings: dict[str, object]
) -> None:
    with ends_quickly(operator.port, clock, **settings) as line:
        operator.accept()
        assert operator.connection.recv(1), "a bind, or the beginning of TLS"
    assert line.ups == 0


def test_the_end_waits_a_second_for_a_reply_in_progress(operator: RawOperator, clock: ManualClock) -> None:
    adapter = make(port=operator.port, clock=clock, timeout=30)
    with listening(adapter, again=False) as line:
        operator.bind()
        line.wait_for(lambda: line.ups == 1)
        sending = Sending(adapter, a_reply())
        assert operator.read(wire.SUBMIT_SM)
        line.ending = True
        began = clock.now()
        clock.per_look = 0.1
    assert clock.now() - began < 2
    assert operator.read(wire.UNBIND), "sent although nobody answers"
    with pytest.raises(Unavailable):
        sending.result()
