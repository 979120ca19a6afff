"""Add the limits that the HTTP server lacks: the size of a head, and the time in which head and body must arrive.

Overrides private hooks of uvicorn's `HttpToolsProtocol`, so `setup.cfg` allows only the tested minor version.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_NO_LENGTH = b"HTTP/1.1 411 Length Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class CycleLike(Protocol):
    """The part of uvicorn's request cycle that the protocol reads."""

    response_complete: bool


class _Awaited(Enum):
    """The part of a request that the client must send next."""

    HEAD = "head"
    BODY = "body"
    NOTHING = "nothing"  # an answer is under way, or the connection is kept alive


class BoundedProtocol(HttpToolsProtocol):
    """Answer 431 if a head has more than `max_head` bytes, 408 if head or body are too slow, 411 to a body in chunks.

    No provider sends chunks. Without them there are no trailers, and the length of a request is always known.
    """

    max_head = 32_768  # bytes
    head_timeout = 10.0  # seconds
    body_timeout = 10.0  # seconds

    _awaited = _Awaited.HEAD  # a client must send a request as soon as it has connected
    _head_size = 0  # bytes of a head that came in pieces
    _began = False  # whether a head began in the current data
    _refusal = b""  # the answer to send instead of the server's 400
    _deadline: asyncio.TimerHandle | None = None
    between_requests = True  # whether the parser has no unfinished request

    def connection_made(self, transport: Any) -> None:  # uvicorn narrows the type of asyncio
        super().connection_made(transport)
        self._arm(self.head_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._began = False
        self.between_requests = False
        super().data_received(data)
        if self._awaited is _Awaited.NOTHING:
            self.between_requests = self._began
            # An empty line between requests stops the server's keep-alive timer, although no request follows.
            cycle: CycleLike | None = self.cycle
            if not self._began and cycle is not None and cycle.response_complete:
                self._arm(self.head_timeout)
            return
        if self._awaited is _Awaited.HEAD and not self._began:  # else `data` also has the end of the request before
            self._head_size += len(data)
            if self._head_size > self.max_head:
                self._refuse(_TOO_LARGE)
                return
        # Not reached if the request is complete.
        self._arm(self.head_timeout if self._awaited is _Awaited.HEAD else self.body_timeout)

    def arrived(self) -> None:
        """Record that a complete request came that skips the parser."""
        self._awaited = _Awaited.NOTHING
        self._disarm()
        self._unset_keepalive_if_required()

    def on_message_begin(self) -> None:
        self._awaited = _Awaited.HEAD
        self._began = True
        self._head_size = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        size = len(self.url)
        for name, value in self.headers:
            size += len(name) + len(value)
            if name == b"transfer-encoding":
                self._refusal = _NO_LENGTH
        if size > self.max_head:
            self._refusal = _TOO_LARGE
        if self._refusal:
            raise ValueError("refused")  # the parser stops, and the server answers through `send_400_response`
        self._awaited = _Awaited.BODY
        self._disarm()
        self.begin_exchange()

    def begin_exchange(self) -> None:
        """Begin to answer the request; its head is complete now."""
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._awaited = _Awaited.NOTHING
        self._disarm()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if self._refusal:
            self._refuse(self._refusal)
        else:
            super().send_400_response(msg)

    def _arm(self, timeout: float) -> None:
        if self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(timeout, self._give_up)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        # If an answer has begun already, a second one would make it unreadable.
        answering = self._awaited is not _Awaited.HEAD and self.cycle.response_started
        self._refuse(b"" if answering else _TOO_SLOW)

    def _refuse(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()
