"""An operator's SMSC that runs on this machine: binds, citizens' messages, replies, receipts, and failures on demand.

Its port also takes a line of JSON from another program, as the simulator that plays beside the gateway is asked: a PDU
begins with a zero, JSON with a brace.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple, Self

from adapters.sms.smpp.simulator import wire
from adapters.sms.smpp.simulator.server import Connection, Server
from gateway.ports import ChannelContext

_STATUS = {"throttle": 0x58, "queue_full": 0x14, "server_error": 0x08, "unauthorized": 0x0A}
_SILENT = ("timeout", "drop_after_accept", "drop")
_BINDS = {wire.BIND_RECEIVER: (True, False), wire.BIND_TRANSMITTER: (False, True), wire.BIND_TRANSCEIVER: (True, True)}


class Text(NamedTuple):
    """A reply of the gateway's, whole."""

    from_: str
    to: str
    body: str


class Sent(NamedTuple):
    """What the gateway answered: 200 for stored, 503 for refused, `None` for no answer; and the reason in words."""

    status: int | None
    error: str | None = None


class FakeSmsc:
    """One account at `127.0.0.1:port`."""

    setting = "port"  # of the channel, that says where it listens

    def __init__(
        self,
        *,
        system_id: str,
        password: str,
        sender: str,
        port: int = 0,
        delivery_delay: float = 0.05,
        patience: float = 10,
    ) -> None:
        """Make it; nothing listens before `start`.

        `port` 0 takes a free one. `delivery_delay` in seconds lies before each receipt. A citizen's message waits
        `patience` seconds for a gateway to connect, and as long for its answer.
        """
        self.system_id, self.sender = system_id, sender
        self._password, self._port, self._delay, self._patience = password, port, delivery_delay, patience
        self._lock, self._stopping, self._bound = threading.Lock(), threading.Event(), threading.Condition()
        self._failures: deque[str] = deque()
        self._listeners: list[Callable[[Text], None]] = []
        self._replies: list[Text] = []
        self._parts: dict[tuple[str, int, int], dict[int, bytes]] = {}
        self._ids = count(1)
        self._server: Server | None = None

    @classmethod
    def from_settings(cls, settings: Any, context: ChannelContext, **_options: Any) -> Self:
        """Make the counterpart of a configured channel; it listens where the channel connects to."""
        if settings.host != "127.0.0.1" or settings.tls:
            where = f"{context.region}/{context.channel}"
            raise ValueError(
                f'to simulate {where}, set its host to "127.0.0.1", without tls; another channel: --channel REGION/NAME'
            )
        password = settings.password.reveal()
        return cls(system_id=settings.system_id, password=password, sender=settings.sender, port=settings.port)

    # --- life ---

    @property
    def port(self) -> int:
        """Where it listens; 0 before `start`, unless one was asked for."""
        return self._port

    @property
    def url(self) -> str:
        """Its address, for people."""
        return f"smpp://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Listen; raises `OSError` where the port is taken."""
        self._stopping.clear()
        self._server = Server(self._port, self._take, self._control)
        self._port = self._server.port  # the same one after a stop and a start
        return self

    def hang_up(self) -> None:
        """Wait for no gateway to connect any more, and send no more receipts."""
        self._stopping.set()
        with self._bound:
            self._bound.notify_all()

    def stop(self) -> None:
        """Stop listening and cut every connection; replies stay."""
        self.hang_up()
        if self._server is not None:
            self._server.close()
            self._server = None

    def drop(self) -> None:
        """Cut every connection, as a network does."""
        for connection in self._connections:
            connection.cut()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    # --- citizens ---

    def send(self, from_: str, text: str, media: Sequence[tuple[str, bytes]] = ()) -> Sent:
        """Send a citizen's message in as many parts as it takes; wait for the answer to each. SMS has no pictures."""
        if self._server is None:
            return Sent(*wire.asked(self._port, {"from": from_, "text": text}, 3 * self._patience))
        return self.deliver(*wire.message(from_, self.sender, text))

    def deliver(self, *bodies: bytes) -> Sent:
        """Send deliver_sm with these bodies over one session; return the answer, or the first that is not 200."""
        with self._bound:
            self._bound.wait_for(lambda: self._receiver or self._stopping.is_set(), self._patience)
            bound = self._receiver
        if bound is None:
            return Sent(None, "no gateway is connected")
        answers = [bound.ask(wire.DELIVER_SM, body) for body in bodies]
        try:
            refused = [status for answer in answers if (status := answer.result(self._patience))]
        except TimeoutError:
            return Sent(None, "the gateway does not answer")
        except ConnectionError:
            return Sent(None, "the gateway has gone")
        return Sent(503, f"SMPP error {refused[0]:#04x}") if refused else Sent(200)

    # --- what tests and people look at ---

    @property
    def connected(self) -> int:
        """How many sessions are bound."""
        with self._bound:
            return sum(bound.receives or bound.sends for bound in self._connections)

    @property
    def _connections(self) -> list[Connection]:
        return list(self._server.connections) if self._server else []

    @property
    def _receiver(self) -> Connection | None:
        return next((bound for bound in self._connections if bound.receives), None)

    def replies_to(self, number: str) -> list[str]:
        """Return the texts the gateway sent to a number, oldest first."""
        return [reply.body for reply in self._replies if reply.to == number]

    def replies_elsewhere(self, number: str) -> list[str]:
        """Return the replies to a number that another process's simulator has, which listens on our port.

        Raises `OSError`, `ValueError` or `LookupError` where what listens there is no simulator.
        """
        return [str(body) for body in wire.asked(self._port, {"to": number}, self._patience)]

    def subscribe(self, listener: Callable[[Text], None]) -> None:
        """Call the listener with every reply, once all of its parts have come."""
        self._listeners.append(listener)

    def fail(self, how: str, *, next: int = 1, on: str = "send") -> None:  # noqa: A002 - it reads as it is meant
        """Let the next submit_sm fail.

        `how`: throttle, queue_full, server_error, unauthorized, reject:STATUS (an error status as a decimal number),
        timeout (no answer, not taken), drop (cut off, not taken), drop_after_accept (taken, then cut off).
        """
        if how not in (*_STATUS, *_SILENT) and not (how.startswith("reject:") and how[7:].isdigit()):
            raise ValueError(f"unknown failure {how!r}; known: {', '.join((*_STATUS, *_SILENT))}, reject:STATUS")
        with self._lock:
            self._failures.extend([how] * next)

    # --- the protocol ---

    def _take(self, bound: Connection, pdu: bytes) -> None:
        command, status, sequence = (int.from_bytes(pdu[at : at + 4], "big") for at in (4, 8, 12))
        if command & wire.GENERIC_NACK:
            bound.answered(sequence, status)
        elif command in _BINDS:
            right = wire.strings(pdu[16:], 2) == [self.system_id, self._password]
            with self._bound:
                bound.write(wire.pdu(command | wire.GENERIC_NACK, sequence, b"SMSC\0", 0 if right else 0x0E))
                if right:
                    bound.receives, bound.sends = _BINDS[command]
                self._bound.notify_all()
        elif command == wire.SUBMIT_SM:
            self._submit(bound, pdu, sequence)
        elif command in (wire.ENQUIRE_LINK, wire.UNBIND):
            bound.write(wire.pdu(command | wire.GENERIC_NACK, sequence))
            if command == wire.UNBIND:
                bound.cut()
        else:
            bound.write(wire.pdu(wire.GENERIC_NACK, sequence, status=0x03))

    def _submit(self, bound: Connection, pdu: bytes, sequence: int) -> None:
        answer = wire.SUBMIT_SM | wire.GENERIC_NACK
        with self._lock:
            how = self._failures.popleft() if self._failures else ""
        if how == "timeout":
            return
        if how == "drop":
            bound.cut()
            return
        if how and how not in _SILENT:
            bound.write(wire.pdu(answer, sequence, status=_STATUS.get(how) or int(how[7:])))
            return
        message, message_id = wire.submitted(pdu), f"{next(self._ids):08x}"
        if (whole := self._whole(message)) is not None:
            self._replies.append(whole)
            for listener in self._listeners:
                listener(whole)
        if how == "drop_after_accept":
            bound.cut()
        else:
            bound.write(wire.pdu(answer, sequence, message_id.encode() + b"\0"))
        if message.wants_receipt and (server := self._server):
            server.run(self._report, message, message_id)

    def _whole(self, message: wire.Submitted) -> Text | None:
        if message.part is None:
            return Text(message.source, message.destination, message.text(message.content))
        reference, total, number = message.part
        parts = self._parts.setdefault((message.destination, reference, total), {})
        parts[number] = message.content
        if len(parts) < total:
            return None
        del self._parts[message.destination, reference, total]
        content = b"".join(parts[place] for place in sorted(parts))
        return Text(message.source, message.destination, message.text(content))

    def _report(self, message: wire.Submitted, message_id: str) -> None:
        if not self._stopping.wait(self._delay):
            self.deliver(wire.receipt(message.destination, message.source, message_id))

    def _control(self, wish: dict[str, Any]) -> Sequence[Any]:
        return self.send(wish["from"], wish["text"]) if "from" in wish else self.replies_to(wish["to"])
