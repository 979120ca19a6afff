"""The invented citizens."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.domain.errors import Misconfigured
from gateway.simulation.citizens import SAMPLES, Sample, load_samples
from gateway.simulation.roles import Message
from gateway.simulation.simulator import Pace, Simulator
from gateway.testing.fixtures import WaitFor

SENDER = "+6281200000150"


@dataclass(frozen=True)
class Text:
    """A reply of the gateway."""

    from_: str
    to: str
    body: str


@dataclass(frozen=True)
class Answer:
    """The gateway's answer to a message."""

    status: int | None
    error: str | None = None


class Echo:
    """A provider whose gateway answers every message at once with the same text."""

    sender = "1708"
    url = "http://127.0.0.1:17080"
    setting = "api_base"

    def __init__(self, status: int | None = 200, fault: str = "") -> None:
        self.status = status
        self.fault = fault  # "port": cannot listen; "bug": cannot send
        self.sent: list[tuple[str, str]] = []
        self.listeners: list[Callable[[Message], None]] = []
        self.running = False

    def start(self) -> None:
        if self.fault == "port":
            raise OSError(98, "port taken")
        self.running = True

    def hang_up(self) -> None:
        """Do nothing: nothing waits."""

    def stop(self) -> None:
        self.running = False

    def subscribe(self, listener: Callable[[Message], None]) -> None:
        self.listeners.append(listener)

    def replies_elsewhere(self, number: str) -> Sequence[str]:
        return []

    def send(self, from_: str, text: str, media: Sequence[tuple[str, bytes]] = ()) -> Answer:
        if self.fault == "bug":
            raise RuntimeError("bug")
        self.sent.append((from_, text))
        for listener in self.listeners:
            listener(Text(self.sender, from_, f"Diterima: {text}"))
        return Answer(self.status, None if self.status else "ConnectionError")


class Terminal(io.StringIO):
    """An output that is a terminal."""

    def isatty(self) -> bool:
        return True


def simulator(*providers: Echo, rate: float = 2000, out: io.StringIO | None = None) -> Simulator:
    return Simulator(providers, rate=rate, out=out or io.StringIO())


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return load_samples(SAMPLES)


# --- samples ---


def test_there_are_many_samples(samples: list[Sample]) -> None:
    assert len(samples) >= 30


def test_the_numbers_of_samples_are_invented(samples: list[Sample]) -> None:
    assert all(sample.from_.startswith("+62812000") and len(sample.from_) == 14 for sample in samples)


@pytest.mark.parametrize("region", ["PRINGSEWU", "KENDARI", "LUBUKLINGGAU", "SUMBAR", "LAMPUNG"])
def test_samples_name_every_region(samples: list[Sample], region: str) -> None:
    assert region in first_words(samples)


@pytest.mark.parametrize("command", ["ANONIM", "RAHASIA", "BANTUAN", "STATUS", "BATAL"])
def test_samples_use_every_command(samples: list[Sample], command: str) -> None:
    assert command in first_words(samples)


def test_a_sample_is_a_picture_without_text(samples: list[Sample]) -> None:
    assert any(sample.media and not sample.text for sample in samples)


def test_a_sample_is_longer_than_three_parts(samples: list[Sample]) -> None:
    assert any(len(sample.text) > 480 for sample in samples)


def test_a_sample_has_an_emoji(samples: list[Sample]) -> None:
    assert any(ord(char) > 0xFFFF for sample in samples for char in sample.text)


def first_words(samples: list[Sample]) -> set[str]:
    return {sample.text.partition(" ")[0].strip(":,").upper() for sample in samples}


@pytest.mark.parametrize("text", ["", "message = 1", "[[message]]\nfrom = 'x'", "message = []", "not toml at all ="])
def test_a_bad_samples_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "salah.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(Misconfigured, match=r"salah\.toml"):
        load_samples(path)


# --- playing ---


def test_all_samples_are_played_and_counted(samples: list[Sample]) -> None:
    number = len(samples)
    with simulator(Echo()) as playing:
        totals = playing.play()
    assert (totals.sent, totals.accepted, totals.refused, totals.replies) == (number, number, 0, number)


@pytest.mark.parametrize(
    "line",
    [
        "+6281200000111 -> 1708: BANTUAN",
        "1708 => +6281200000111: Diterima: BANTUAN",
        "+6281200000118 -> 1708:  [image/jpeg]",
    ],
)
def test_both_sides_of_the_conversation_are_shown(line: str) -> None:
    out = io.StringIO()
    with simulator(Echo(), out=out) as playing:
        playing.play()
    assert line in out.getvalue()


def test_the_providers_stop_with_the_simulator() -> None:
    provider = Echo()
    with simulator(provider):
        assert provider.running
    assert not provider.running


def test_one_senders_messages_stay_in_order(samples: list[Sample]) -> None:
    provider = Echo()
    with simulator(provider, rate=100_000) as playing:
        playing.play(200)
    wanted = [sample.text for sample in samples if sample.from_ == "+6281200000101"]
    sent = [text for number, text in provider.sent if number == "+6281200000101"]
    assert sent == [wanted[number % len(wanted)] for number in range(len(sent))]


def test_samples_are_repeated_up_to_the_count() -> None:
    provider = Echo()
    with simulator(provider, rate=100_000) as playing:
        playing.play(200)
    assert len(provider.sent) == 200


def test_the_rate_is_kept() -> None:
    pace = Pace(50, clock=lambda: 1000.0)
    waits = [pace.wait() for _ in range(11)]
    assert waits[0] == 0
    assert waits[-1] == pytest.approx(10 / 50)


def test_a_late_message_does_not_delay_the_next_ones() -> None:
    now = [0.0]
    pace = Pace(1, clock=lambda: now[0])
    pace.wait()
    now[0] = 1.75
    assert pace.wait() == 0
    assert pace.wait() == pytest.approx(0.25)


def test_several_providers_take_turns() -> None:
    providers = [Echo(), Echo()]
    with simulator(*providers) as playing:
        playing.play(10)
    assert [len(provider.sent) for provider in providers] == [5, 5]


def test_refusals_are_counted() -> None:
    with simulator(Echo(status=503), Echo(status=None)) as playing:
        totals = playing.play(2)
    assert (totals.accepted, totals.refused) == (0, 2)


@pytest.mark.parametrize(("status", "shown"), [(503, "answered 503"), (None, "answered ConnectionError")])
def test_a_refusal_is_shown(status: int | None, shown: str) -> None:
    out = io.StringIO()
    with simulator(Echo(status=status), out=out) as playing:
        playing.play(1)
    assert shown in out.getvalue()


def test_one_message_is_sent_and_its_status_returned() -> None:
    with simulator(Echo()) as playing:
        assert playing.send_one(SENDER, "STATUS") == 200


def test_replies_are_returned_in_their_order_and_each_once() -> None:
    with simulator(Echo()) as playing:
        for text in ("STATUS", "BANTUAN"):
            playing.send_one(SENDER, text)
        assert playing.wait_for_reply(SENDER) == "Diterima: STATUS"
        assert playing.wait_for_reply(SENDER) == "Diterima: BANTUAN"
        assert playing.wait_for_reply(SENDER, timeout=0.05) is None


def test_stop_ends_a_long_play(wait_for: WaitFor) -> None:
    provider = Echo()
    playing = simulator(provider, rate=1000).start()
    player = threading.Thread(target=playing.play, args=(2**31,))
    player.start()
    wait_for(lambda: provider.sent)
    playing.stop()
    player.join(5)
    assert not player.is_alive()


def test_a_fault_of_the_simulator_is_raised() -> None:
    with simulator(Echo(fault="bug")) as playing, pytest.raises(RuntimeError, match="bug"):
        playing.play(1)


def test_on_a_terminal_the_conversation_stands_out_of_the_logs() -> None:
    out = Terminal()
    with simulator(Echo(), out=out) as playing:
        playing.send_one("+6281200000001", "jalan rusak")
    assert out.getvalue().startswith("\x1b[1;36m")
    assert out.getvalue().endswith("\x1b[0m\n")


def test_a_taken_port_stops_the_providers_that_were_started() -> None:
    first = Echo()
    with pytest.raises(OSError, match="taken"):
        simulator(first, Echo(fault="port")).start()
    assert not first.running


@pytest.mark.parametrize(("providers", "rate"), [([], 1), ([Echo()], 0)])
def test_a_simulator_needs_a_provider_and_a_rate(providers: list[Echo], rate: float) -> None:
    with pytest.raises(ValueError, match="at least one provider"):
        Simulator(providers, rate=rate)
