"""Limits that the HTTP server itself leaves open: the size of a request's head, and the time until head and body are in."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """Answers 431 past `max_head` bytes of a head, 408 where head or body take too long to arrive."""

    max_head = 32_768  # bytes
    head_timeout = 10.0  # seconds
    body_timeout = 10.0  # seconds

    _head_size = 0
    _in_head = True  # a connection owes a request from its first moment
    _in_body = False
    _began = False  # whether a head began in the data at hand
    _too_large = False
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.head_timeout, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._began = False
        super().data_received(data)
        if not (self._in_head or self._in_body) or self.transport.is_closing():
            return  # most requests come whole, and need neither timer nor count
        if self._in_head and not self._began:  # else the data is mostly that of requests before this one
            self._head_size += len(data)
            if self._head_size > self.max_head:
                self._refuse(_TOO_LARGE)
                return
        if self._deadline is None:
            timeout = self.head_timeout if self._in_head else self.body_timeout
            self._deadline = self.loop.call_later(timeout, self._give_up)

    def on_message_begin(self) -> None:
        self._in_head, self._began, self._head_size = True, True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if sum([len(name) + len(value) for name, value in self.headers]) + len(self.url) > self.max_head:
            self._too_large = True
            raise ValueError("the head is too large")  # the parser stops, and the server answers through us
        self._in_head, self._in_body = False, True
        if self._deadline is not None:
            self._clear_deadline()
        self.begin_exchange()

    def begin_exchange(self) -> None:
        """Start what answers the request whose head is now complete."""
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        if self._deadline is not None:
            self._clear_deadline()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if self._too_large:
            self._refuse(_TOO_LARGE)
        else:
            super().send_400_response(msg)

    def _give_up(self) -> None:
        self._deadline = None
        # A refusal that is already on its way says more than a second one would.
        self._refuse(_TOO_SLOW if self._in_head or not self.cycle.response_started else b"")

    def _refuse(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
