"""The invented citizens."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import dataclass

import pytest

from gateway.simulation.simulator import SAMPLES, Simulator, load_samples


@dataclass
class Message:
    from_: str
    to: str
    body: str


@dataclass
class Sent:
    status: int | None
    error: str | None = None


class Echo:
    """A provider whose gateway answers every message at once with the same text."""

    sender, url = "1708", "http://127.0.0.1:17080"

    def __init__(self, status=200, fault=None, delay=0.0):
        self.status, self.fault, self.delay = status, fault, delay
        self.sent, self.listeners, self.running = [], [], False

    def start(self):
        if self.fault == "port":
            raise OSError(98, "port taken")
        self.running = True

    def hang_up(self):
        pass

    def stop(self):
        self.running = False

    def subscribe(self, listener):
        self.listeners.append(listener)

    def send(self, from_, text, media=()):
        if self.fault == "bug":
            raise RuntimeError("bug")
        time.sleep(self.delay)
        self.sent.append((from_, text, tuple(media)))
        for listener in self.listeners:
            listener(Message(self.sender, from_, f"Diterima: {text}"))
        return Sent(self.status, None if self.status else "ConnectionError")


def test_samples_are_invented_and_varied():
    samples = load_samples(SAMPLES)
    assert len(samples) >= 30
    assert all(sample.from_.startswith("+62812000") and len(sample.from_) == 14 for sample in samples)
    words = {sample.text.partition(" ")[0].strip(":,").upper() for sample in samples}
    assert {"PRINGSEWU", "KENDARI", "LUBUKLINGGAU", "SUMBAR", "LAMPUNG"} <= words
    assert {"ANONIM", "RAHASIA", "BANTUAN", "STATUS", "BATAL"} <= words
    assert any(sample.media and not sample.text for sample in samples)
    assert any(len(sample.text) > 480 for sample in samples)
    assert any(ord(char) > 0xFFFF for sample in samples for char in sample.text)


def test_plays_all_samples_and_shows_both_sides():
    provider, out = Echo(), io.StringIO()
    with Simulator([provider], rate=2000, out=out) as simulator:
        totals = simulator.play()
    samples = load_samples(SAMPLES)
    assert (totals.sent, totals.accepted, totals.refused, totals.replies) == (
        len(samples),
        len(samples),
        0,
        len(samples),
    )
    shown = out.getvalue()
    assert "+6281200000111 -> 1708: BANTUAN" in shown
    assert "1708 => +6281200000111: Diterima: BANTUAN" in shown
    assert "+6281200000118 -> 1708:  [image/jpeg]" in shown
    assert not provider.running


def test_one_senders_messages_stay_in_order():
    provider = Echo(delay=0.001)
    with Simulator([provider], rate=100_000, out=io.StringIO()) as simulator:
        simulator.play(200)
    wanted = [s.text for s in load_samples(SAMPLES) if s.from_ == "+6281200000101"]
    got = [text for number, text, _ in provider.sent if number == "+6281200000101"]
    assert got == [wanted[n % len(wanted)] for n in range(len(got))]
    assert len(provider.sent) == 200


def test_rate_is_kept():
    provider, begun = Echo(), time.monotonic()
    with Simulator([provider], rate=50, out=io.StringIO()) as simulator:
        simulator.play(11)
    assert time.monotonic() - begun >= 0.2


def test_several_providers_take_turns():
    providers = [Echo(), Echo()]
    with Simulator(providers, rate=2000, out=io.StringIO()) as simulator:
        simulator.play(10)
    assert [len(provider.sent) for provider in providers] == [5, 5]


def test_refusals_are_shown_and_counted():
    out = io.StringIO()
    with Simulator([Echo(status=503), Echo(status=None)], rate=2000, out=out) as simulator:
        totals = simulator.play(2)
    assert (totals.accepted, totals.refused) == (0, 2)
    assert "answered 503" in out.getvalue()
    assert "answered ConnectionError" in out.getvalue()


def test_send_one_and_wait_for_replies():
    with Simulator([Echo()], out=io.StringIO()) as simulator:
        assert simulator.send_one("+6281200000150", "STATUS") == 200
        assert simulator.send_one("+6281200000150", "BANTUAN") == 200
        assert simulator.wait_for_reply("+6281200000150") == "Diterima: STATUS"
        assert simulator.wait_for_reply("+6281200000150") == "Diterima: BANTUAN"
        assert simulator.wait_for_reply("+6281200000150", timeout=0.05) is None


def test_stop_ends_a_long_play():
    provider = Echo(delay=0.01)
    simulator = Simulator([provider], rate=1000, out=io.StringIO()).start()
    player = threading.Thread(target=simulator.play, args=(2**31,))
    player.start()
    while not provider.sent:
        time.sleep(0.01)
    simulator.stop()
    player.join(5)
    assert not player.is_alive()


def test_faults_of_the_simulator_are_raised():
    simulator = Simulator([Echo(fault="bug")], rate=1000, out=io.StringIO())
    with simulator, pytest.raises(RuntimeError, match="bug"):
        simulator.play(1)


def test_on_a_terminal_the_conversation_stands_out_of_the_logs():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    with Simulator([Echo()], rate=100, out=out) as simulator:
        simulator.send_one("+6281200000001", "jalan rusak")
    assert out.getvalue().startswith("\x1b[1;36m")
    assert out.getvalue().endswith("\x1b[0m\n")


def test_a_taken_port_stops_what_was_started():
    first = Echo()
    with pytest.raises(OSError, match="taken"):
        Simulator([first, Echo(fault="port")], out=io.StringIO()).start()
    assert not first.running


@pytest.mark.parametrize("text", ["", "message = 1", "[[message]]\nfrom = 'x'", "message = []", "not toml at all ="])
def test_bad_samples_are_named(tmp_path, text):
    path = tmp_path / "salah.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"salah\.toml"):
        load_samples(path)


def test_needs_providers_and_a_rate():
    for providers, rate in (([], 1), ([Echo()], 0)):
        with pytest.raises(ValueError, match="at least one provider"):
            Simulator(providers, rate=rate)
