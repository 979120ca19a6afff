"""The express lane: a plain webhook goes from the socket to the inbox without a task of its own.

What an ASGI server does for any application costs more than storing a message does. So a request that is just what a
provider sends (POST to a known address, a body of allowed size and type) is taken here. Most arrive whole, in one
piece: those are recognised by one pattern, stricter than the standard, and never meet the HTTP parser. All others go
through it, and where they are not for the lane, on to `asgi`, which knows every refusal that can be told from a head.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, Protocol

from gateway.web.door.limits import BoundedProtocol

Headers = Sequence[tuple[bytes, bytes]]
Respond = Callable[[int, Headers, bytes], None]

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_CLOSE = (b"connection", b"close")
# RFC 9112: request line, then `field-name ":" OWS field-value OWS`, all ended by CR LF; no folding, no bare CR or LF.
# Possessive: a head that does not match costs one pass, however it was made.
_HEAD = re.compile(rb"POST (/[!-~]*+) HTTP/1\.1\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t -~\x80-\xff]*+\r\n)++)\r\n")
_LENGTH_DIGITS = 16
_SPECIAL = frozenset({"transfer-encoding", "connection", "upgrade", "expect"})  # what the real parser must see to


class Lane(Protocol):
    """What takes requests from the lane; the front door does."""

    def admit(self, target: bytes, headers: Mapping[str, str], lines: bytes, peer: str) -> Any | None:
        """Return a pass for a POST that can be taken here, `None` for one that must go the ordinary way.

        `headers` have names in lower case; `lines` is the head as it came, without the request line, where it is known.
        """

    def take(self, admitted: Any, body: bytes, respond: Respond) -> None:
        """Store the message of an admitted request, and answer now or later, once."""

    def lose(self) -> None:
        """Be told that a connection ended before its admitted request was whole."""


class ExpressProtocol(BoundedProtocol):
    """The server's protocol, with the lane beside its ordinary way."""

    lane: Lane

    def data_received(self, data: bytes) -> None:
        cycle: Any = self.cycle
        if self.between_requests and (cycle is None or cycle.response_complete) and self._express(data):
            return
        super().data_received(data)

    def _express(self, data: bytes) -> bool:
        """Take a request that arrived whole and alone; `False` where the parser must look at it."""
        head = _HEAD.match(data)
        if head is None or head.end() > self.max_head:
            return False
        lines = head[2]
        fields = lines.decode("latin-1").split("\r\n")[:-1]
        headers = {}
        for field in fields:
            name, _, value = field.partition(":")
            headers[name.lower()] = value.strip(" \t")
        length = headers.get("content-length", "")
        if (
            len(headers) != len(fields)  # a repeated name: let the parser judge
            or not (length.isascii() and length.isdigit() and len(length) < _LENGTH_DIGITS)  # int() refuses thousands
            or head.end() + int(length) != len(data)
            or not _SPECIAL.isdisjoint(headers)
        ):
            return False
        admitted = self.lane.admit(head[1], headers, lines, self._peer)
        if admitted is None:
            return False
        self.arrived()
        exchange = Exchange(self, admitted, keep_alive=True)
        self.cycle = exchange  # type: ignore[assignment]
        exchange.take(data[head.end() :])
        return True

    def begin_exchange(self) -> None:
        parser = self.parser
        admitted = None
        if parser.get_method() == b"POST" and not self.expect_100_continue and not parser.should_upgrade():
            admitted = self.lane.admit(self.url, readable(self.headers), b"", self._peer)
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

    @property
    def _peer(self) -> str:
        return self.client[0] if self.client else ""

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if isinstance(cycle, Exchange):
            cycle.start()
        else:
            super()._start_asgi_task(cycle, app)


class Exchange:
    """One request in the lane, and its answer; to the server it looks like its own request cycle."""

    # The server's default headers as bytes; it makes a new list of them every second, for the date.
    _defaults: ClassVar[tuple[Headers, bytes]] = ((), b"")

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
        elif self._started and self.more_body:
            self._protocol.flow.resume_reading()  # the server pauses past 64 KiB; ours is bounded by the length allowed
        elif self._started:
            self.take(bytes(self.body))

    def take(self, body: bytes) -> None:
        """Pass the whole request on."""
        self._taken = True
        self._protocol.lane.take(self._admitted, body, self._respond)

    def _respond(self, status: int, headers: Headers, body: bytes) -> None:
        transport = self._protocol.transport
        self.response_started = self.response_complete = True
        if self.disconnected or transport.is_closing():
            return
        if _CLOSE in headers:
            self.keep_alive = False
        elif not self.keep_alive:
            headers = (*headers, _CLOSE)
        defaults: Headers = self._protocol.server_state.default_headers
        if defaults is not Exchange._defaults[0]:
            Exchange._defaults = (defaults, _lines(defaults))
        transport.write(b"".join((_STATUS_LINES[status], Exchange._defaults[1], _lines(headers), b"\r\n", body)))
        if not self.keep_alive:
            transport.close()
        self._protocol.on_response_complete()


def readable(headers: Headers) -> dict[str, str]:
    """Return headers as text."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


def _lines(headers: Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def express_protocol(lane: Lane, max_head: int, head_timeout: float, body_timeout: float) -> type[ExpressProtocol]:
    """Return the protocol class with its lane and limits, in bytes and seconds."""
    limits = {"max_head": max_head, "head_timeout": head_timeout, "body_timeout": body_timeout}
    return type("ExpressProtocol", (ExpressProtocol,), {"lane": lane, **limits})
