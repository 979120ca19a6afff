"""Which requests the front door accepts."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
import requests

from gateway.ports.wire import WebhookRequest
from gateway.spool.tables import cases
from tests.gateway.fixture_types import Eventually
from tests.gateway.site import Site
from tests.gateway.web.door.support import URL, _sids, post, raw, sms, status, talk


@pytest.mark.parametrize(
    "text",
    [
        "Jalan rusak di Jl. Bunga",
        "",
        "nol \x00 byte",
        "Banjir 😭🌊👩🏽‍🚒",
        "الطريق مكسور أمام المدرسة",
        "x" * 10_000,
        "😭" * 2_000,
        "satu\rdua\r\ntiga",
        "' OR 1=1; -- {ticket} %s ${jndi}",
        "\u2028\u202e\ufeff",
    ],
    ids=["plain", "empty", "nul", "emoji", "rtl", "long", "long emoji", "lone cr", "injection", "odd spaces"],
)
def test_any_text_is_accepted_and_stored(server: Any, stored: Any, text: str) -> None:
    before = len(stored())
    assert post(server, sms(text)) == 200
    assert len(stored()) == before + 1


def test_an_accepted_message_becomes_a_complaint(server: Any, stored: Any, eventually: Eventually) -> None:
    before = len(stored(cases))
    assert post(server, sms("PRINGSEWU jalan berlubang")) == 200
    eventually(lambda: len(stored(cases)) > before)


def test_a_redelivery_is_accepted_and_stored_once(server: Any, stored: Any) -> None:
    request, before = sms(), len(stored())
    assert [post(server, request) for _ in range(3)] == [200] * 3
    assert len(stored()) == before + 1


def test_a_message_delivered_ten_times_at_once_is_stored_once(server: Any, stored: Any) -> None:
    request, before = sms(), len(stored())
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(post(server, request))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == [200] * 10
    assert len(stored()) == before + 1


def test_the_answer_is_twiml_and_carries_the_correlation_id_of_the_row(server: Any, stored: Any) -> None:
    answer = talk(server, raw(sms()))
    assert b"<Response/>" in answer
    assert f"x-correlation-id: {stored()[-1].id.hex}".encode() in answer


def test_a_signed_body_that_is_no_utf_8_is_accepted_and_becomes_a_dead_letter(
    server: Any, stored: Any, eventually: Eventually
) -> None:
    import hmac
    from base64 import b64encode

    sid = f"SM{next(_sids):032d}"
    body = f"MessageSid={sid}&SmsStatus=received&From=%2B6281200000001&To=1708&Body=%FF%FE".encode()
    signed = URL.encode() + b"Body\xff\xfeFrom+6281200000001MessageSid" + sid.encode() + b"SmsStatusreceivedTo1708"
    signature = b64encode(hmac.digest(b"twilio-token-for-tests-only", signed, "sha1")).decode()
    headers = {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature}
    assert post(server, WebhookRequest("POST", URL, headers, body)) == 200
    row = eventually(lambda: next((row for row in stored() if row.state == "dead"), None))
    assert row.reason == "untranslatable: field Body is not UTF-8"


def test_another_charset_in_the_header_changes_nothing(server: Any, stored: Any) -> None:
    kind = "Application/X-WWW-Form-Urlencoded; charset=ISO-8859-1; boundary=x"
    assert post(server, sms("Jalan rusak é"), **{"content-type": kind}) == 200


@pytest.mark.parametrize("path", ["/in/00/sms", "/status"])
def test_a_body_in_chunks_is_411(server: Any, path: str) -> None:
    head = raw(sms(), path, **{"content-length": None, "transfer-encoding": "chunked"}).split(b"\r\n\r\n")[0]
    assert status(talk(server, head + b"\r\n\r\n")) == 411


def test_empty_lines_do_not_keep_a_connection_for_ever(server: Any) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=8) as connection:
        connection.sendall(raw(sms()))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"\r\n")
        answer = b""
        while part := connection.recv(65_536):  # ends when the server closes, or the test fails by its time-out
            answer += part
    assert answer == b"", "nothing was asked"


def test_a_client_that_leaves_after_its_answer_leaves_no_error_behind(server: Any) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port), timeout=8) as connection:
            connection.sendall(raw(sms()))
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
    assert server.get("/health/live").status_code == 200
    assert "Traceback" not in server.log
    assert "AttributeError" not in server.log


def test_a_body_in_many_small_pieces_is_read(server: Any) -> None:
    data = raw(sms("x" * 300))
    pieces = [data[start : start + 97] for start in range(0, len(data), 97)]
    assert status(talk(server, *pieces, pause=0.01)) == 200


def test_a_body_as_large_as_allowed_is_read(server: Any, stored: Any) -> None:
    """The server stops reading past 64 KiB: a picture in a message must not wait for a time limit."""
    before = len(stored())
    assert [post(server, sms(MediaUrl0="x" * size)) for size in (65_000, 130_000, 199_000)] == [200, 200, 200]
    answer = talk(server, b"".join(raw(sms(MediaUrl0="x" * 150_000)) for _ in range(3)))
    assert answer.count(b"HTTP/1.1 200 ") == 3, "pipelined ones too"
    assert len(stored()) == before + 6


def test_pipelined_requests_are_answered_in_their_order(server: Any, stored: Any) -> None:
    before = len(stored())
    answer = talk(server, raw(sms()) + raw(sms()) + raw(sms()))
    assert answer.count(b"HTTP/1.1 200 ") == 3
    assert len(stored()) == before + 3


def test_a_long_train_of_pipelined_requests_is_answered_whole(server: Any, stored: Any) -> None:
    before = len(stored())
    train = b"".join(raw(sms()) for _ in range(100))
    pieces = [train[start : start + 9001] for start in range(0, len(train), 9001)]  # more than the limit of one head
    answer = talk(server, *pieces, pause=0.01)
    assert answer.count(b"HTTP/1.1 200 ") == 100, answer[-300:]
    assert len(stored()) == before + 100


def test_both_ways_in_store_the_same(server: Any, stored: Any, shared: Site) -> None:
    """Whole, a request is recognised by a pattern; in pieces, it goes through the parser."""
    from gateway.wiring import make_keyring

    keyring = make_keyring(shared.settings())
    payloads = []
    for pieces in (1, 2):
        data = raw(request := sms("Jalan rusak"), **{"X-Odd": "\t two  words\xe9 ", "accept": ""})
        cut = len(data) // pieces
        assert (
            status(talk(server, *(data[start : start + cut] for start in range(0, len(data), cut)), pause=0.05)) == 200
        )
        found = WebhookRequest.load(keyring.decrypt(stored()[-1].payload, b"inbox"))
        assert found.body == request.body
        own = {"x-twilio-signature", "i-twilio-idempotency-token", "content-length"}  # of each message
        headers = {name: value for name, value in found.headers.items() if name not in own}
        payloads.append((found.method, found.url, headers))
    assert payloads[0] == payloads[1]
    assert payloads[0][2]["x-odd"] == "two  words\xe9"


def test_what_follows_in_the_same_connection_is_answered_whichever_way_it_comes(server: Any, stored: Any) -> None:
    before = len(stored())
    whole, cut = raw(sms()), raw(sms())
    answer = talk(server, whole, whole + cut[:50], cut[50:] + b"\r\n", raw(sms()), raw(sms())[:-1], pause=0.05)
    assert answer.count(b"HTTP/1.1 200 ") == 4
    assert answer.count(b"HTTP/1.1 ") in (4, 5), "the last one never came whole"
    assert len(stored()) == before + 3, "the second was the first again"


@pytest.mark.parametrize(
    "line",
    [
        b"content-length: 5",  # a second one
        b"Content-Length : 5",
        b"x: a\r\n b",  # folded
        b"x: a\nb: c",
        b"x: a\rb: c",
        b"x y: z",
        b": z",
        b"x: \x00",
        b"transfer-encoding: chunked",
        b"transfer-encoding: identity",
    ],
)
def test_a_head_that_two_programs_could_read_differently_is_refused(server: Any, stored: Any, line: bytes) -> None:
    """Nothing may be smuggled: what the pattern does not know goes to the parser, and that is strict."""
    before = len(stored())
    data = raw(sms()).replace(b"\r\n", b"\r\n" + line + b"\r\n", 1)
    assert status(talk(server, data)) in (400, 411)
    assert len(stored()) == before


def test_one_connection_serves_many_messages(server: Any) -> None:
    with requests.Session() as session:
        for _ in range(5):
            request = sms()
            answer = session.post(server.base + "/in/00/sms", data=request.body, headers=request.headers, timeout=10)
            assert answer.status_code == 200
