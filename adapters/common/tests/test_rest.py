"""Test the client of HTTP APIs."""

from __future__ import annotations

import gzip
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from adapters.common import rest
from adapters.sms.twilio.simulator import FakeTwilio
from gateway.domain.errors import Rejected, Throttled, Unavailable
from gateway.simulation.server import Answer

CITIZEN = "+6281200000999"


class Canned(FakeTwilio):
    """Answer every call with the same bytes, and keep its header Authorization."""

    answer = Answer(200)
    authorization = ""

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
def test_status_that_is_not_about_the_message_is_unavailable(canned: Canned, client: rest.Client, status: int) -> None:
    canned.answer = Answer(status, headers={"Retry-After": "7"})
    error = rest.failure("refused", client.call("POST", canned.url))
    assert type(error) is Unavailable
    assert error.retry_after == 7.0


@pytest.mark.parametrize("status", [400, 402, 409, 410, 413, 422])
def test_status_that_is_about_the_message_is_rejected(canned: Canned, client: rest.Client, status: int) -> None:
    canned.answer = Answer(status)
    assert type(rest.failure("refused", client.call("POST", canned.url))) is Rejected


def test_error_that_an_operator_can_repair_is_unavailable(canned: Canned, client: rest.Client) -> None:
    canned.answer = Answer(400)
    error = rest.failure("refused", client.call("POST", canned.url), cause="the sender is wrong")
    assert type(error) is Unavailable
    assert str(error.message) == "refused; cause: the sender is wrong"


@contextmanager
def answering(*pieces: bytes) -> Iterator[str]:
    """Serve one connection with these bytes; yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):  # the client has gone
                connection.recv(65536)
                for piece in pieces:
                    connection.sendall(piece)

        server = threading.Thread(target=serve)
        server.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.join()


@pytest.mark.parametrize(("seconds", "in_time"), [(0.9, True), (1.1, False)])
def test_a_slow_answer_is_given_up_after_twice_the_timeout(
    client: rest.Client, monkeypatch: pytest.MonkeyPatch, seconds: float, in_time: bool
) -> None:
    clock = iter([0.0, seconds])  # at the start, and after the body has come
    monkeypatch.setattr(rest, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with answering(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc") as url:
        if in_time:
            assert client.call("GET", url).content == b"abc"
        else:
            with pytest.raises(Unavailable, match="in time"):
                client.call("GET", url)


def test_an_answer_without_end_does_not_fill_the_memory(client: rest.Client) -> None:
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
    with (
        answering(head, *[b"x" * 1_000_000] * (rest.MOST_BYTES // 1_000_000 + 2)) as url,
        pytest.raises(Unavailable, match="more than"),
    ):
        client.call("GET", url)


def test_a_body_in_chunks_is_whole(client: rest.Client) -> None:
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    with answering(chunked) as url:
        assert client.call("GET", url).content == b"abcde"


def test_a_packed_body_is_unpacked(client: rest.Client) -> None:
    packed = gzip.compress(b"Jalan rusak " * 9000)
    with answering(
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed), packed
    ) as url:
        assert client.call("GET", url).text == "Jalan rusak " * 9000


def test_a_body_that_is_cut_off_is_unavailable(client: rest.Client) -> None:
    with answering(b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\nabc") as url, pytest.raises(Unavailable):
        client.call("GET", url)


@pytest.mark.parametrize(("status", "busy"), [(429, False), (400, True)])
def test_too_many_calls_are_throttled(canned: Canned, client: rest.Client, status: int, busy: bool) -> None:
    canned.answer = Answer(status, headers={"Retry-After": "90000"})
    error = rest.failure("refused", client.call("POST", canned.url), busy=busy)
    assert type(error) is Throttled
    assert error.retry_after == rest.MAX_RETRY_AFTER


@pytest.mark.parametrize("value", ["", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1.5", "²"])
def test_retry_after_without_seconds_is_ignored(value: str) -> None:
    assert rest.retry_after({"Retry-After": value}) is None


def test_redirects_are_answers(canned: Canned, client: rest.Client) -> None:
    canned.answer = Answer(307, headers={"Location": f"{canned.url}/elsewhere"})
    assert client.call("POST", canned.url, body=b"x").status_code == 307
    assert len(canned.calls) == 1


@pytest.mark.parametrize(("login", "header"), [(None, "Bearer ours"), (("a", "b"), "Basic YTpi")])
def test_a_netrc_changes_no_login(
    canned: Canned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, login: tuple[str, str] | None, header: str
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    rest.Client("the API", timeout=5, login=login).call("GET", canned.url, headers={"Authorization": "Bearer ours"})
    assert canned.authorization == header


def test_no_answer_in_time_is_unavailable(canned: Canned, client: rest.Client) -> None:
    canned.fail("timeout", on="list")
    with pytest.raises(Unavailable, match="the API did not answer in time"):
        client.call("GET", canned.url)


def test_no_connection_is_unavailable(canned: Canned, client: rest.Client) -> None:
    url = canned.url
    canned.stop()
    with pytest.raises(Unavailable, match=r"the API cannot be reached \(ConnectionError\)"):
        client.call("GET", url)


def test_header_that_http_cannot_carry_is_unavailable(canned: Canned, client: rest.Client) -> None:
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


def test_an_error_quotes_no_url() -> None:
    with pytest.raises(Unavailable) as caught, rest.reaching("the API"):
        raise requests.ConnectionError(f"https://x/?to={CITIZEN}")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
