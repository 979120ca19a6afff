"""Run one bound SMPP session: answer the operator, notice a dead connection, match our requests with their answers.

Source: SMPP 3.4, issue 1.2, sections 2 (sessions), 3.2 (sequence numbers) and 4. smpplib packs our PDUs; its client is not
used, because an exception in its handlers leaves a deliver_sm unanswered, and because it is not made for two threads.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import NamedTuple, Self

from smpplib import smpp

from adapters.sms.smpp.arrivals import Arrivals
from adapters.sms.smpp.link import GENERIC_NACK, HEADER, Link
from adapters.sms.smpp.patience import Patience
from adapters.sms.smpp.pdu import DATA_SM, DELIVER_SM, INVALID_COMMAND, OK, command_of
from gateway.domain.errors import Throttled, Unavailable
from gateway.domain.texts import text

UNBIND, ENQUIRE_LINK, ALERT_NOTIFICATION = 0x00000006, 0x00000015, 0x00000102
RESPONSE = 0x80000000  # set in the command of every answer
LAST_SEQUENCE = 0x7FFFFFFF
_TICK = 0.25  # seconds between two checks of the operator's silence

Field = str | int | bytes  # the value of a PDU's field, as smpplib packs it


class Answer(NamedTuple):
    """The operator's answer to one of our requests."""

    status: int
    body: bytes

    @property
    def message_id(self) -> str:
        """Return the id in a submit_sm_resp; empty if it has none."""
        return self.body.partition(b"\0")[0].decode("latin-1").strip()


class Session:
    """Hold a session on an open link; a `with` statement unbinds at its end. Any thread may call `request`."""

    def __init__(
        self, link: Link, arrivals: Arrivals[Session], patience: Patience, *, window: int, enquire_every: float
    ) -> None:
        """Prepare; `window` limits the replies that wait for an answer, `enquire_every` the seconds of silence."""
        self.ended = threading.Event()
        self._link = link
        self._arrivals = arrivals
        self._patience = patience
        self._clock = patience.clock
        self._window = window
        self._enquire_every = enquire_every
        self._lock = threading.Lock()
        self._pending: dict[int, Future[Answer]] = {}
        self._sequence = 0
        self._lost: Unavailable | None = None
        self._turns = threading.Semaphore(window)
        self._bound = False
        self._last_arrival = self._clock.now()
        self._enquired_at: float | None = None  # while our enquire_link has no answer
        self._reader = threading.Thread(target=self._read, name="smpp", daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        with suppress(Unavailable):  # the session is lost: no unbind is possible
            if self._bound:
                self._finish()
                self.request("unbind")
        self._link.close()
        self._reader.join()
        self._link.release()

    # --- our requests ---

    def bind(self, command: str, **fields: Field) -> int:
        """Send `bind_transceiver`, `bind_receiver` or `bind_transmitter`; return the operator's status, 0 if accepted."""
        status = self.request(command, **fields).status
        self._bound = status == OK
        return status

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Take one of the `window` turns, for all parts of one message; raises `Throttled` if none is free in time.

        The parts of a message are sent one after the other, so that at most `window` wait for their answer.
        """
        if not any(self._turns.acquire(timeout=wait) for wait in self._patience.waits()):
            raise Throttled(text("too many replies wait for the operator's answer"))
        try:
            yield
        finally:
            self._turns.release()

    def request(self, command: str, **fields: Field) -> Answer:
        """Send a request and return its answer; raises `Unavailable` if none comes in time or the session has ended."""
        pdu = smpp.make_pdu(command, sequence=0, **fields)
        answer: Future[Answer] = Future()
        with self._lock:
            self.check()
            pdu.sequence = self._next_sequence()
            self._pending[pdu.sequence] = answer
        try:
            self._link.write(pdu.generate())
            for wait in self._patience.waits():
                with suppress(TimeoutError):
                    return answer.result(wait)
        finally:
            self._pending.pop(pdu.sequence, None)
        raise Unavailable(text("the operator did not answer {command} in time", command=command))

    def _next_sequence(self) -> int:
        """Return an unused sequence number; call it with the lock held."""
        self._sequence = self._sequence % LAST_SEQUENCE + 1
        return self._sequence

    @property
    def outstanding(self) -> int:
        """Return the number of our requests that wait for their answer."""
        return len(self._pending)

    def check(self) -> None:
        """Raise `Unavailable` with the reason if the session has ended."""
        if self._lost is not None:
            raise Unavailable(self._lost.message)

    def _finish(self) -> None:
        """Wait within the time limit for messages that are being sent; no other message can begin."""
        left = self._window
        for wait in self._patience.waits():
            while left and self._turns.acquire(timeout=wait):
                left -= 1
            if not left:
                return

    # --- our answers ---

    def answer(self, statuses: Iterable[tuple[bytes, int]]) -> None:
        """Answer requests, each with its status, in one write."""
        self._link.write(b"".join([_response(pdu, status) for pdu, status in statuses]))

    def answer_unbind(self, unbind: bytes) -> None:
        """Answer the operator's unbind, and send no unbind at the end."""
        self._bound = False
        self.answer([(unbind, OK)])

    # --- the reading thread ---

    def _read(self) -> None:
        lost = Unavailable(text("the session's reading thread failed; the reason is in the log"))
        try:
            while True:
                pdus = self._link.read(_TICK)
                self._watch(heard=bool(pdus))
                for pdu in pdus:
                    self._take(pdu)
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
        elif command != ALERT_NOTIFICATION:  # SMPP defines no answer to it, and the gateway does not need it
            self._link.write(HEADER.pack(HEADER.size, GENERIC_NACK, INVALID_COMMAND, int.from_bytes(pdu[12:16], "big")))

    def _watch(self, *, heard: bool) -> None:
        """Send an enquire_link after `enquire_every` seconds of silence; raise `Unavailable` if nothing comes in time."""
        now = self._clock.now()
        if heard:
            self._last_arrival = now
            self._enquired_at = None
        elif self._enquired_at is not None:
            if now - self._enquired_at > self._patience.timeout:
                raise Unavailable(text("the operator does not answer enquire_link"))
        elif now - self._last_arrival > self._enquire_every:
            with self._lock:
                sequence = self._next_sequence()
            self._link.write(HEADER.pack(HEADER.size, ENQUIRE_LINK, OK, sequence))
            self._enquired_at = now

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
