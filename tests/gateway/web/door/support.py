"""Helpers of the tests of the front door."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

from adapters.sms.twilio.simulator import signed_request
from gateway.ports.wire import WebhookRequest

LIMITS = "header_timeout = 1\nbody_timeout = 1\nmax_body_bytes = 200000\nmax_header_bytes = 8000\nshutdown_timeout = 10"
URL = "http://127.0.0.1:8080/in/00/sms"
_sids = iter(range(10**9))


def sms(text: str = "Jalan rusak", sid: str | None = None, **changes: str) -> WebhookRequest:
    pairs = {"MessageSid": sid or f"SM{next(_sids):032d}", "SmsStatus": "received", "From": "+6281200000001"}
    pairs |= {"To": "1708", "Body": text, **changes}
    return signed_request(URL, list(pairs.items()), "twilio-token-for-tests-only")


def raw(request: WebhookRequest, path: str = "/in/00/sms", **headers: str | None) -> bytes:
    """Return a request as bytes on the wire; a header given as `None` is left out."""
    given = {**request.headers, "host": "x", "content-length": str(len(request.body)), **headers}
    head = [f"{request.method} {path} HTTP/1.1"] + [f"{n}: {v}" for n, v in given.items() if v is not None]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + request.body


def talk(server: Any, *parts: bytes, pause: float = 0, timeout: float = 8, close_write: bool = False) -> bytes:
    """Send bytes, and return everything that comes back until the server closes or nothing more comes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        if close_write:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while part := connection.recv(65536):
                received += part
                connection.settimeout(0.5 if b"\r\n\r\n" in received else timeout)
        return received


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def post(server: Any, request: WebhookRequest, **headers: str | None) -> int:
    return status(talk(server, raw(request, connection="close", **headers)))
