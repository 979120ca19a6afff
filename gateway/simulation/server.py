"""The HTTP server of a simulated provider: one thread per connection, HTTP/1.1 keep-alive, answers as JSON or bytes."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SILENCE = 120.0  # seconds that the client waits in a "timeout" failure


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, after `wait` seconds; `status` 0 closes the connection without an answer."""

    status: int
    body: Mapping[str, object] | bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0


class ProviderServer(ThreadingHTTPServer):
    """A server on 127.0.0.1 that calls `answer(method, target, authorization, body)` for every request."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, answer: Callable[[str, str, str, bytes], Answer], stopping: threading.Event) -> None:
        self.answer = answer
        self.stopping = stopping
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Endpoint)

    def close(self) -> None:
        """Stop listening and cut every open connection, so that no client can use a stopped server."""
        self.shutdown()
        self.server_close()
        with self._open_lock:
            for connection in self._open:
                with suppress(OSError):  # the client closed it first
                    connection.shutdown(socket.SHUT_RDWR)

    def opened(self, connection: socket.socket) -> None:
        """Remember an open connection."""
        with self._open_lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._open_lock:
            self._open.discard(connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: connections that end early are a part of the simulation."""


class _Endpoint(BaseHTTPRequestHandler):
    server: ProviderServer
    protocol_version = "HTTP/1.1"
    server_version = "Simulator/1"
    disable_nagle_algorithm = True
    wbufsize = 65536  # head and body in one packet

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.connection)

    def finish(self) -> None:
        self.server.closed(self.connection)
        with suppress(OSError):  # the client has gone
            super().finish()

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.server.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
        if answer.wait:
            self.server.stopping.wait(answer.wait)
        if not answer.status:
            self.close_connection = True
            return
        content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Print nothing: request lines hold phone numbers."""
