"""The front door over real sockets: everything that can arrive is answered, nothing is a 500, no row is lost."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from adapters.sms.twilio.simulator import signed_request
from gateway.ports.wire import WebhookRequest
from gateway.spool.tables import cases, inbox
from gateway.storage.database import Database
from gateway.testing.postgres import PostgresServer, PostgresUnavailable

LIMITS = "header_timeout = 1\nbody_timeout = 1\nmax_body_bytes = 200000\nmax_header_bytes = 8000\nshutdown_timeout = 10"
URL = "http://127.0.0.1:8080/in/00/sms"
_sids = iter(range(10**9))


@pytest.fixture(scope="module")
def shared(new_site: Any, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the site of the one server that this module talks to."""
    root = tmp_path_factory.mktemp("site")
    return new_site(root, f"sqlite:///{root / 'gateway.db'}", None, None).write(server=LIMITS)


@pytest.fixture(scope="module")
def server(shared: Any) -> Iterator[Any]:
    with shared.process("serve") as served:
        yield served


@pytest.fixture
def stored(shared: Any) -> Iterator[Callable[..., list[Any]]]:
    """Return a function that reads the inbox rows of the shared server, oldest first."""
    database = Database(shared.url)

    def read(table: sa.Table = inbox) -> list[Any]:
        with database.read() as connection:
            return list(connection.execute(sa.select(table).order_by(table.c.id)).all())

    yield read
    database.close()


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


# --- what is accepted --------------------------------------------------------------------------------------------


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


def test_an_accepted_message_becomes_a_complaint(server: Any, stored: Any, eventually: Any) -> None:
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
    server: Any, stored: Any, eventually: Any
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


def test_both_ways_in_store_the_same(server: Any, stored: Any, shared: Any) -> None:
    """Whole, a request is recognised by a pattern; in pieces, it goes through the parser."""
    from gateway.bootstrap import make_keyring

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


# --- what is refused ---------------------------------------------------------------------------------------------


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


def test_a_body_that_is_cut_off_is_not_stored(server: Any, stored: Any, eventually: Any) -> None:
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


def test_credentials_are_not_kept_with_a_message(server: Any, shared: Any, stored: Any) -> None:
    from gateway.bootstrap import make_keyring

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


# --- the queue, the database, the end -----------------------------------------------------------------------------


def test_a_busy_channel_is_429_and_a_locked_database_503_and_both_pass(
    new_site: Any, sqlite: str, tmp_path: Path, eventually: Any
) -> None:
    limits = "queue = 4\nchannel_share = 0.5\ncommit_timeout = 1\nshutdown_timeout = 5"
    site = new_site(tmp_path, sqlite, None, None).write(server=limits)
    database = Database(sqlite)
    with site.process("serve", "--stages", "deliver") as served:
        answers: list[bytes] = []
        with database.begin():
            threads = []
            for _ in range(6):
                threads.append(threading.Thread(target=lambda: answers.append(talk(served, raw(sms())))))
                threads[-1].start()
                time.sleep(0.1)
            for thread in threads:
                thread.join(20)
        found = sorted(status(answer) for answer in answers)
        assert set(found) == {429, 503}
        assert all(b"\r\nretry-after: 5\r\n" in answer for answer in answers)
        eventually(lambda: post(served, sms()) == 200)
    database.close()


def test_a_database_that_is_away_is_503_with_retry_after_and_then_passes(
    new_site: Any, tmp_path: Path, eventually: Any
) -> None:
    from gateway.storage.migrate import migrate

    try:
        postgres = PostgresServer(durable=False)
        postgres.start()
    except PostgresUnavailable as exc:
        pytest.skip(f"no PostgreSQL: {exc}")
    with postgres:
        database = Database(postgres.create_database("lapor"))
        migrate(database)
        site = new_site(tmp_path, database.url.render_as_string(hide_password=False), None, None)
        site.write(server="commit_timeout = 5\nshutdown_timeout = 5")
        with site.process("web") as served:
            assert post(served, sms()) == 200
            database.close()
            postgres.stop()
            request = sms()
            answer = talk(served, raw(request))
            assert status(answer) == 503
            assert b"\r\nretry-after: 5\r\n" in answer
            ready = served.get("/health/ready")
            assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
            assert served.get("/health/live").status_code == 200
            assert "lapor_database_up 0.0" in served.get("/metrics").text
            page = served.get("/status")
            assert page.status_code == 200
            assert "Basis data tidak menjawab" in page.text
            postgres.start()
            assert post(served, request) == 200, "the very next message after the database is back"
            assert served.get("/health/ready").status_code == 200
            # The status page's words come from what each process notes now and then, so a lone `web` must do so too.
            eventually(lambda: "last message came in" in served.get("/status.json").text)
            with database.read() as connection:
                assert connection.execute(sa.select(sa.func.count()).select_from(inbox)).scalar() == 2
            database.close()


def test_sigterm_finishes_what_is_in_flight(new_site: Any, sqlite: str, tmp_path: Path) -> None:
    site = new_site(tmp_path, sqlite, None, None).write(server="shutdown_timeout = 10")
    database = Database(sqlite)
    with site.process("serve") as served:
        answers: list[int] = []
        with database.begin():
            thread = threading.Thread(target=lambda: answers.append(post(served, sms())))
            thread.start()
            time.sleep(0.5)  # let it reach the commit, which waits for the transaction of this test
            served.process.terminate()
            time.sleep(0.5)
        thread.join(15)
        assert answers == [200]
        assert served.stop() == 0
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(inbox)).scalar() == 1
    database.close()
