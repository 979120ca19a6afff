"""The simulated operator, tested with smpplib's own client: it stands for the gateway of another project."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
import smpplib.client
import smpplib.exceptions

from adapters.sms.smpp.settings import SmppSettings
from adapters.sms.smpp.simulator import FakeSmsc, wire
from adapters.sms.smpp.simulator.smsc import Sent
from adapters.sms.smpp.tests.support import CITIZEN, CONTEXT, PASSWORD
from gateway.ports import Secret
from gateway.simulation.citizens import SAMPLES, load_samples
from gateway.simulation.simulator import Simulator

T = TypeVar("T")


class Pdu(Protocol):
    """A PDU as smpplib reads it."""

    source_addr: bytes
    source_addr_ton: int
    short_message: bytes
    esm_class: int
    receipted_message_id: bytes
    message_state: int


class Gateway:
    """A gateway made of smpplib: keeps each PDU that comes and answers it with `status`."""

    def __init__(self, smsc: FakeSmsc, password: str = PASSWORD) -> None:
        self.received: list[Pdu] = []
        self.answers: list[bytes | str | None] = []  # ids, or errors
        self.status = 0
        self._client = smpplib.client.Client("127.0.0.1", smsc.port, timeout=0.2, allow_unknown_opt_params=True)
        self._client.set_message_received_handler(self._receive)
        self._client.set_message_sent_handler(lambda pdu: self.answers.append(pdu.message_id))
        self._client.set_error_pdu_handler(lambda pdu: self.answers.append(f"error {pdu.status:#04x}"))
        self._client.connect()
        try:
            self._client.bind_transceiver(system_id="lapor", password=password)
        except smpplib.exceptions.PDUError:
            self._client.disconnect()
            raise

    def _receive(self, pdu: Pdu) -> int:
        self.received.append(pdu)
        return self.status

    def submit(self, text: bytes, **fields: int) -> None:
        self._client.send_message(
            source_addr="1708",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr=CITIZEN[1:],
            short_message=text,
            **fields,
        )

    def work_until(self, condition: Callable[[], object]) -> None:
        """Take what comes until the condition holds; a test that hangs ends by pytest's timeout."""
        pause = threading.Event()
        while not condition():
            self._client.poll()
            pause.wait(0.005)

    def result(self, future: Future[T]) -> T:
        """Take what comes until the future has its result."""
        self.work_until(future.done)
        return future.result()

    def close(self) -> None:
        with suppress(smpplib.exceptions.ConnectionError):  # a test cut the connection
            self._client.unbind()
        self._client.disconnect()


@pytest.fixture
def gateway(smsc: FakeSmsc) -> Iterator[Gateway]:
    gateway = Gateway(smsc)
    yield gateway
    gateway.close()


def in_background(call: Callable[[], T]) -> Future[T]:
    """Run a call on a thread."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as exc:  # noqa: BLE001 - the test that waits for the result raises it
            future.set_exception(exc)

    threading.Thread(target=run, daemon=True).start()
    return future


def test_a_gateway_is_bound(smsc: FakeSmsc, gateway: Gateway) -> None:
    assert smsc.connected == 1


def test_a_wrong_password_is_refused(smsc: FakeSmsc) -> None:
    with pytest.raises(smpplib.exceptions.PDUError):
        Gateway(smsc, password="salah")


def test_a_citizen_writes(smsc: FakeSmsc, gateway: Gateway) -> None:
    assert gateway.result(in_background(lambda: smsc.send(CITIZEN, "Banjir 😭 {x}"))) == (200, None)
    (pdu,) = gateway.received
    assert (pdu.source_addr, pdu.source_addr_ton) == (CITIZEN[1:].encode(), 1)
    assert pdu.short_message.decode("utf-16-be") == "Banjir 😭 {x}"


def test_long_messages_are_cut_carelessly(smsc: FakeSmsc, gateway: Gateway) -> None:
    gateway.result(in_background(lambda: smsc.send(CITIZEN, "a" * 152 + "{" + "b" * 60)))
    first, second = (pdu.short_message for pdu in gateway.received)
    assert (first[:3], first[4:6], second[4:6]) == (b"\x05\x00\x03", b"\x02\x01", b"\x02\x02")
    assert (first[-1:], second[6:7]) == (b"\x1b", b"("), "the escape and its character are in two parts"


def test_a_refusal_is_reported(smsc: FakeSmsc, gateway: Gateway) -> None:
    gateway.status = 0x64
    assert gateway.result(in_background(lambda: smsc.send(CITIZEN, "x"))) == (503, "SMPP error 0x64")


def test_without_a_gateway_a_citizen_gets_no_answer() -> None:
    with FakeSmsc(system_id="lapor", password=PASSWORD, sender="1708", patience=0) as smsc:
        assert smsc.send(CITIZEN, "x") == (None, "no gateway is connected")


def test_a_citizen_waits_for_a_gateway(smsc: FakeSmsc) -> None:
    sending = in_background(lambda: smsc.send(CITIZEN, "x"))
    gateway = Gateway(smsc)
    assert gateway.result(sending) == (200, None)
    gateway.close()


def test_a_cut_ends_the_wait_for_an_answer(smsc: FakeSmsc) -> None:
    with socket.create_connection(("127.0.0.1", smsc.port), 5) as connection:
        connection.sendall(wire.pdu(wire.BIND_TRANSCEIVER, 1, b"lapor\0" + PASSWORD.encode() + b"\0\0\x34\0\0\0"))
        assert connection.recv(100)
        sending = in_background(lambda: smsc.send(CITIZEN, "x"))
        assert connection.recv(16)[4:8] == b"\0\0\0\5"  # a deliver_sm, which gets no answer
        smsc.drop()
        assert sending.result(5) == (None, "the gateway has gone")


def test_a_reply_arrives(smsc: FakeSmsc, gateway: Gateway) -> None:
    replies: list[tuple[str, str, str]] = []
    smsc.subscribe(replies.append)
    gateway.submit(b"Diterima \x1b(1\x1b)")
    gateway.work_until(lambda: gateway.answers)
    assert smsc.replies_to(CITIZEN) == ["Diterima {1}"]
    assert replies == [("1708", CITIZEN, "Diterima {1}")]


def test_a_receipt_is_sent_on_demand(smsc: FakeSmsc, gateway: Gateway) -> None:
    gateway.submit(b"Diterima", registered_delivery=1)
    gateway.work_until(lambda: gateway.received)
    (receipt,) = gateway.received
    assert receipt.esm_class == 4
    assert receipt.receipted_message_id == gateway.answers[0]
    assert b"stat:DELIVRD" in receipt.short_message
    assert receipt.message_state == 2


def test_parts_of_a_reply_are_joined(smsc: FakeSmsc, gateway: Gateway) -> None:
    octets = "Banjir 😭".encode("utf-16-be")
    gateway.submit(b"\x06\x08\x04\x01\x02\x02\x02" + octets[15:], esm_class=0x40, data_coding=8)
    gateway.work_until(lambda: gateway.answers)
    assert smsc.replies_to(CITIZEN) == []
    gateway.submit(b"\x06\x08\x04\x01\x02\x02\x01" + octets[:15], esm_class=0x40, data_coding=8)
    gateway.work_until(lambda: len(gateway.answers) == 2)
    assert smsc.replies_to(CITIZEN) == ["Banjir 😭"]


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ("throttle", "0x58"),
        ("queue_full", "0x14"),
        ("server_error", "0x08"),
        ("unauthorized", "0x0a"),
        ("reject:11", "0x0b"),
    ],
)
def test_failures_on_demand(smsc: FakeSmsc, gateway: Gateway, how: str, status: str) -> None:
    smsc.fail(how)
    gateway.submit(b"x")
    gateway.submit(b"y")
    gateway.work_until(lambda: len([answer for answer in gateway.answers if answer is not None]) >= 2)
    assert gateway.answers[0] == f"error {status}"
    assert smsc.replies_to(CITIZEN) == ["y"]


def test_silence_on_demand(smsc: FakeSmsc, gateway: Gateway) -> None:
    smsc.fail("timeout")
    gateway.submit(b"x")
    gateway.submit(b"y")
    gateway.work_until(lambda: gateway.answers)
    assert smsc.replies_to(CITIZEN) == ["y"]


def test_an_unknown_failure_is_refused(smsc: FakeSmsc) -> None:
    with pytest.raises(ValueError, match="unknown failure"):
        smsc.fail("explode")


@pytest.fixture
def beside(smsc: FakeSmsc) -> FakeSmsc:
    """Return the simulator of another process, which finds the port taken."""
    return FakeSmsc(system_id="lapor", password=PASSWORD, sender="1708", port=smsc.port)


def test_another_process_reads_the_replies(gateway: Gateway, beside: FakeSmsc) -> None:
    gateway.submit(b"Diterima")
    gateway.work_until(lambda: gateway.answers)
    assert beside.replies_elsewhere(CITIZEN) == ["Diterima"]


def test_another_process_sends_a_message(gateway: Gateway, beside: FakeSmsc) -> None:
    assert gateway.result(in_background(lambda: beside.send(CITIZEN, "Jalan rusak"))) == (200, None)


def test_another_process_cannot_listen_on_the_port(beside: FakeSmsc) -> None:
    with pytest.raises(OSError, match="in use"):
        beside.start()


def test_a_stop_cuts_the_connections(smsc: FakeSmsc, gateway: Gateway) -> None:
    smsc.stop()
    assert smsc.connected == 0
    with pytest.raises((OSError, LookupError, ValueError)):
        smsc.replies_elsewhere(CITIZEN)


def test_after_a_stop_it_takes_the_same_port(smsc: FakeSmsc) -> None:
    port = smsc.port
    smsc.stop()
    smsc.start()
    assert smsc.port == port


def settings(host: str) -> SmppSettings:
    return SmppSettings(host=host, system_id="lapor", password=Secret(PASSWORD), sender="1708", port=17275)


def test_from_settings() -> None:
    smsc = FakeSmsc.from_settings(settings("127.0.0.1"), CONTEXT, deliver_to="http://127.0.0.1:1")
    assert (smsc.url, smsc.sender) == ("smpp://127.0.0.1:17275", "1708")


def test_a_channel_of_a_real_operator_is_refused() -> None:
    with pytest.raises(ValueError, match="host"):
        FakeSmsc.from_settings(settings("10.0.0.1"), CONTEXT)


def test_plays_samples() -> None:
    smsc, out = FakeSmsc(system_id="lapor", password=PASSWORD, sender="1708", patience=1), io.StringIO()
    with Simulator([smsc], rate=500, out=out) as simulator:
        assert simulator.send_one(CITIZEN, "x") is None, "nobody is connected yet"
        gateway = Gateway(smsc)
        totals = gateway.result(in_background(simulator.play))
        assert (totals.sent, totals.accepted) == (len(load_samples(SAMPLES)) + 1, len(load_samples(SAMPLES)))
        gateway.submit(b"Diterima")
        gateway.work_until(lambda: gateway.answers)
        assert simulator.wait_for_reply(CITIZEN, 5) == "Diterima"
        gateway.close()
    assert f"{CITIZEN}: Diterima" in out.getvalue()


def test_simulator_needs_no_adapter() -> None:
    code = (
        "import sys, adapters.sms.smpp.simulator; "
        "sys.exit([m for m in sys.modules if m.startswith('adapters.sms.smpp.') and '.simulator' not in m] or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[4])


def test_its_receipts_are_those_of_the_standard() -> None:
    body = wire.receipt(CITIZEN, "1708", "a1")
    assert body.startswith(b"\0\1\x016281200000999\0\0\x001708\0\4")


class AnnouncedSmsc(FakeSmsc):
    """A simulated operator that says when the first citizen writes."""

    def __init__(self) -> None:
        super().__init__(system_id="lapor", password=PASSWORD, sender="1708", patience=3600)
        self.written = threading.Event()

    def send(self, from_: str, text: str, media: Sequence[tuple[str, bytes]] = ()) -> Sent:
        self.written.set()
        return super().send(from_, text, media)


def test_a_simulator_that_ends_waits_for_no_gateway() -> None:
    smsc = AnnouncedSmsc()
    simulator = Simulator([smsc], rate=1000, out=io.StringIO()).start()
    player = threading.Thread(target=simulator.play, args=(2**31,))
    player.start()
    assert smsc.written.wait(5)  # citizens write, and nobody is connected
    simulator.stop()
    player.join(10)
    assert not player.is_alive()
