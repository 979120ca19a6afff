"""The simulated operator, looked at with smpplib's own client, as a gateway of somebody else would."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import smpplib.client
import smpplib.exceptions

from adapters.sms.smpp.adapter import SmppSettings
from adapters.sms.smpp.simulator import FakeSmsc, wire
from gateway.ports import ChannelContext, Secret
from gateway.simulation.simulator import SAMPLES, Simulator, load_samples

CITIZEN = "+6281200000999"
PASSWORD = "sandi123"


@pytest.fixture
def smsc() -> Iterator[FakeSmsc]:
    with FakeSmsc(system_id="lapor", password=PASSWORD, sender="1708", delivery_delay=0.01) as smsc:
        yield smsc


class Gateway:
    """A gateway made of smpplib: keeps what comes, answers with `status`."""

    def __init__(self, smsc: FakeSmsc, password: str = PASSWORD) -> None:
        self.got: list[Any] = []
        self.taken: list[str] = []
        self.status = 0
        self._client = smpplib.client.Client("127.0.0.1", smsc.port, timeout=0.2, allow_unknown_opt_params=True)
        self._client.set_message_received_handler(self._received)
        self._client.set_message_sent_handler(lambda pdu: self.taken.append(pdu.message_id))
        self._client.set_error_pdu_handler(lambda pdu: self.taken.append(f"error {pdu.status:#04x}"))
        self._client.connect()
        try:
            self._client.bind_transceiver(system_id="lapor", password=password)
        except smpplib.exceptions.PDUError:
            self._client.disconnect()
            raise

    def _received(self, pdu: Any) -> int:
        self.got.append(pdu)
        return self.status

    def submit(self, text: bytes, **fields: Any) -> None:
        self._client.send_message(
            source_addr="1708",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr=CITIZEN[1:],
            short_message=text,
            **fields,
        )

    def work_until(self, question: Callable[[], Any], timeout: float = 5) -> Any:
        deadline = time.monotonic() + timeout
        while not (answer := question()):
            assert time.monotonic() < deadline
            self._client.poll()
            time.sleep(0.005)
        return answer

    def close(self) -> None:
        with suppress(smpplib.exceptions.ConnectionError):  # a test cut it
            self._client.unbind()
        self._client.disconnect()


@pytest.fixture
def gateway(smsc: FakeSmsc) -> Iterator[Gateway]:
    made = Gateway(smsc)
    yield made
    made.close()


def in_background(call: Callable[..., Any], *arguments: Any) -> Callable[[], list[Any]]:
    """Run a call on a thread; returns a function that gives its result in a list, empty until it is there."""
    results: list[Any] = []
    threading.Thread(target=lambda: results.append(call(*arguments)), daemon=True).start()
    return lambda: results


def test_bind_and_wrong_password(smsc, gateway):
    assert smsc.connected == 1
    with pytest.raises(smpplib.exceptions.PDUError):
        Gateway(smsc, password="salah")


def test_a_citizen_writes(smsc, gateway):
    sent = in_background(smsc.send, CITIZEN, "Banjir 😭 {x}")
    assert gateway.work_until(sent) == [(200, None)]
    (pdu,) = gateway.got
    assert pdu.source_addr == CITIZEN[1:].encode()
    assert pdu.source_addr_ton == 1
    assert pdu.short_message.decode("utf-16-be") == "Banjir 😭 {x}"


def test_long_messages_are_cut_carelessly(smsc, gateway):
    text = "a" * 152 + "{" + "b" * 60
    sent = in_background(smsc.send, CITIZEN, text)
    gateway.work_until(sent)
    first, second = (pdu.short_message for pdu in gateway.got)
    assert (first[:3], first[4:6], second[4:6]) == (b"\x05\x00\x03", b"\x02\x01", b"\x02\x02")
    assert (first[-1:], second[6:7]) == (b"\x1b", b"("), "the escape and what it escapes are in two parts"


def test_a_refusal_is_told(smsc, gateway):
    gateway.status = 0x64
    sent = in_background(smsc.send, CITIZEN, "x")
    assert gateway.work_until(sent) == [(503, "SMPP error 0x64")]


def test_a_citizen_waits_for_a_gateway():
    with FakeSmsc(system_id="lapor", password=PASSWORD, sender="1708", patience=0.05) as smsc:
        assert smsc.send(CITIZEN, "x") == (None, "no gateway is connected")
    with FakeSmsc(system_id="lapor", password=PASSWORD, sender="1708") as smsc:
        sent = in_background(smsc.send, CITIZEN, "x")
        gateway = Gateway(smsc)
        assert gateway.work_until(sent) == [(200, None)]
        gateway.close()


def test_cut_while_a_citizen_waits(smsc, gateway):
    sent = in_background(smsc.send, CITIZEN, "x")
    while not smsc._connections[0]._pending:
        time.sleep(0.005)
    smsc.drop()
    deadline = time.monotonic() + 5
    while not sent():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert sent() == [(None, "the gateway has gone")]


def test_replies_receipts_and_subscribers(smsc, gateway):
    seen: list[Any] = []
    smsc.subscribe(seen.append)
    gateway.submit(b"Diterima \x1b(1\x1b)", registered_delivery=1)
    gateway.work_until(lambda: gateway.got)
    assert smsc.replies_to(CITIZEN) == ["Diterima {1}"]
    assert seen == [("1708", CITIZEN, "Diterima {1}")]
    (receipt,) = gateway.got
    assert receipt.esm_class == 4
    assert receipt.receipted_message_id == gateway.taken[0]
    assert b"stat:DELIVRD" in receipt.short_message
    assert receipt.message_state == 2


def test_parts_of_a_reply_are_joined(smsc, gateway):
    halves = "Banjir 😭".encode("utf-16-be")
    gateway.submit(b"\x06\x08\x04\x01\x02\x02\x02" + halves[15:], esm_class=0x40, data_coding=8)
    gateway.work_until(lambda: gateway.taken)
    assert smsc.replies_to(CITIZEN) == []
    gateway.submit(b"\x06\x08\x04\x01\x02\x02\x01" + halves[:15], esm_class=0x40, data_coding=8)
    gateway.work_until(lambda: len(gateway.taken) == 2)
    assert smsc.replies_to(CITIZEN) == ["Banjir 😭"]


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("throttle", "0x58"),
        ("queue_full", "0x14"),
        ("server_error", "0x08"),
        ("unauthorized", "0x0a"),
        ("reject:11", "0x0b"),
    ],
)
def test_failures_on_demand(smsc, gateway, how, told):
    smsc.fail(how)
    gateway.submit(b"x")
    gateway.submit(b"y")
    gateway.work_until(lambda: len([one for one in gateway.taken if one is not None]) >= 2)
    assert gateway.taken[0] == f"error {told}"
    assert smsc.replies_to(CITIZEN) == ["y"]


def test_silence_on_demand(smsc, gateway):
    smsc.fail("timeout")
    gateway.submit(b"x")
    gateway.submit(b"y")
    gateway.work_until(lambda: gateway.taken)
    assert smsc.replies_to(CITIZEN) == ["y"]
    with pytest.raises(ValueError, match="unknown failure"):
        smsc.fail("explode")


def test_another_process_asks(smsc, gateway):
    beside = FakeSmsc(system_id="lapor", password=PASSWORD, sender="1708", port=smsc.port)
    gateway.submit(b"Diterima")
    gateway.work_until(lambda: gateway.taken)
    assert beside.replies_elsewhere(CITIZEN) == ["Diterima"]
    sent = in_background(beside.send, CITIZEN, "Jalan rusak")
    assert gateway.work_until(sent) == [(200, None)]
    with pytest.raises(OSError, match="in use"):
        beside.start()


def test_stop_cuts_and_start_takes_the_same_port(smsc, gateway):
    port = smsc.port
    smsc.stop()
    assert smsc.connected == 0
    with pytest.raises((OSError, LookupError, ValueError)):
        smsc.replies_elsewhere(CITIZEN)
    smsc.start()
    assert smsc.port == port


def test_from_settings():
    context = ChannelContext(region="00", channel="sms", webhook_url="")
    given = {"system_id": "lapor", "password": Secret(PASSWORD), "sender": "1708", "port": 17275}
    made = FakeSmsc.from_settings(SmppSettings(host="127.0.0.1", **given), context, deliver_to="http://127.0.0.1:1")
    assert (made.url, made.sender) == ("smpp://127.0.0.1:17275", "1708")
    with pytest.raises(ValueError, match="host"):
        FakeSmsc.from_settings(SmppSettings(host="10.0.0.1", **given), context)


def test_plays_samples():
    smsc, out = FakeSmsc(system_id="lapor", password=PASSWORD, sender="1708", patience=1), io.StringIO()
    with Simulator([smsc], rate=500, out=out) as simulator:
        assert simulator.send_one(CITIZEN, "x") is None, "nobody is connected yet"
        gateway = Gateway(smsc)
        played = in_background(simulator.play)
        (totals,) = gateway.work_until(played)
        assert (totals.sent, totals.accepted) == (len(load_samples(SAMPLES)) + 1, len(load_samples(SAMPLES)))
        gateway.submit(b"Diterima")
        gateway.work_until(lambda: gateway.taken)
        assert simulator.wait_for_reply(CITIZEN, 5) == "Diterima"
        gateway.close()
    assert f"{CITIZEN}: Diterima" in out.getvalue()


def test_simulator_needs_no_adapter():
    code = (
        "import sys, adapters.sms.smpp.simulator; "
        "sys.exit([m for m in sys.modules if m.startswith('adapters.sms.smpp.') and '.simulator' not in m] or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[4])


def test_its_receipts_are_those_of_the_standard():
    body = wire.receipt(CITIZEN, "1708", "a1")
    assert body.startswith(b"\0\1\x016281200000999\0\0\x001708\0\4")


def test_a_simulator_that_ends_waits_for_no_gateway():
    company = FakeSmsc(system_id="lapor", password=PASSWORD, sender="1708", patience=60)
    simulator = Simulator([company], rate=1000, out=io.StringIO()).start()
    player = threading.Thread(target=simulator.play, args=(2**31,))
    player.start()
    time.sleep(0.1)  # citizens write, and nobody is connected
    began = time.monotonic()
    simulator.stop()
    player.join(5)
    assert not player.is_alive()
    assert time.monotonic() - began < 1
