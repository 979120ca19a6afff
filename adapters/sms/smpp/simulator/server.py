"""Accept the simulated operator's connections, read each on a thread of its own, and cut them on demand."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from itertools import count

from adapters.sms.smpp.simulator import wire

_PATIENCE = 10.0  # seconds to wait for a thread's end

Control = Callable[[Mapping[str, str]], Sequence[object]]  # a request in JSON → its answer


class Connection:
    """A connection: of a gateway, or of a program that sends a request in JSON."""

    def __init__(self, connection: socket.socket) -> None:
        self.receives = False  # bound as receiver or transceiver
        self.sends = False  # bound as transmitter or transceiver
        self._socket = connection
        self._writing = threading.Lock()
        self._sequence = count(1)
        self._pending: dict[int, Future[int]] = {}

    def write(self, data: bytes) -> None:
        """Write whole PDUs; raises `OSError` if the connection was cut."""
        with self._writing:
            self._socket.sendall(data)

    def request(self, command: int, body: bytes) -> Future[int]:
        """Send a request; the future has the answer's status, or `ConnectionError` if the connection is cut before."""
        sequence, answer = next(self._sequence), Future[int]()
        self._pending[sequence] = answer
        try:
            self.write(wire.pdu(command, sequence, body))
        except OSError:
            self._give_up()
        return answer

    def answered(self, sequence: int, status: int) -> None:
        """Pass on the answer to a request."""
        if waiting := self._pending.pop(sequence, None):
            waiting.set_result(status)

    def cut(self) -> None:
        """Cut the connection, as a network does."""
        with suppress(OSError):  # cut already
            self._socket.shutdown(socket.SHUT_RDWR)

    def serve(self, take: Callable[[Connection, bytes], None], control: Control) -> None:
        """Read until the connection ends: PDUs for `take`, or one line of JSON for `control`."""
        with self._socket, suppress(OSError):  # the connection was cut
            first = self._socket.recv(65536)
            if first.startswith(b"{"):
                self.write(wire.answer(first, self._socket, control))
            else:
                for pdu in wire.pdus(self._socket, first):
                    take(self, pdu)
        self._give_up()

    def _give_up(self) -> None:
        while self._pending:
            with suppress(KeyError):  # answered at the same moment
                self._pending.popitem()[1].set_exception(ConnectionError())


class Server:
    """A listening port and its connections."""

    def __init__(self, port: int, take: Callable[[Connection, bytes], None], control: Control) -> None:
        """Listen; raises `OSError` if the port is taken."""
        self._take = take
        self._control = control
        self._closed = False
        self._listening = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listening.getsockname()[1]
        self.connections: list[Connection] = []
        self._threads: list[threading.Thread] = []
        self._starting = threading.Lock()
        self.run(self._accept)

    def run(self, work: Callable[[], None]) -> None:
        """Run a function on a thread that `close` waits for."""
        thread = threading.Thread(target=work, name="smsc", daemon=True)
        with self._starting:
            self._threads = [running for running in self._threads if running.is_alive()] + [thread]
            thread.start()

    def close(self) -> None:
        """Cut every connection and wait for the threads."""
        self._closed = True
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in list(self.connections):
            connection.cut()
        for thread in self._threads:
            thread.join(_PATIENCE)

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                accepted, _ = self._listening.accept()
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.run(partial(self._serve, Connection(accepted)))

    def _serve(self, connection: Connection) -> None:
        self.connections.append(connection)
        if self._closed:  # accepted at the last moment
            connection.cut()
        try:
            connection.serve(self._take, self._control)
        finally:
            self.connections.remove(connection)
