"""Simulate an operator's SMSC on this machine: binds, citizens' messages, replies, receipts, and failures on demand.

Its port also accepts a line of JSON, so that `simulate` in another process can use the simulator that `serve` started.
The first byte is different: a PDU begins with a zero byte, JSON with a brace.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import NamedTuple, Self

from adapters.sms.smpp.simulator import wire
from adapters.sms.smpp.simulator.failures import Failures, refused_status
from adapters.sms.smpp.simulator.replies import Replies, Text
from adapters.sms.smpp.simulator.server import Connection, Server
from adapters.sms.smpp.simulator.settings import AccountSettings
from gateway.domain.texts import text
from gateway.ports import ChannelContext

_BINDS = {wire.BIND_RECEIVER: (True, False), wire.BIND_TRANSMITTER: (False, True), wire.BIND_TRANSCEIVER: (True, True)}


class Sent(NamedTuple):
    """The gateway's answer to a message: 200 if stored, 503 if refused, `None` if it is missing; and the error's text."""

    status: int | None
    error: str | None = None


class FakeSmsc:
    """An operator with one account, at `127.0.0.1:port`."""

    setting = "port"  # the channel's setting that names the port

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
        """Prepare; nothing listens before `start`.

        `port` 0 takes a free port. In seconds: `delivery_delay` is the time before each receipt; `patience` is the limit
        for a gateway to connect when a citizen writes, and again for its answer.
        """
        self.system_id = system_id
        self.sender = sender
        self._password = password
        self._port = port
        self._delay = delivery_delay
        self._patience = patience
        self._stopping = threading.Event()
        self._bound = threading.Condition()
        self._failures = Failures()
        self._replies = Replies()
        self._ids = count(1)
        self._server: Server | None = None

    @classmethod
    def from_settings(cls, settings: AccountSettings, context: ChannelContext, **_options: object) -> Self:
        """Make the operator of a configured channel; raises `ValueError` if the channel expects the real operator."""
        if settings.host != "127.0.0.1" or settings.tls:
            channel = f"{context.region}/{context.channel}"
            raise ValueError(
                text(
                    "to simulate {channel}, set its host to 127.0.0.1, without tls; another channel: --channel REGION/NAME",
                    channel=channel,
                )
            )
        password = settings.password.reveal()
        return cls(system_id=settings.system_id, password=password, sender=settings.sender, port=settings.port)

    # --- start and stop ---

    @property
    def port(self) -> int:
        """Return the port of the simulator; 0 before `start` if it takes a free port."""
        return self._port

    @property
    def url(self) -> str:
        """Return the simulator's address for people."""
        return f"smpp://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Listen; raises `OSError` if the port is taken."""
        self._stopping.clear()
        self._server = Server(self._port, self._take, self._control)
        self._port = self._server.port  # the same after a stop and a start
        return self

    def hang_up(self) -> None:
        """Stop waiting for a gateway to connect, and send no more receipts."""
        self._stopping.set()
        with self._bound:
            self._bound.notify_all()

    def stop(self) -> None:
        """Stop listening and cut every connection; keep the replies."""
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
        """Send a citizen's message in as many parts as it needs, and wait for each answer. SMS has no pictures."""
        if self._server is None:
            return Sent(*wire.request(self._port, {"from": from_, "text": text}, 3 * self._patience))
        return self.deliver(*wire.message(from_, self.sender, text))

    def deliver(self, *bodies: bytes) -> Sent:
        """Send deliver_sm with these bodies over one session; return the answer, or the first that is not 200."""
        with self._bound:
            self._bound.wait_for(lambda: self._receiver or self._stopping.is_set(), self._patience)
            receiver = self._receiver
        if receiver is None:
            return Sent(None, "no gateway is connected")
        answers = [receiver.request(wire.DELIVER_SM, body) for body in bodies]
        try:
            refused = [status for answer in answers if (status := answer.result(self._patience))]
        except TimeoutError:
            return Sent(None, "the gateway does not answer")
        except ConnectionError:
            return Sent(None, "the gateway has gone")
        return Sent(503, f"SMPP error {refused[0]:#04x}") if refused else Sent(200)

    # --- for tests and people ---

    @property
    def connected(self) -> int:
        """Return the number of bound sessions."""
        with self._bound:
            return sum(connection.receives or connection.sends for connection in self._connections)

    @property
    def _connections(self) -> list[Connection]:
        return list(self._server.connections) if self._server else []

    @property
    def _receiver(self) -> Connection | None:
        return next((connection for connection in self._connections if connection.receives), None)

    def replies_to(self, number: str) -> list[str]:
        """Return the texts that the gateway sent to a number, oldest first."""
        return self._replies.to(number)

    def replies_elsewhere(self, number: str) -> list[str]:
        """Return the replies to a number from the simulator of another process, which listens on our port.

        Raises `OSError`, `ValueError` or `LookupError` if the program there is not a simulator.
        """
        return [str(body) for body in wire.request(self._port, {"to": number}, self._patience)]

    def subscribe(self, listener: Callable[[Text], None]) -> None:
        """Call the listener with every reply, once all of its parts have come."""
        self._replies.subscribe(listener)

    def fail(self, how: str, *, next: int = 1, on: str = "send") -> None:  # noqa: A002 - as SimulatedProvider has it
        """Let the next submit_sm fail; raises `ValueError` for an unknown failure.

        `how`: throttle, queue_full, server_error, unauthorized, reject:STATUS (an error status as a decimal number),
        timeout (no answer, not kept), drop (cut off, not kept), drop_after_accept (kept, then cut off).
        """
        self._failures.add(how, next)

    # --- the protocol ---

    def _take(self, connection: Connection, pdu: bytes) -> None:
        command, status, sequence = (int.from_bytes(pdu[at : at + 4], "big") for at in (4, 8, 12))
        if command & wire.GENERIC_NACK:
            connection.answered(sequence, status)
        elif command in _BINDS:
            self._bind(connection, pdu, command, sequence)
        elif command == wire.SUBMIT_SM:
            self._submit(connection, pdu, sequence)
        elif command in (wire.ENQUIRE_LINK, wire.UNBIND):
            connection.write(wire.pdu(command | wire.GENERIC_NACK, sequence))
            if command == wire.UNBIND:
                connection.cut()
        else:
            connection.write(wire.pdu(wire.GENERIC_NACK, sequence, status=0x03))

    def _bind(self, connection: Connection, pdu: bytes, command: int, sequence: int) -> None:
        accepted = wire.strings(pdu[16:], 2) == [self.system_id, self._password]
        with self._bound:
            connection.write(wire.pdu(command | wire.GENERIC_NACK, sequence, b"SMSC\0", 0 if accepted else 0x0E))
            if accepted:
                connection.receives, connection.sends = _BINDS[command]
            self._bound.notify_all()

    def _submit(self, connection: Connection, pdu: bytes, sequence: int) -> None:
        answer = wire.SUBMIT_SM | wire.GENERIC_NACK
        how = self._failures.take()
        if how == "timeout":
            return
        if how == "drop":
            connection.cut()
            return
        if status := refused_status(how):
            connection.write(wire.pdu(answer, sequence, status=status))
            return
        message, message_id = wire.submitted(pdu), f"{next(self._ids):08x}"
        self._replies.add(message)
        if how == "drop_after_accept":
            connection.cut()
        else:
            connection.write(wire.pdu(answer, sequence, message_id.encode() + b"\0"))
        if message.wants_receipt and (server := self._server):
            server.run(partial(self._report, message, message_id))

    def _report(self, message: wire.Submitted, message_id: str) -> None:
        if not self._stopping.wait(self._delay):
            self.deliver(wire.receipt(message.destination, message.source, message_id))

    def _control(self, order: Mapping[str, str]) -> Sequence[object]:
        return self.send(order["from"], order["text"]) if "from" in order else self.replies_to(order["to"])
