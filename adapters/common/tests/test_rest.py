"""What the clients of HTTP APIs share."""

from __future__ import annotations

import gzip
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from adapters.common import rest
from adapters.sms.twilio.simulator import FakeTwilio
from gateway.domain.errors import Rejected, Throttled, Unavailable
from gateway.simulation.server import Answer

CITIZEN = "+6281200000999"


class Canned(FakeTwilio):
    """Answers every call with the same bytes."""

    answer = Answer(200)

    def _serve(self, method: str, target: str, authorization: str, body: bytes) -> Answer:
        self.authorization = authorization
        return self.answer


@pytest.fixture
def canned() -> Iterator[Canned]:
    with Canned(account_sid="AC1", auth_token="t", sender="1708") as provider:
        yield provider


@pytest.fixture
def client() -> rest.Client:
    return rest.Client("the API", timeout=0.5)


@pytest.mark.parametrize("status", [401, 403, 404, 405, 407, 408, 425, 302, 500, 502, 503])
def test_what_is_not_the_message_s_fault_is_for_later(canned: Canned, client: rest.Client, status: int) -> None:
    canned.answer = Answer(status, headers={"Retry-After": "7"})
    error = rest.failure("said", client.call("POST", canned.url))
    assert (type(error), error.retry_after) == (Unavailable, 7.0)


@pytest.mark.parametrize("status", [400, 402, 409, 410, 413, 422])
def test_what_is_the_message_s_fault_is_for_never(canned: Canned, client: rest.Client, status: int) -> None:
    canned.answer = Answer(status)
    answer = client.call("POST", canned.url)
    assert type(rest.failure("said", answer)) is Rejected
    fixed = rest.failure("said", answer, fix="correct the sender")
    assert (type(fixed), str(fixed.message)) == (Unavailable, "said: correct the sender")


@contextmanager
def answering(*pieces: bytes, pause: float = 0) -> Iterator[str]:
    """Serve one connection with these bytes, a pause before each piece; yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):  # the client has gone
                connection.recv(65536)
                for piece in pieces:
                    time.sleep(pause)
                    connection.sendall(piece)

        server = threading.Thread(target=serve)
        server.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.join()


def test_an_answer_that_drips_does_not_hold_up_the_replies_for_ever(client: rest.Client) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n"
    began = time.monotonic()
    with answering(head, *[b"x"] * 40, pause=0.1) as url, pytest.raises(Unavailable, match="in time"):
        client.call("GET", url)
    assert time.monotonic() - began < 3


def test_an_answer_without_end_does_not_fill_the_memory(client: rest.Client) -> None:
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
    with (
        answering(head, *[b"x" * 1_000_000] * (rest.MOST_BYTES // 1_000_000 + 2)) as url,
        pytest.raises(Unavailable, match="more than"),
    ):
        client.call("GET", url)


def test_a_body_in_chunks_or_packed_is_whole_and_one_that_is_cut_off_is_none(client: rest.Client) -> None:
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    with answering(chunked) as url:
        assert client.call("GET", url).content == b"abcde"
    packed = gzip.compress(b"Jalan rusak " * 9000)
    with answering(
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed), packed
    ) as url:
        assert client.call("GET", url).text == "Jalan rusak " * 9000
    with answering(b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\nabc") as url, pytest.raises(Unavailable):
        client.call("GET", url)


@pytest.mark.parametrize(("status", "busy"), [(429, False), (400, True)])
def test_slower_is_heard(canned: Canned, client: rest.Client, status: int, busy: bool) -> None:
    canned.answer = Answer(status, headers={"Retry-After": "90000"})
    error = rest.failure("said", client.call("POST", canned.url), busy=busy)
    assert (type(error), error.retry_after) == (Throttled, rest.MAX_RETRY_AFTER)


@pytest.mark.parametrize("value", ["", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1.5", "²"])
def test_what_is_no_number_of_seconds_is_no_wait(value: str) -> None:
    assert rest.retry_after({"Retry-After": value}) is None


def test_redirects_are_answers(canned: Canned, client: rest.Client) -> None:
    canned.answer = Answer(307, headers={"Location": f"{canned.url}/elsewhere"})
    assert client.call("POST", canned.url, body=b"x").status_code == 307
    assert len(canned.calls) == 1


@pytest.mark.parametrize(("login", "seen"), [(None, "Bearer ours"), (("a", "b"), "Basic YTpi")])
def test_a_netrc_changes_no_login(
    canned: Canned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, login: tuple[str, str] | None, seen: str
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    rest.Client("the API", timeout=5, login=login).call("GET", canned.url, headers={"Authorization": "Bearer ours"})
    assert canned.authorization == seen


def test_no_answer_is_for_later(canned: Canned, client: rest.Client) -> None:
    canned.fail("timeout", on="list")
    with pytest.raises(Unavailable, match="the API did not answer in time"):
        client.call("GET", canned.url)
    url = canned.url
    canned.stop()
    with pytest.raises(Unavailable, match=r"the API cannot be reached \(ConnectionError\)"):
        client.call("GET", url)


def test_what_cannot_be_written_is_for_later(canned: Canned, client: rest.Client) -> None:
    with pytest.raises(Unavailable, match="cannot be called"):
        client.call("POST", canned.url, headers={"X-Text": "😭"})
    assert not canned.calls


def test_logs_hold_no_query(canned: Canned, client: rest.Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client.call("GET", canned.url, query={"to": CITIZEN})
    assert caplog.records
    assert "81200000999" not in caplog.text + "".join(repr(record.__dict__) for record in caplog.records)


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), rest.reaching("the API"):
        raise ZeroDivisionError
    with pytest.raises(Unavailable) as caught, rest.reaching("the API"):
        raise requests.ConnectionError(f"https://x/?to={CITIZEN}")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
