"""One bound SMPP session: who answers what, whether the other side still lives, and requests matched to their answers.

Source: SMPP 3.4, issue 1.2, sections 2 (sessions), 3.2 (sequence numbers) and 4. smpplib packs what we send; its client
is not used: an exception in its handlers leaves a deliver_sm unanswered, and it is not made for two threads.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, Self

from smpplib import smpp

from adapters.sms.smpp.link import GENERIC_NACK, HEADER, Link, Patience
from adapters.sms.smpp.pdu import DATA_SM, DELIVER_SM, command_of
from gateway.domain.errors import Throttled, Unavailable

UNBIND, ENQUIRE_LINK, ALERT_NOTIFICATION = 0x00000006, 0x00000015, 0x00000102
RESPONSE = 0x80000000  # set in the command of every answer
OK, INVALID_COMMAND, QUEUE_FULL, NOT_NOW = (
    0x00,
    0x03,
    0x14,
    0x64,
)  # NOT_NOW: a temporary fault of ours, keep the message
LAST_SEQUENCE = 0x7FFFFFFF
MOST_AT_ONCE = 500  # PDUs stored in one transaction
MOST_WAITING = 5000  # PDUs; an operator whose window is larger is asked to wait …
MOST_BYTES = 16 * 1024 * 1024  # … and so is one whose PDUs are as large as SMPP allows
_TICK = 0.25  # seconds


class Answer(NamedTuple):
    """The other side's answer to a request of ours."""

    status: int
    body: bytes

    @property
    def message_id(self) -> str:
        """The id that a submit_sm_resp names; empty where it names none."""
        return self.body.partition(b"\0")[0].decode("latin-1").strip()


class Arrivals:
    """What the sessions of one account received and nobody has answered yet."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Session, bytes]] = deque()
        self._bytes = 0  # of all that waits
        self._changed = threading.Condition()
        self._closed = False

    def put(self, session: Session, pdu: bytes) -> int:
        """Keep a PDU for `take` and return `OK`, or why not: too many wait, or nobody will come for it."""
        with self._changed:
            if self._closed:
                return NOT_NOW
            if len(self._waiting) >= MOST_WAITING or self._bytes + len(pdu) > MOST_BYTES:
                return QUEUE_FULL
            self._bytes += len(pdu)
            self._waiting.append((session, pdu))
            self._changed.notify()
            return OK

    def take(self, wait: float) -> list[tuple[Session, bytes]]:
        """Return what waits, in its order; nothing after `wait` seconds without any, or after `wake`."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(wait)
            taken = [self._waiting.popleft() for _ in range(min(MOST_AT_ONCE, len(self._waiting)))]
            self._bytes -= sum(len(pdu) for _, pdu in taken)
            return taken

    def wake(self) -> None:
        """Let `take` return."""
        with self._changed:
            self._changed.notify()

    def close(self) -> list[tuple[Session, bytes]]:
        """Take no more; return what still waits."""
        with self._changed:
            self._closed = True
            return list(self._waiting)


class Session:
    """A session on an open link; use with `with`, which unbinds. `request` may be called by any thread."""

    def __init__(
        self, link: Link, arrivals: Arrivals, patience: Patience, *, window: int, enquire_every: float
    ) -> None:
        self._link, self._arrivals, self._patience, self._enquire_every = link, arrivals, patience, enquire_every
        self._lock = threading.Lock()
        self._pending: dict[int, Future[Answer]] = {}
        self._sequence = 0
        self._lost: Unavailable | None = None
        self._window, self._turns = window, threading.Semaphore(window)
        self._bound = False
        self._heard, self._asked = time.monotonic(), 0.0  # when anything came; when we asked whether it lives
        self.ended = threading.Event()
        self._reader = threading.Thread(target=self._read, name="smpp", daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        with suppress(Unavailable):  # it is lost already: then nobody waits for our farewell
            if self._bound:
                self._finish()
                self.request("unbind")
        self._link.close()
        self._reader.join()
        self._link.forget()

    # --- what we ask ---

    def bind(self, command: str, **fields: Any) -> int:
        """Bind with a `bind_…` command; returns the other side's status, 0 for success."""
        status = self.request(command, **fields).status
        self._bound = status == OK
        return status

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Take one of the `window` turns to send, for all parts of one message; raises `Throttled` where none is free.

        The parts of a message are sent one after the other, so that no more than `window` wait for their answer.
        """
        if not any(self._turns.acquire(timeout=wait) for wait in self._patience.waits()):
            raise Throttled("too many replies wait for the operator's answer")
        try:
            yield
        finally:
            self._turns.release()

    def request(self, command: str, **fields: Any) -> Answer:
        """Send a request and wait for its answer; raises `Unavailable` where none comes."""
        pdu = smpp.make_pdu(command, sequence=0, **fields)
        answer: Future[Answer] = Future()
        with self._lock:
            self.check()
            self._sequence = pdu.sequence = self._sequence % LAST_SEQUENCE + 1
            self._pending[pdu.sequence] = answer
        try:
            self._link.write(pdu.generate())
            for wait in self._patience.waits():
                with suppress(TimeoutError):
                    return answer.result(wait)
        finally:
            self._pending.pop(pdu.sequence, None)
        raise Unavailable(f"the operator did not answer {command} in time")

    @property
    def outstanding(self) -> int:
        """How many requests of ours wait for their answer."""
        return len(self._pending)

    def check(self) -> None:
        """Raise `Unavailable`, saying why, where the session has ended."""
        if self._lost is not None:
            raise Unavailable(self._lost.message)

    def _finish(self) -> None:
        """Let messages that are being sent come to their end, for a while, and let no other begin."""
        left = self._window
        for wait in self._patience.waits():
            while left and self._turns.acquire(timeout=wait):
                left -= 1
            if not left:
                return

    # --- what we answer ---

    def answer(self, answered: Iterable[tuple[bytes, int]]) -> None:
        """Answer requests, each with its status, in one write."""
        self._link.write(b"".join([_response(pdu, status) for pdu, status in answered]))

    def part(self, unbind: bytes) -> None:
        """Answer the other side's unbind; ours is not needed then."""
        self._bound = False
        self.answer([(unbind, OK)])

    # --- what comes; on the reading thread ---

    def _read(self) -> None:
        lost = Unavailable("the session's reading thread failed; the log says why")
        try:
            while True:
                pdus = self._link.read(_TICK)
                for pdu in pdus:
                    self._take(pdu)
                self._enquire(heard=bool(pdus))
        except Unavailable as exc:
            lost = exc
        finally:
            self._end(lost)

    def _take(self, pdu: bytes) -> None:
        command = command_of(pdu)
        if command & RESPONSE:
            _, _, status, sequence = HEADER.unpack_from(pdu)
            if waiting := self._pending.pop(sequence, None):
                waiting.set_result(Answer(status, pdu[HEADER.size :]))
        elif command == ENQUIRE_LINK:
            self.answer([(pdu, OK)])
        elif command in (DELIVER_SM, DATA_SM, UNBIND):
            if status := self._arrivals.put(self, pdu):
                self.answer([(pdu, status)])
        elif command != ALERT_NOTIFICATION:  # that one has no answer, and says nothing to us
            self._link.write(HEADER.pack(HEADER.size, GENERIC_NACK, INVALID_COMMAND, int.from_bytes(pdu[12:16], "big")))

    def _enquire(self, *, heard: bool) -> None:
        """Ask whether the other side lives, after some time without a word; raises `Unavailable` if it does not say."""
        now = time.monotonic()
        if heard:
            self._heard, self._asked = now, 0.0
        elif self._asked:
            if now - self._asked > self._patience.timeout:
                raise Unavailable("the operator does not answer enquire_link")
        elif now - self._heard > self._enquire_every:
            with self._lock:
                self._sequence = sequence = self._sequence % LAST_SEQUENCE + 1
            self._link.write(HEADER.pack(HEADER.size, ENQUIRE_LINK, OK, sequence))
            self._asked = now

    def _end(self, lost: Unavailable) -> None:
        with self._lock:
            self._lost = lost
            waiting = list(self._pending.values())
            self._pending.clear()
        for answer in waiting:
            answer.set_exception(Unavailable(lost.message))
        self.ended.set()
        self._link.close()
        self._arrivals.wake()


def _response(pdu: bytes, status: int) -> bytes:
    _, command, _, sequence = HEADER.unpack_from(pdu)
    body = b"\0" if command in (DELIVER_SM, DATA_SM) else b""  # message_id, unused
    return HEADER.pack(HEADER.size + len(body), command | RESPONSE, status, sequence) + body
