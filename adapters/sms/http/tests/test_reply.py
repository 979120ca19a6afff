"""Test how a reply is sent to an aggregator."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.sms.http.adapter import HttpSms
from adapters.sms.http.simulator import FakeAggregator
from adapters.sms.http.tests.support import CITIZEN, CONTEXT, URL, a_reply, example, make, pointed
from gateway.domain.errors import Rejected, Throttled, Unavailable
from gateway.simulation.server import Answer


@pytest.fixture
def jasmin() -> Iterator[FakeAggregator]:
    with FakeAggregator(example("jasmin"), webhook_url=URL) as fake:
        yield fake


def test_reply_is_folded(jasmin: FakeAggregator) -> None:
    HttpSms(pointed(example("jasmin"), jasmin.url), CONTEXT).reply(a_reply("“Laporan” – diterima…"))
    assert jasmin.replies_to(CITIZEN) == ['"Laporan" - diterima...']


def test_wrong_password_lets_the_reply_live(jasmin: FakeAggregator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JASMIN_PASSWORD", "wrong")
    with pytest.raises(Unavailable, match="password") as caught:
        HttpSms(pointed(example("jasmin"), jasmin.url), CONTEXT).reply(a_reply())
    assert type(caught.value) is Unavailable


@pytest.mark.parametrize(
    ("how", "error"),
    [("reject:412", Unavailable), ("reject:403", Unavailable), ("reject:422", Rejected), ("reject:503", Unavailable)],
)
def test_http_statuses(jasmin: FakeAggregator, how: str, error: type[Throttled | Unavailable | Rejected]) -> None:
    jasmin.fail(how)
    with pytest.raises(error) as caught:
        HttpSms(pointed(example("jasmin"), jasmin.url), CONTEXT).reply(a_reply())
    assert type(caught.value) is error


class Canned(FakeAggregator):
    """Answer every call with the same bytes, and keep the last call."""

    status = 200
    body = b""
    target = ""
    authorization = ""

    def _serve(self, method: str, target: str, authorization: str, body: bytes) -> Answer:
        self.target = target
        self.authorization = authorization
        return Answer(self.status, self.body, {"Retry-After": "7"})


@pytest.fixture
def canned() -> Iterator[Canned]:
    with Canned(example("json"), webhook_url=URL) as fake:
        yield fake


@pytest.mark.parametrize(
    ("status", "body", "error", "error_text"),
    [
        (200, b'{"status":"17"}', Throttled, "code 17"),
        (200, b'{"status":17}', Throttled, "code 17"),
        (200, b'{"status":"21"}', Unavailable, "code 21"),
        (200, b'{"status":"30"}', Rejected, "code 30"),
        (200, b'{"status":"99"}', Unavailable, "code 99"),
        (400, b'{"status":"30"}', Rejected, "code 30"),
        (500, b'{"status":"30"}', Rejected, "code 30"),
        (200, b'{"status":"saldo +6281200000999 habis"}', Unavailable, "not in outcomes"),
        (200, b'{"status":"6281200000999"}', Unavailable, "not in outcomes"),
        (200, b"<html>", Unavailable, "HTTP 200"),
        (200, b"", Unavailable, "HTTP 200"),
        (302, b"", Unavailable, "HTTP 302"),
        (404, b"", Unavailable, "send.url"),
    ],
)
def test_codes_in_the_answer(
    canned: Canned, status: int, body: bytes, error: type[Throttled | Unavailable | Rejected], error_text: str
) -> None:
    canned.status = status
    canned.body = body
    with pytest.raises(error, match=error_text) as caught:
        HttpSms(pointed(example("json"), canned.url), CONTEXT).reply(a_reply())
    assert type(caught.value) is error
    assert "81200000999" not in str(caught.value)
    assert caught.value.retry_after == (7.0 if error is not Rejected else None)


def test_an_answer_without_the_promised_id_is_still_sent(canned: Canned) -> None:
    canned.body = b'{"status":"0"}'
    reply = a_reply()
    assert HttpSms(pointed(example("json"), canned.url), CONTEXT).reply(reply).external_id == reply.id.hex


def test_the_bytes_of_a_json_reply(canned: Canned) -> None:
    canned.body = b'{"status":"0","data":{"message_id":"A-1"}}'
    reply = a_reply('Kutip "}" {to} 😀')
    assert HttpSms(pointed(example("json"), canned.url), CONTEXT).reply(reply).external_id == "A-1"
    ((method, target, body),) = canned.calls
    assert method == "POST"
    assert target == "/v1/send"
    assert canned.authorization == "Bearer test-aggregator-api-key"
    text = r"Kutip \"}\" {to} 😀"
    start = f'{{"masking":"LAPOR1708","msisdn":"{CITIZEN}","message":"{text}","trx_id":"{reply.id.hex}"'
    assert body.decode() == f'{start},"callback_url":"{URL}"}}'


def test_the_bytes_of_a_kannel_reply(canned: Canned) -> None:
    canned.body = b"0: Accepted for delivery"
    reply = a_reply("Tiket 1 & 2 😀")
    assert HttpSms(pointed(example("kannel"), canned.url), CONTEXT).reply(reply).external_id == reply.id.hex
    assert canned.target == (
        "/cgi-bin/sendsms?username=lapor&password=test-kannel-password&from=1708&to=%2B6281200000999"
        "&text=Tiket+1+%26+2+%F0%9F%98%80&charset=UTF-8&dlr-mask=31"
        "&dlr-url=https%3A%2F%2Flapor.example.go.id%2Fin%2F18.10%2Fsms%3Ftoken%3Dtest-kannel-token"
        f"%26dlr%3D%25d%26reply%3D{reply.id.hex}&coding=2"
    )


def test_a_netrc_changes_nothing(canned: Canned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    canned.body = b'{"status":"0"}'
    HttpSms(pointed(example("json"), canned.url), CONTEXT).reply(a_reply())
    assert canned.authorization == "Bearer test-aggregator-api-key"


def test_basic_when_sending(canned: Canned) -> None:
    login = {"username": "gw", "password": {"env": "AGGREGATOR_KEY"}}
    canned.body = b'{"status":"0"}'
    settings = example("json", send={"headers": {}, "basic": login})
    HttpSms(pointed(settings, canned.url), CONTEXT).reply(a_reply())
    assert canned.authorization == "Basic " + base64.b64encode(b"gw:test-aggregator-key").decode()


def test_a_host_that_does_not_answer_is_unavailable(jasmin: FakeAggregator) -> None:
    adapter = HttpSms(pointed(example("jasmin"), jasmin.url), CONTEXT)
    jasmin.stop()
    with pytest.raises(Unavailable, match="cannot be reached"):
        adapter.reply(a_reply())


def test_without_the_table_send_a_reply_is_rejected() -> None:
    with pytest.raises(Rejected, match="replies = false"):
        make("jasmin", send=None).reply(a_reply())


def test_parts_are_counted_as_folded() -> None:
    assert make("kannel").parts("“" * 160) == 1
    assert make("kannel").parts("😭" * 36) == 2
