"""A TCP or TLS connection that carries SMPP PDUs: one thread reads, any thread writes.

The lengths are SMPP 3.4's, section 3.2. Python's TLS sockets may not be read and written at the same time
(https://github.com/python/cpython/issues/77271): so nothing here blocks inside the socket, and each call has it alone.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import struct
import threading
import time
from contextlib import suppress

from gateway.errors import Unavailable

HEADER = struct.Struct(">4I")  # length, command, status, sequence number
GENERIC_NACK, INVALID_LENGTH = 0x80000000, 0x02
LONGEST = 70_000  # bytes; a message_payload has at most 65,535
_CHUNK = 65_536

_LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Link:
    """An open connection; every method raises `Unavailable` once it is lost."""

    def __init__(self, host: str, port: int, *, tls: ssl.SSLContext | None, timeout: float) -> None:
        """Connect; `timeout` in seconds holds for connecting, for the TLS handshake and for each write."""
        self._timeout, self._buffer = timeout, bytearray()
        self._writing, self._socket_free, self._closed = threading.Lock(), threading.Lock(), False
        try:
            plain = socket.create_connection((host, port), timeout)
        except OSError as exc:
            raise Unavailable(f"the operator cannot be reached ({_said(exc)})") from None
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._socket = tls.wrap_socket(plain, server_hostname=host) if tls else plain
        except OSError as exc:
            plain.close()
            raise Unavailable(f"no TLS with the operator ({_said(exc)})") from None
        self._socket.setblocking(False)
        self._readable = selectors.DefaultSelector()
        self._readable.register(self._socket, selectors.EVENT_READ)

    def read(self, wait: float) -> list[bytes]:
        """Return the whole PDUs that have come; none after `wait` seconds without any. For one thread only."""
        try:
            if not (self._closed or self._decrypted() or self._readable.select(wait)):
                return []
            with self._socket_free:
                data = b"" if self._closed else self._socket.recv(_CHUNK)
        except _LATER:
            return []  # a part of a TLS record
        except (OSError, ValueError, KeyError) as exc:  # the last two: closed by another thread
            raise Unavailable(f"the connection is lost ({_said(exc)})") from None
        if not data:
            raise Unavailable("we closed the connection" if self._closed else "the operator closed the connection")
        self._buffer += data
        return self._whole_pdus()

    def _decrypted(self) -> int:
        return self._socket.pending() if isinstance(self._socket, ssl.SSLSocket) else 0

    def _whole_pdus(self) -> list[bytes]:
        found, start, buffer = [], 0, self._buffer
        while len(buffer) - start >= HEADER.size:
            length = int.from_bytes(buffer[start : start + 4], "big")
            if not HEADER.size <= length <= LONGEST:
                self.write(HEADER.pack(HEADER.size, GENERIC_NACK, INVALID_LENGTH, 0))
                raise Unavailable("what the operator sends is not SMPP: a length is impossible")
            if start + length > len(buffer):
                break
            found.append(bytes(buffer[start : start + length]))
            start += length
        del buffer[:start]
        return found

    def write(self, data: bytes) -> None:
        """Write whole PDUs; where that fails half-way, the connection is closed, for nobody could read on."""
        rest, deadline = memoryview(data), time.monotonic() + self._timeout
        try:
            with self._writing:
                while rest:
                    rest = rest[self._write_some(rest, deadline) :]
        except Unavailable:
            self.close()
            raise
        except (OSError, ValueError, KeyError) as exc:
            self.close()
            raise Unavailable(f"the connection is lost ({_said(exc)})") from None

    def _write_some(self, data: memoryview, deadline: float) -> int:
        try:
            with self._socket_free:
                return self._socket.send(data)
        except _LATER:
            left = deadline - time.monotonic()
            with selectors.DefaultSelector() as writable:
                writable.register(self._socket, selectors.EVENT_WRITE)
                if left <= 0 or not writable.select(left):
                    raise Unavailable("the operator does not read what we send") from None
        return 0

    def close(self) -> None:
        """Close; a read that waits in another thread ends with `Unavailable`."""
        with self._socket_free:
            self._closed = True
            with suppress(OSError):  # not connected any more: it is closed all the same
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    def forget(self) -> None:
        """Give back what the reading thread had; after it ended."""
        self._readable.close()


def _said(exc: Exception) -> str:
    """Return the system's word for an error: never more, it might quote data."""
    return (exc.strerror if isinstance(exc, OSError) and exc.strerror else type(exc).__name__).lower()
