"""Carry SMPP PDUs over a TCP or TLS connection: one thread reads, any thread writes.

Lengths: SMPP 3.4, section 3.2. Two threads may not read and write a TLS socket of Python at the same time
(https://github.com/python/cpython/issues/77271). Therefore nothing here blocks inside the socket, and each call holds
a lock on it.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress

from adapters.sms.smpp.patience import Patience
from gateway.domain.errors import Unavailable
from gateway.domain.texts import text

HEADER = struct.Struct(">4I")  # length, command, status, sequence number
GENERIC_NACK, INVALID_LENGTH = 0x80000000, 0x02
LONGEST = 70_000  # bytes of a PDU; a message_payload has at most 65,535
_CHUNK = 65_536  # bytes per read

_NOT_READY = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Link:
    """Hold an open connection; `read` and `write` raise `Unavailable` once it is lost."""

    def __init__(self, host: str, port: int, *, tls: ssl.SSLContext | None, patience: Patience) -> None:
        """Connect; `patience` limits connecting, the TLS handshake and each write."""
        self._patience = patience
        self._buffer = bytearray()
        self._writing = threading.Lock()
        self._socket_free = threading.Lock()
        self._closed = False
        try:
            plain = _connected(host, port, patience)
        except OSError as exc:
            raise Unavailable(text("the operator cannot be reached ({error})", error=_system_text(exc))) from None
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._socket = _encrypted(plain, tls, host, patience) if tls else plain
        except OSError as exc:
            plain.close()
            raise Unavailable(text("no TLS with the operator ({error})", error=_system_text(exc))) from None
        self._readable = selectors.DefaultSelector()
        self._readable.register(self._socket, selectors.EVENT_READ)

    def read(self, wait: float) -> list[bytes]:
        """Return the whole PDUs that have come; an empty list after `wait` seconds without data. For one thread only."""
        try:
            if not (self._closed or self._decrypted() or self._readable.select(wait)):
                return []
            with self._socket_free:
                data = b"" if self._closed else self._socket.recv(_CHUNK)
        except _NOT_READY:
            return []  # a part of a TLS record
        except (OSError, ValueError, KeyError) as exc:  # the last two: closed by another thread
            raise _lost(exc) from None
        if not data:
            if self._closed:
                raise Unavailable(text("we closed the connection"))
            raise Unavailable(text("the operator closed the connection"))
        self._buffer += data
        return self._whole_pdus()

    def _decrypted(self) -> int:
        return self._socket.pending() if isinstance(self._socket, ssl.SSLSocket) else 0

    def _whole_pdus(self) -> list[bytes]:
        pdus, start, buffer = [], 0, self._buffer
        while len(buffer) - start >= HEADER.size:
            length = int.from_bytes(buffer[start : start + 4], "big")
            if not HEADER.size <= length <= LONGEST:
                self.write(HEADER.pack(HEADER.size, GENERIC_NACK, INVALID_LENGTH, 0))
                raise Unavailable(text("the operator's data is not SMPP: the length of a PDU is impossible"))
            if start + length > len(buffer):
                break
            pdus.append(bytes(buffer[start : start + length]))
            start += length
        del buffer[:start]
        return pdus

    def write(self, data: bytes) -> None:
        """Write whole PDUs; if that fails, close the connection, because after half a PDU nothing can be read."""
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
            raise _lost(exc) from None

    def _write_some(self, data: memoryview, waits: Iterator[float]) -> int:
        try:
            with self._socket_free:
                return self._socket.send(data)
        except _NOT_READY:
            if not _ready(self._socket, selectors.EVENT_WRITE, waits):
                raise Unavailable(text("the operator does not read our data")) from None
        return 0

    def close(self) -> None:
        """Close the connection; a read that waits in another thread ends with `Unavailable`."""
        with self._socket_free:
            self._closed = True
            with suppress(OSError):  # not connected any more
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    def release(self) -> None:
        """Release the reading thread's selector; call it after that thread has ended."""
        self._readable.close()


def _connected(host: str, port: int, patience: Patience) -> socket.socket:
    """Return a connected socket that never blocks; raises `OSError`. Only the look-up of the name cannot be cut short."""
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
    encrypted = tls.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
    waits = patience.waits()
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


def _ready(connection: socket.socket, event: int, waits: Iterator[float]) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(connection, event)
        return any(selector.select(wait) for wait in waits)


def _timed_out() -> OSError:
    return TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def _lost(exc: Exception) -> Unavailable:
    return Unavailable(text("the connection is lost ({error})", error=_system_text(exc)))


def _system_text(exc: Exception) -> str:
    """Return the system's text for an error and nothing else, because the rest might quote data."""
    return (exc.strerror if isinstance(exc, OSError) and exc.strerror else type(exc).__name__).lower()
