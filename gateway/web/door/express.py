"""The express lane: a usual webhook goes from the socket to the inbox without an asyncio task.

The general work of an ASGI server costs more than storing a message. So the lane takes the requests that providers
usually send: POST to a configured address, with a body of allowed size and type. Most of them arrive in one piece; one
pattern, stricter than the standard, recognises these, and they skip the HTTP parser. All other requests go through the
parser and, if the lane does not admit them, to the ASGI application, which also answers every refusal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple, Protocol

from gateway.ports import Channel
from gateway.web.door.limits import BoundedProtocol, CycleLike

Headers = Sequence[tuple[bytes, bytes]]
Respond = Callable[[int, Headers, bytes], None]  # status, headers, body

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_CLOSE = (b"connection", b"close")
# RFC 9112: request line, then `field-name ":" OWS field-value OWS`, each ended by CR LF; no folding, no bare CR or LF.
# Possessive quantifiers: a head that does not match costs one pass, even if it was made to cost more.
_HEAD = re.compile(rb"POST (/[!-~]*+) HTTP/1\.1\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t -~\x80-\xff]*+\r\n)++)\r\n")
_LENGTH_DIGITS = 16
_SPECIAL = frozenset({"transfer-encoding", "connection", "upgrade", "expect"})  # headers for the HTTP parser


class AdmittedRequest(NamedTuple):
    """A webhook whose head leaves nothing to refuse."""

    channel: Channel
    url: str  # the public one, which signatures cover
    headers: Mapping[str, str]  # names in lower case
    lines: bytes  # the same as they came, if known
    client: str  # address


class Lane(Protocol):
    """The application of the lane: the front door."""

    def admit(self, target: bytes, headers: Mapping[str, str], lines: bytes, peer: str) -> AdmittedRequest | None:
        """Return an admitted request, or `None` if the request must go through the ASGI application.

        `headers` have names in lower case; `lines` are the same as they came, or empty if only the parser saw them.
        """

    def take(self, admitted: AdmittedRequest, body: bytes, respond: Respond) -> None:
        """Store the message of an admitted request; call `respond` once, now or later."""

    def lose(self) -> None:
        """Count an admitted request whose connection ended before the body was complete."""


class ExpressProtocol(BoundedProtocol):
    """The server's protocol with the express lane."""

    lane: Lane

    def data_received(self, data: bytes) -> None:
        cycle: CycleLike | None = self.cycle
        if self.between_requests and (cycle is None or cycle.response_complete) and self._express(data):
            return
        super().data_received(data)

    def _express(self, data: bytes) -> bool:
        """Take a request that arrived complete and alone; return `False` if it is for the parser."""
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
            len(headers) != len(fields)  # a repeated name: for the parser
            or not (length.isascii() and length.isdigit() and len(length) < _LENGTH_DIGITS)  # int() fails on thousands
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
        before: CycleLike | None = self.cycle
        exchange = Exchange(self, admitted, parser.get_http_version() != "1.0" and parser.should_keep_alive())
        self.cycle = exchange  # type: ignore[assignment]
        if before is None or before.response_complete:
            exchange.start()
        else:  # pipelined: it starts after the answer before it was sent
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))  # type: ignore[arg-type]

    @property
    def _peer(self) -> str:
        return self.client[0] if self.client else ""

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:  # uvicorn's own types
        if isinstance(cycle, Exchange):
            cycle.start()
        else:
            super()._start_asgi_task(cycle, app)


class Exchange:
    """One request in the lane, and its answer; it has the attributes of uvicorn's request cycle."""

    # The server's default headers, and the same as bytes; the server makes a new list every second, for the date.
    _defaults: ClassVar[tuple[Headers, bytes]] = ((), b"")

    def __init__(self, protocol: ExpressProtocol, admitted: AdmittedRequest, keep_alive: bool) -> None:
        self._protocol = protocol
        self._admitted = admitted
        self.keep_alive = keep_alive
        self._started = False
        self._taken = False
        self.body = bytearray()
        self.more_body = True
        self.disconnected = False
        self.response_started = False
        self.response_complete = False

    @property
    def message_event(self) -> Exchange:
        """The event that the server sets if more of the body came, or if the connection ended."""
        return self

    def start(self) -> None:
        """Allow the exchange to go on, after every earlier answer was sent."""
        self._started = True
        self.set()

    def set(self) -> None:
        """Take the request, once, if it is complete; the server calls this as the event of `message_event`."""
        if self._taken:
            return
        if self.disconnected:
            self._taken = True
            self._protocol.lane.lose()
        elif self._started and self.more_body:
            self._protocol.flow.resume_reading()  # the server pauses after 64 KiB; `admit` has limited the length
        elif self._started:
            self.take(bytes(self.body))

    def take(self, body: bytes) -> None:
        """Give the complete request to the lane."""
        self._taken = True
        self._protocol.lane.take(self._admitted, body, self._respond)

    def _respond(self, status: int, headers: Headers, body: bytes) -> None:
        transport = self._protocol.transport
        self.response_started = True
        self.response_complete = True
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
    """Return headers as text, by name."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


def _lines(headers: Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def express_protocol(lane: Lane, max_head: int, head_timeout: float, body_timeout: float) -> type[ExpressProtocol]:
    """Return a protocol class with its lane and its limits: a head in bytes, head and body in seconds."""
    limits = {"max_head": max_head, "head_timeout": head_timeout, "body_timeout": body_timeout}
    return type("ExpressProtocol", (ExpressProtocol,), {"lane": lane, **limits})
