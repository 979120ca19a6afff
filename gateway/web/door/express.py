"""The express path: pass a usual webhook from the socket to the inbox without an asyncio task.

ADR 0010 (docs/adr/0010-express-lane.md) has the decision and calls it the express lane; here a lane is a sender's order.
The general work of an ASGI server costs more than storing a message. The express path takes the requests that providers
usually send: POST to a configured address, with a body of allowed size and type. Most of them arrive in one piece; one
pattern, stricter than the standard, recognises these, and they skip the HTTP parser. All other requests go through the
parser. A request that `admit` does not admit goes to the ASGI application, which answers the refusal.
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
_SPECIAL = frozenset({"transfer-encoding", "connection", "upgrade", "expect"})  # a request with one needs the parser


class AdmittedRequest(NamedTuple):
    """A webhook whose address, method, type and length are allowed."""

    channel: Channel
    url: str  # the public URL, which signatures cover
    headers: Mapping[str, str]  # names in lower case
    lines: bytes  # the header lines as received; empty if only the parser has seen them
    client: str  # IP address


class ExpressApplication(Protocol):
    """The application of the express path; the front door implements it."""

    def admit(self, target: bytes, headers: Mapping[str, str], lines: bytes, peer: str) -> AdmittedRequest | None:
        """Return an admitted request, or `None` if the request must go to the ASGI application.

        `target` and `peer` are path and IP address as received; `headers` and `lines` are as in `AdmittedRequest`.
        """

    def take(self, admitted: AdmittedRequest, body: bytes, respond: Respond) -> None:
        """Store the message of an admitted request; call `respond` once, now or later."""

    def count_disconnected(self) -> None:
        """Count an admitted request whose connection ended before the body was complete."""


class ExpressProtocol(BoundedProtocol):
    """The server's protocol with the express path."""

    express: ExpressApplication

    def data_received(self, data: bytes) -> None:
        cycle: CycleLike | None = self.cycle
        if self.between_requests and (cycle is None or cycle.response_complete) and self._express(data):
            return
        super().data_received(data)

    def _express(self, data: bytes) -> bool:
        """Take a request if `data` is exactly one complete request; return `False` if it is for the parser."""
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
            len(headers) != len(fields)  # a header name is repeated
            # The digits are limited, because int() raises ValueError for thousands of them.
            or not (length.isascii() and length.isdigit() and len(length) < _LENGTH_DIGITS)
            or head.end() + int(length) != len(data)
            or not _SPECIAL.isdisjoint(headers)
        ):
            return False
        admitted = self.express.admit(head[1], headers, lines, self._peer)
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
            admitted = self.express.admit(self.url, readable(self.headers), b"", self._peer)
        if admitted is None:
            super().begin_exchange()
            return
        earlier: CycleLike | None = self.cycle
        exchange = Exchange(self, admitted, parser.get_http_version() != "1.0" and parser.should_keep_alive())
        self.cycle = exchange  # type: ignore[assignment]
        if earlier is None or earlier.response_complete:
            exchange.start()
        else:  # pipelined: it starts when the answer to the earlier request is sent
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
    """One request on the express path, and its answer; it has the attributes of uvicorn's request cycle."""

    # The server's default headers, and their lines as bytes. The server makes a new list every second, for the date.
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
        """Return the event that the server sets if more of the body came, or if the connection ended."""
        return self

    def start(self) -> None:
        """Allow the exchange to go on; called when every earlier answer is sent."""
        self._started = True
        self.set()

    def set(self) -> None:
        """Take the request once it is complete; the server calls this on `message_event`."""
        if self._taken:
            return
        if self.disconnected:
            self._taken = True
            self._protocol.express.count_disconnected()
        elif self._started and self.more_body:
            self._protocol.flow.resume_reading()  # the server pauses after 64 KiB; `admit` has limited the length
        elif self._started:
            self.take(bytes(self.body))

    def take(self, body: bytes) -> None:
        """Pass the complete request to the application."""
        self._taken = True
        self._protocol.express.take(self._admitted, body, self._respond)

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
    """Return headers as text, by name; of equal names the last one counts."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


def _lines(headers: Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def express_protocol(
    application: ExpressApplication, max_head: int, head_timeout: float, body_timeout: float
) -> type[ExpressProtocol]:
    """Return a protocol class with its application and limits: `max_head` in bytes, the timeouts in seconds."""
    limits = {"max_head": max_head, "head_timeout": head_timeout, "body_timeout": body_timeout}
    return type("ExpressProtocol", (ExpressProtocol,), {"express": application, **limits})
