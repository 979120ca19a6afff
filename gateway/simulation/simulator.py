"""Send a file of invented messages to a running gateway, and print the messages and replies."""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from gateway.domain.texts import text
from gateway.i18n import Language, localize
from gateway.simulation.citizens import SAMPLES, Sample, load_samples
from gateway.simulation.roles import Message, Outcome, Provider

LANES = 8  # messages sent at once; all messages of one sender are in the same lane, which keeps their order
IN_FLIGHT = 32  # most messages that are being sent or wait for their lane


@dataclass(slots=True)
class Totals:
    """The numbers of messages and replies since the start."""

    sent: int = 0
    accepted: int = 0  # answered 2xx by the gateway
    refused: int = 0  # any other answer, or none
    replies: int = 0


class Pace:
    """The times of messages that are sent at a steady rate. If one message is late, the next ones are not delayed."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin now; `rate` is in messages per second, the clock in seconds."""
        self._clock = clock
        self._step = 1 / rate
        self._due = clock()

    def wait(self) -> float:
        """Return the seconds until the next message is due; 0 if it is late."""
        seconds = max(0.0, self._due - self._clock())
        self._due += self._step
        return seconds


def refusal_text(outcome: Outcome) -> str:
    """Return the gateway's answer to a message that it did not accept: HTTP status and error text, or "nothing"."""
    return " ".join(str(part) for part in (outcome.status, outcome.error) if part) or "nothing"


class Simulator:
    """Send citizens' messages and show the gateway's replies.

    Numbers and texts are invented, so they may be printed; never use it with a provider that has real people.
    """

    def __init__(
        self,
        providers: Sequence[Provider],
        samples: Path | None = None,
        *,
        rate: float = 1.0,
        out: TextIO | None = None,
        language: Language = Language.ENGLISH,
    ) -> None:
        """Prepare; `rate` is in messages per second, `samples` a file instead of the shipped one.

        Raises `ValueError` without a provider and for a rate of 0, `Misconfigured` for a file without samples.
        """
        if rate <= 0 or not providers:
            raise ValueError("a simulator needs at least one provider and a rate above 0")
        self._providers = providers
        self._samples = load_samples(samples or SAMPLES)
        self._rate = rate
        self._out = out or sys.stdout
        self._language = language
        self._totals = Totals()
        self._replies: dict[str, list[str]] = defaultdict(list)
        self._seen: dict[str, int] = defaultdict(int)
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._lanes: list[ThreadPoolExecutor] = []
        self._in_flight = 0
        self._fault: BaseException | None = None
        for provider in providers:
            provider.subscribe(self._replied)

    def start(self) -> Self:
        """Start every provider. Raises `OSError` if a port is taken; its `filename` is the provider's URL."""
        started: list[Provider] = []
        for provider in self._providers:
            try:
                provider.start()
            except OSError as exc:
                for other in started:
                    other.stop()
                raise OSError(exc.errno, exc.strerror, provider.url) from exc
            started.append(provider)
        self._lanes = [ThreadPoolExecutor(1, f"citizens-{number}") for number in range(LANES)]
        return self

    def stop(self) -> None:
        """Stop playing, wait for messages in flight, and stop the providers."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
        for provider in self._providers:
            provider.hang_up()
        for lane in self._lanes:
            lane.shutdown(cancel_futures=True)
        for provider in self._providers:
            provider.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def totals(self) -> Totals:
        """Return the counts so far."""
        return self._totals

    def play(self, count: int | None = None) -> Totals:
        """Send samples in their order, again and again, until `count` were sent or `stop` is called; return the totals.

        Without `count` every sample is sent once. Message n goes to provider n modulo the number of providers. Raises
        the error of a message if the simulator itself has a fault.
        """
        total = len(self._samples) if count is None else count
        pace = Pace(self._rate)
        for number in range(total):
            if self._stopping.wait(pace.wait()) or not self._wait_until_below(IN_FLIGHT):
                break
            sample = self._samples[number % len(self._samples)]
            provider = self._providers[number % len(self._providers)]
            with self._changed:
                self._in_flight += 1
            try:
                lane = self._lanes[hash(sample.from_) % LANES]
                lane.submit(self._send, provider, sample).add_done_callback(self._landed)
            except RuntimeError:
                break  # stopped meanwhile: the lanes are closed
        self._wait_until_below(1)
        if self._fault is not None:
            raise self._fault
        return self._totals

    def send_one(self, from_: str, body: str, media: Iterable[str] = (), provider: int = 0) -> int | None:
        """Send one message now; return the gateway's HTTP status, or `None` if it never answered."""
        return self._send(self._providers[provider], Sample(from_, body, tuple(media)))

    def wait_for_reply(self, number: str, timeout: float = 10.0) -> str | None:
        """Wait for the next reply to a number and return it, each reply once; return `None` after `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._replies[number]) > self._seen[number], timeout):
                return None
            self._seen[number] += 1
            return self._replies[number][self._seen[number] - 1]

    def _wait_until_below(self, limit: int) -> bool:
        """Wait until fewer messages are in flight, so that a slow gateway gets fewer; return `False` if stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._in_flight < limit or self._stopping.is_set())
        return not self._stopping.is_set()

    def _landed(self, task: Future[int | None]) -> None:
        with self._changed:
            self._in_flight -= 1
            # `play` raises a fault of the simulator itself, so that it is seen.
            self._fault = self._fault or (None if task.cancelled() else task.exception())
            self._changed.notify_all()

    def _send(self, provider: Provider, sample: Sample) -> int | None:
        shown = sample.text + "".join(f" [{kind}]" for kind in sample.media)
        self._say(f"{sample.from_} -> {provider.sender}: {shown}")
        outcome = provider.send(sample.from_, sample.text, [(kind, b"\x00 invented") for kind in sample.media])
        status = outcome.status
        accepted = status is not None and 200 <= status < 300
        with self._changed:
            self._totals.sent += 1
            self._totals.accepted += accepted
            self._totals.refused += not accepted
        if not accepted:
            refusal = text(
                "the gateway answered {answer} to {sender}", answer=refusal_text(outcome), sender=sample.from_
            )
            self._say(f"  ! {localize(refusal, self._language)}")
        return status

    def _replied(self, message: Message) -> None:
        self._say(f"{message.from_} => {message.to}: {message.body}")
        with self._changed:
            self._totals.replies += 1
            self._replies[message.to].append(message.body)
            self._changed.notify_all()

    def _say(self, line: str) -> None:
        # One write per line, because threads print at the same time. The colour distinguishes the line from the logs.
        start, end = ("\x1b[1;36m", "\x1b[0m") if self._out.isatty() else ("", "")
        self._out.write(f"{start}{time.strftime('%H:%M:%S')}  {line}{end}\n")
        self._out.flush()
