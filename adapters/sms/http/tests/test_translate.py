"""Test how the text of a call is read."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from adapters.sms.http.simulator import calls
from adapters.sms.http.tests.support import CITIZEN, MOMENT, URL, example, kannel_call, make, text_of
from gateway.domain.errors import Untranslatable
from gateway.domain.events import Ignored
from gateway.ports.wire import WebhookRequest
from gateway.testing.forge import stored


@pytest.mark.parametrize(
    ("coding", "charset", "octets", "text"),
    [
        ("0", "UTF-8", "Warung é €".encode(), "Warung é €"),
        ("-1", "UTF-8", b"Jalan  rusak", "Jalan  rusak"),
        ("2", "UTF-16BE", "Banjir 😀".encode("utf-16-be"), "Banjir 😀"),
        ("2", "utf-16be", b"\x00a\xd8\x3d", "a\ufffd"),
        ("2", "UTF-16BE", b"\xde\x00\x00a", "\ufffda"),
        ("1", "8-BIT", b"caf\xe9", "café"),
        ("", "", b"polos", "polos"),
    ],
)
def test_kannel_codings(coding: str, charset: str, octets: bytes, text: str) -> None:
    assert text_of(make("kannel"), kannel_call(coding=coding, charset=charset, text=octets)) == text


@pytest.mark.parametrize(
    ("coding", "charset", "octets", "error_text"),
    [
        ("2", "UTF-16BE", b"\x00a\x00", "utf-16-be"),
        ("0", "UTF-8", b"\xff\xfe", "utf-8"),
        ("7", "", b"x", "coding"),
        ("0", "zip", b"x", "character set"),
    ],
)
def test_bytes_that_are_no_text_are_untranslatable(coding: str, charset: str, octets: bytes, error_text: str) -> None:
    with pytest.raises(Untranslatable, match=error_text):
        make("kannel").translate(stored(kannel_call(coding=coding, charset=charset, text=octets)))


def jasmin_call(**fields: str | bytes) -> WebhookRequest:
    defaults: dict[str, str | bytes] = {
        "id": "j1",
        "from": CITIZEN,
        "to": "1708",
        "origin-connector": "op",
        "coding": b"\x00",
    }
    return calls.authenticated(
        example("jasmin"), "POST", URL, {"content-type": calls.FORM}, urlencode(defaults | fields).encode()
    )


@pytest.mark.parametrize(
    ("coding", "octets", "text"),
    [
        (b"\x00", b"Harga 5\x1be \x1b\x3crusak\x1b\x3e \x02", "Harga 5€ [rusak] $"),
        (b"\x00", b"\x1b", " "),
        (b"\x03", b"caf\xe9", "café"),
        (b"\x08", "Banjir 😀".encode("utf-16-be"), "Banjir 😀"),
    ],
)
def test_jasmin_codings(coding: bytes, octets: bytes, text: str) -> None:
    assert text_of(make("jasmin"), jasmin_call(coding=coding, content=octets, binary=octets.hex())) == text
    assert text_of(make("jasmin"), jasmin_call(coding=coding, content=octets)) == text


@pytest.mark.parametrize(
    "fields",
    [
        {"binary": "0g"},
        {"binary": "abc"},
        {"content": b"\x80"},
        {"coding": b"\x04", "content": "x"},
        {"coding": "8", "content": "x"},
    ],
)
def test_jasmin_garbage_is_untranslatable(fields: dict[str, object]) -> None:
    with pytest.raises(Untranslatable):
        make("jasmin").translate(stored(jasmin_call(**fields)))


def test_jasmin_gets_its_own_answer() -> None:
    answer = make("jasmin").accepted(jasmin_call(content="x"))
    assert answer.status == 200
    assert answer.body == b"ACK/Jasmin"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb'{"data":{"trx_id":"1","msisdn":"+62812","message":"a \ud83d b"}}', "a \ufffd b"),
        (rb'{"data":{"trx_id":"1","msisdn":"+62812","message":"a \ud83d\ude00 b"}}', "a 😀 b"),
        (rb'{"data":{"trx_id":1,"msisdn":62812,"message":12}}', "12"),
        (rb'{"data":{"trx_id":"1","msisdn":"+62812","message":""}}', ""),
    ],
)
def test_json_texts(body: bytes, text: str) -> None:
    assert text_of(make("json"), json_call(body)) == text


def json_call(body: bytes) -> WebhookRequest:
    return calls.authenticated(example("json"), "POST", URL, {"content-type": "application/json"}, body)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"data":{"message":"x"}}', b"\xff"])
def test_json_that_cannot_be_read_is_stored_and_untranslatable(body: bytes) -> None:
    request = json_call(body)
    assert make("json").verify(request).key.startswith("unread:")
    with pytest.raises(Untranslatable):
        make("json").translate(stored(request))


@pytest.mark.parametrize("body", [b"[1]", b'{"data":[]}'])
def test_json_of_another_kind_is_stored_and_ignored(body: bytes) -> None:
    request = json_call(body)
    assert make("json").verify(request).key.startswith("unread:")
    (event,) = make("json").translate(stored(request))
    assert isinstance(event, Ignored)


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("iso", "2026-01-02T10:04:05+07:00"),
        ("iso", "2026-01-02T03:04:05Z"),
        ("iso", "2026-01-02 10:04:05"),
        ("unix", "1767323045"),
        ("unix_ms", "1767323045000"),
        ("%d/%m/%Y %H.%M.%S", "02/01/2026 10.04.05"),
    ],
)
def test_times(form: str, value: str) -> None:
    (event,) = make("kannel", receive={"time_format": form}).translate(stored(kannel_call(ts=value)))
    assert event.sent_at == MOMENT


@pytest.mark.parametrize("value", ["kemarin", "9" * 30, "2026-13-01T00:00:00"])
@pytest.mark.parametrize("form", ["iso", "unix", "%Y-%m-%d"])
def test_bad_times_are_untranslatable(form: str, value: str) -> None:
    with pytest.raises(Untranslatable, match="time"):
        make("kannel", receive={"time_format": form}).translate(stored(kannel_call(ts=value)))


def test_our_own_message_is_ignored() -> None:
    request = kannel_call(**{"from": "1708"})
    assert make("kannel").translate(stored(request)) == [Ignored(why="our own message")]
