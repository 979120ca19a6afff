"""Citizens who write without pause, and a provider who delivers again until it is answered 2xx. Each attempt is kept."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self
from urllib.parse import urlsplit
from uuid import uuid4

from adapters.sms.twilio.simulator import FakeTwilio, Message
from gateway.ports.wire import WebhookRequest
from rig.installation import NUMBER

HELP = "BANTUAN"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery of a webhook: `status` is `None` where the connection ended without an answer."""

    began: float  # time.time()
    ended: float
    status: int | None
    retry_after: str | None = None
    error: str | None = None
    torn: bool = False  # an answer had begun, and its end never came

    @property
    def accepted(self) -> bool:
        """Whether the gateway said yes."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(slots=True)
class Written:
    """One citizen's message and what became of its deliveries."""

    message: Message
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def sid(self) -> str:
        """The provider's id."""
        return self.message.sid

    @property
    def accepted(self) -> bool:
        """Whether any delivery was answered 2xx: from then on it must never be lost."""
        return any(attempt.accepted for attempt in self.attempts)

    @property
    def is_report(self) -> bool:
        """Whether it makes a complaint."""
        return self.message.body != HELP


class Phone:
    """Posts webhooks over one connection that it keeps."""

    def __init__(self, deliver_to: int | None = None, timeout: float = 15) -> None:
        """`deliver_to` is another port than the URL's; `timeout` in seconds, Twilio's."""
        self._port, self._timeout = deliver_to, timeout
        self._connection: http.client.HTTPConnection | None = None

    def post(self, request: WebhookRequest) -> Attempt:
        """Deliver once."""
        url, began, torn = urlsplit(request.url), time.time(), False
        if self._connection is None:
            port = self._port or url.port
            self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=self._timeout)
        try:
            self._connection.request("POST", url.path, request.body, {**request.headers, "Host": url.netloc})
            answer = self._connection.getresponse()
            torn = True
            answer.read()
        except (OSError, http.client.HTTPException) as exc:
            cut = torn or (
                isinstance(exc, http.client.HTTPException) and not isinstance(exc, http.client.RemoteDisconnected)
            )
            self.close()
            return Attempt(began, time.time(), None, error=type(exc).__name__, torn=cut)
        if answer.will_close:
            self.close()
        return Attempt(began, time.time(), answer.status, answer.getheader("Retry-After"))

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def write(number: int, text: str | None = None, sender: str | None = None) -> Written:
    """Make a message that the provider's list does not show, so that only its webhook can bring it in."""
    now = datetime.now(UTC)
    from_ = sender or f"+62812{number:08d}"
    body = text or f"Jalan rusak di Jl. Bunga nomor {number}, sudah lama"
    return Written(Message("SM" + uuid4().hex, "inbound", from_, NUMBER, body, "received", now, now))


class Load:
    """Some threads of citizens. Some of their messages come from one of few numbers, some ask for help."""

    def __init__(
        self,
        twilio: FakeTwilio,
        seed: int,
        *,
        threads: int = 6,
        pause: float = 0.02,
        persistent: float = 0.9,
        deliver_to: Sequence[int] = (),
    ) -> None:
        """`persistent` is the share of messages that are delivered again until answered 2xx.

        The others are delivered once, and what became of them may stay unknown. `deliver_to` are ports to take turns.
        """
        self._twilio, self._pause, self._persistent = twilio, pause, persistent
        self._lock, self._stopping, self._paused = threading.Lock(), threading.Event(), threading.Event()
        self._written: list[Written] = []
        ports = list(deliver_to) or [None]
        self._threads = [
            threading.Thread(
                target=self._run, args=(random.Random(seed * 1000 + n), ports[n % len(ports)]), name=f"citizen {n}"
            )
            for n in range(threads)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)

    @property
    def written(self) -> list[Written]:
        """Every message so far."""
        with self._lock:
            return list(self._written)

    def finish(self, seconds: float = 60) -> None:
        """Write no more, and deliver what is still to be delivered; fails where that takes too long."""
        self._paused.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.1, deadline - time.monotonic()))
            assert not thread.is_alive(), f"not every message could be delivered within {seconds:g} s"

    def _run(self, rng: random.Random, port: int | None) -> None:
        phone = Phone(port)
        while not (self._stopping.is_set() or self._paused.is_set()):
            with self._lock:
                number = len(self._written)
                sender = f"+6285700000{rng.randrange(20):03d}" if rng.random() < 0.15 else None
                written = write(number, HELP if sender is None and rng.random() < 0.05 else None, sender)
                self._written.append(written)
            request, stubborn = self._twilio.webhook(written.message), rng.random() < self._persistent
            written.attempts.append(phone.post(request))
            while stubborn and not written.accepted and not self._stopping.wait(rng.uniform(0.05, 0.3)):
                written.attempts.append(phone.post(request))
            if rng.random() < 0.05:  # a provider may deliver what it was answered for
                written.attempts.append(phone.post(request))
            self._stopping.wait(rng.uniform(0, 2 * self._pause))
        phone.close()


def outcomes(written: Sequence[Written]) -> str:
    """Count the answers of all deliveries, in words."""
    counts = Counter(str(a.status or a.error) for w in written for a in w.attempts)
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
