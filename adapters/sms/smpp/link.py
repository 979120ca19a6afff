"""A TCP or TLS connection that carries SMPP PDUs: one thread reads, any thread writes.

The lengths are SMPP 3.4's, section 3.2. Python's TLS sockets may not be read and written at the same time
(https://github.com/python/cpython/issues/77271): so nothing here blocks inside the socket, and each call has it alone.
"""

from __future__ import annotations

import errno
import math
import os
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from gateway.domain.errors import Unavailable

HEADER = struct.Struct(">4I")  # length, command, status, sequence number
GENERIC_NACK, INVALID_LENGTH = 0x80000000, 0x02
LONGEST = 70_000  # bytes; a message_payload has at most 65,535
_CHUNK = 65_536
_FAREWELL = 1.0  # seconds
_SLICE = 0.1  # seconds between looks at whether to end

_LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Patience:
    """How long to wait for the operator: `timeout` seconds each time, but once we are to end, one second in all."""

    def __init__(self, timeout: float, ending: Callable[[], bool]) -> None:
        self.timeout, self._ending = timeout, ending
        self._last = math.inf  # on the monotonic clock: until when we wait for anything

    def waits(self) -> Iterator[float]:
        """Yield how long to wait next, in slices, until the time is over."""
        deadline = time.monotonic() + self.timeout
        while True:
            now = time.monotonic()
            if self._last == math.inf and self._ending():
                self._last = now + _FAREWELL
            if (left := min(deadline, self._last) - now) <= 0:
                return
            yield min(left, _SLICE)


class Link:
    """An open connection; every method raises `Unavailable` once it is lost."""

    def __init__(self, host: str, port: int, *, tls: ssl.SSLContext | None, patience: Patience) -> None:
        """Connect; `patience` holds for connecting, for the TLS handshake and for each write."""
        self._patience, self._buffer = patience, bytearray()
        self._writing, self._socket_free, self._closed = threading.Lock(), threading.Lock(), False
        try:
            plain = _connected(host, port, patience)
        except OSError as exc:
            raise Unavailable(f"the operator cannot be reached ({_said(exc)})") from None
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._socket = _encrypted(plain, tls, host, patience) if tls else plain
        except OSError as exc:
            plain.close()
            raise Unavailable(f"no TLS with the operator ({_said(exc)})") from None
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
        rest, waits = memoryview(data), self._patience.waits()
        try:
            with self._writing:
                while rest:
                    rest = rest[self._write_some(rest, waits) :]
        except Unavailable:
            self.close()
            raise
        except (OSError, ValueError, KeyError) as exc:
            self.close()
            raise Unavailable(f"the connection is lost ({_said(exc)})") from None

    def _write_some(self, data: memoryview, waits: Iterator[float]) -> int:
        try:
            with self._socket_free:
                return self._socket.send(data)
        except _LATER:
            if not _ready(self._socket, selectors.EVENT_WRITE, waits):
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


def _connected(host: str, port: int, patience: Patience) -> socket.socket:
    """Return a connected socket that never blocks; only looking up the name cannot be cut short. Raises `OSError`."""
    failed = OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        plain = socket.socket(family, kind, protocol)
        plain.setblocking(False)
        try:
            with suppress(BlockingIOError):
                plain.connect(address)
            if not _ready(plain, selectors.EVENT_WRITE, patience.waits()):
                raise _timed_out()
            if code := plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, os.strerror(code))
            return plain
        except OSError as exc:
            plain.close()
            failed = exc
    raise failed


def _encrypted(plain: socket.socket, tls: ssl.SSLContext, host: str, patience: Patience) -> ssl.SSLSocket:
    """Return the socket after the handshake; raises `OSError`."""
    encrypted, waits = tls.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False), patience.waits()
    try:
        while True:
            try:
                encrypted.do_handshake()
                return encrypted
            except ssl.SSLWantReadError:
                event = selectors.EVENT_READ
            except ssl.SSLWantWriteError:
                event = selectors.EVENT_WRITE
            if not _ready(encrypted, event, waits):
                raise _timed_out()
    except OSError:
        encrypted.close()
        raise


def _ready(of: socket.socket, event: int, waits: Iterator[float]) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(of, event)
        return any(selector.select(wait) for wait in waits)


def _timed_out() -> OSError:
    return TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def _said(exc: Exception) -> str:
    """Return the system's word for an error: never more, it might quote data."""
    return (exc.strerror if isinstance(exc, OSError) and exc.strerror else type(exc).__name__).lower()
