"""Which requests the front door refuses, and how."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

import pytest

from gateway.ports.wire import WebhookRequest
from tests.gateway.fixture_types import Eventually
from tests.gateway.site import Site
from tests.gateway.web.door.support import URL, post, raw, sms, status, talk


@pytest.mark.parametrize("path", ["/in/00/lain", "/in/99/sms", "/in/00/sms/", "/in/", "/in/00%2Fsms/x", "/in/../sms"])
def test_an_unknown_address_is_404(server: Any, path: str) -> None:
    assert status(talk(server, raw(sms(), path=path))) == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method_is_405_and_names_the_right_one(server: Any, method: str) -> None:
    answer = talk(server, f"{method} /in/00/sms HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    assert status(answer) == 405
    assert b"\r\nallow: POST\r\n" in answer


def test_a_page_is_only_read(server: Any) -> None:
    answer = talk(server, b"POST /status HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
    assert status(answer) == 405
    assert b"\r\nallow: GET, HEAD\r\n" in answer


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", "", None])
def test_another_content_type_is_415(server: Any, stored: Any, kind: str | None) -> None:
    before = len(stored())
    assert post(server, sms(), **{"content-type": kind}) == 415
    assert len(stored()) == before


@pytest.mark.parametrize("signature", [None, "", "x", "é", "A" * 28, "A" * 5000])
def test_what_is_not_signed_is_403_and_not_stored(server: Any, stored: Any, signature: str | None) -> None:
    before = len(stored())
    answer = talk(server, raw(sms(), **{"x-twilio-signature": signature}))
    assert status(answer) == 403
    assert b'"error":"unverified"' in answer
    assert len(stored()) == before


def test_what_was_tampered_with_is_403_and_not_stored(server: Any, stored: Any) -> None:
    request, before = sms("Jalan rusak"), len(stored())
    for body in (request.body.replace(b"rusak", b"mulus"), request.body + b"&x=1", b"", b"&&&", b"=" * 100):
        assert post(server, WebhookRequest("POST", URL, request.headers, body)) == 403
    assert status(talk(server, raw(request, path="/in/00/sms?x=1"))) == 403
    assert len(stored()) == before


def test_a_signed_message_without_an_id_is_400(server: Any, stored: Any) -> None:
    before = len(stored())
    assert post(server, sms(MessageSid="")) == 400
    assert len(stored()) == before


def test_a_body_announced_too_large_is_413_before_it_is_sent(server: Any) -> None:
    assert status(talk(server, raw(sms(), **{"content-length": "200001"}).split(b"\r\n\r\n")[0] + b"\r\n\r\n")) == 413


@pytest.mark.parametrize(
    "head",
    [
        b"POST /in/00/sms HTTP/1.1\r\nhost: x\r\nx-long: " + b"x" * 9000 + b"\r\n\r\n",
        b"POST /in/00/sms?" + b"x" * 9000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /in/00/sms HTTP/1.1\r\n" + b"".join(b"x-%d: y\r\n" % number for number in range(2000)) + b"\r\n",
    ],
    ids=["one header", "url", "many headers"],
)
def test_a_head_that_is_too_large_is_431(server: Any, head: bytes) -> None:
    assert status(talk(server, head)) == 431


def test_a_head_that_never_ends_is_431_whatever_it_is_cut_into(server: Any) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=8) as connection:
        connection.sendall(b"POST /in/00/sms HTTP/1.1\r\nhost: x\r\nx-long: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(40):
                connection.sendall(b"x" * 1000)
                time.sleep(0.005)
        assert status(connection.recv(1000)) == 431


@pytest.mark.parametrize(
    "begin", [b"", b"POST /in/0", b"POST /in/00/sms HTTP/1.1\r\nhost: x\r\n"], ids=["silent", "line", "headers"]
)
def test_a_slow_head_is_408(server: Any, begin: bytes) -> None:
    began = time.monotonic()
    assert status(talk(server, begin)) == 408
    assert 0.9 < time.monotonic() - began < 6


def test_a_slow_body_is_408_and_not_stored(server: Any, stored: Any) -> None:
    data, before = raw(sms()), len(stored())
    assert status(talk(server, data[:-5])) == 408
    assert len(stored()) == before


def test_a_body_that_drips_is_408_too(server: Any) -> None:
    data = raw(sms())
    head = data.index(b"\r\n\r\n") + 4
    with socket.create_connection(("127.0.0.1", server.port), timeout=8) as connection:
        connection.sendall(data[:head])
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            for byte in data[head:]:
                connection.sendall(bytes([byte]))
                time.sleep(0.1)
                if time.monotonic() - began > 5:
                    break
        assert status(connection.recv(1000)) == 408


def test_a_body_that_is_cut_off_is_not_stored(server: Any, stored: Any, eventually: Eventually) -> None:
    data, before = raw(sms()), len(stored())
    with socket.create_connection(("127.0.0.1", server.port), timeout=8) as connection:
        connection.sendall(data[:-5])
    eventually(lambda: 'refused_total{reason="disconnected"}' in server.get("/metrics").text)
    assert len(stored()) == before


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"POST /in/00/sms HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /in/00/sms HTTP/1.1\r\nhost: x\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST /in/00/sms HTTP/1.1\r\nhost: x\r\ncontent-length: " + b"0" * 5000 + b"\r\n\r\n",
        b"POST /in/00/sms HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        b"POST /in/00/sms HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /in/00/sms HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        b"POST /in/00/sms HTTP/1.1\r\nhost: x\rx: y\r\n\r\n",
        b"POST /in/00/sms HTTP/1.1\r\nhost: \x00\r\n\r\n",
        b"POST /in/\xff\xfe HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
        b"GET /\xff%ff%00 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
def test_what_is_no_http_is_never_a_500(server: Any, data: bytes) -> None:
    answer = talk(server, data)
    assert status(answer) in (0, 400, 403, 404, 405, 408, 411, 415), answer
    assert server.get("/health/live").status_code == 200


def test_a_flood_of_what_is_no_http_does_not_fill_the_log(server: Any) -> None:
    before = server.log.count("Invalid HTTP request")
    began = time.monotonic()
    for _ in range(100):
        talk(server, b"\x16\x03\x01\r\n\r\n")
    assert server.log.count("Invalid HTTP request") - before <= time.monotonic() - began + 2


def test_credentials_are_not_kept_with_a_message(server: Any, shared: Site, stored: Any) -> None:
    from gateway.wiring import make_keyring

    assert post(server, sms(), authorization="Basic cmFoYXNpYQ==", cookie="sesi=rahasia") == 200
    payload = make_keyring(shared.settings()).decrypt(stored()[-1].payload, b"inbox")
    assert b"x-twilio-signature" in payload
    assert b"cmFoYXNpYQ" not in payload
    assert b"rahasia" not in payload


def test_nothing_so_far_was_a_500_and_nothing_personal_was_logged(server: Any) -> None:
    """The log itself is searched when the server ends; here, that requests never failed inside."""
    assert "Exception in ASGI application" not in server.log
    assert "Fatal error" not in server.log, "an exception in the protocol itself"
    assert '"stage failed"' not in server.log
    assert "Jalan rusak" not in server.log
