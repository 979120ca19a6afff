"""The express lane: a plain webhook goes from the HTTP parser to the inbox without a task of its own.

What an ASGI server does for any application costs more than storing a message does. So a request that is just what a
provider sends (POST to a known address, a body of allowed size and type) is taken here; everything else goes the
ordinary way through `asgi`, which knows every refusal that can be told from a head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Protocol

from gateway.web.limits import BoundedProtocol

Headers = Sequence[tuple[bytes, bytes]]
Respond = Callable[[int, Headers, bytes], None]

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_CLOSE = (b"connection", b"close")


class Lane(Protocol):
    """What takes requests from the lane; the front door does."""

    def admit(self, target: bytes, headers: Headers, peer: str) -> Any | None:
        """Return a pass for a POST that can be taken here, `None` for one that must go the ordinary way."""

    def take(self, admitted: Any, body: bytes, respond: Respond) -> None:
        """Store the message of an admitted request, and answer now or later, once."""

    def lose(self) -> None:
        """Be told that a connection ended before its admitted request was whole."""


class ExpressProtocol(BoundedProtocol):
    """The server's protocol, with the lane beside its ordinary way."""

    lane: Lane

    def begin_exchange(self) -> None:
        parser = self.parser
        admitted = None
        if parser.get_method() == b"POST" and not self.expect_100_continue and not parser.should_upgrade():
            admitted = self.lane.admit(self.url, self.headers, self.client[0] if self.client else "")
        if admitted is None:
            super().begin_exchange()
            return
        before: Any = self.cycle
        exchange = Exchange(self, admitted, parser.get_http_version() != "1.0" and parser.should_keep_alive())
        self.cycle = exchange  # type: ignore[assignment]
        if before is None or before.response_complete:
            exchange.start()
        else:  # pipelined: its turn comes when the answer before it is out
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))  # type: ignore[arg-type]

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if isinstance(cycle, Exchange):
            cycle.start()
        else:
            super()._start_asgi_task(cycle, app)


class Exchange:
    """One request in the lane, and its answer; to the server it looks like its own request cycle."""

    def __init__(self, protocol: ExpressProtocol, admitted: Any, keep_alive: bool) -> None:
        self._protocol, self._admitted, self.keep_alive = protocol, admitted, keep_alive
        self._started = self._taken = False
        self.body = bytearray()
        self.more_body = True
        self.disconnected = self.response_started = self.response_complete = False

    @property
    def message_event(self) -> Exchange:
        """What the server sets when more is there, or the connection is gone."""
        return self

    def start(self) -> None:
        """Go on as soon as the request is whole: every answer before it is out."""
        self._started = True
        self.set()

    def set(self) -> None:
        """Take the request, once, when it is whole."""
        if self._taken:
            return
        if self.disconnected:
            self._taken = True
            self._protocol.lane.lose()
        elif self._started and not self.more_body:
            self._taken = True
            self._protocol.lane.take(self._admitted, bytes(self.body), self._respond)

    def _respond(self, status: int, headers: Headers, body: bytes) -> None:
        transport = self._protocol.transport
        self.response_started = self.response_complete = True
        if self.disconnected or transport.is_closing():
            return
        if _CLOSE in headers:
            self.keep_alive = False
        elif not self.keep_alive:
            headers = (*headers, _CLOSE)
        lines = [_STATUS_LINES[status]]
        for name, value in (*self._protocol.server_state.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        lines += (b"\r\n", body)
        transport.write(b"".join(lines))
        if not self.keep_alive:
            transport.close()
        self._protocol.on_response_complete()


def express_protocol(lane: Lane, max_head: int, head_timeout: float, body_timeout: float) -> type[ExpressProtocol]:
    """Return the protocol class with its lane and limits, in bytes and seconds."""
    limits = {"max_head": max_head, "head_timeout": head_timeout, "body_timeout": body_timeout}
    return type("ExpressProtocol", (ExpressProtocol,), {"lane": lane, **limits})
