"""Test the simulated aggregator alone, without the adapter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from adapters.sms.http.simulator import FakeAggregator, calls
from gateway.ports import ChannelContext, Secret
from gateway.testing.fixtures import Listener, WaitFor

CITIZEN = "+6281200000101"
PUBLIC = "https://gateway.example/in/00/sms"


def settings(**changes: dict[str, object]) -> SimpleNamespace:
    """Return settings with the names of the adapter's settings; a change replaces keys of a table."""
    receive = {
        "method": "GET",
        "body": "form",
        "id": "id",
        "sender": "from",
        "recipient": "to",
        "text": "text",
        "hex": None,
        "charset": "utf-8",
        "charset_from": None,
        "coding_from": None,
        "coding_raw": False,
        "codings": {},
        "sent_at": None,
        "time_format": "iso",
        "utc_offset": "+07:00",
    }
    send = {
        "url": "http://127.0.0.1:1/send?v=1",
        "method": "POST",
        "body": "form",
        "parameters": {"to": "{to}", "text": "{text}", "key": "{key}", "ref": "{id}", "dlr": "{callback}"},
        "gsm": {},
        "unicode": {},
        "headers": {},
        "secrets": {"key": Secret("right")},
        "basic": None,
        "charset": "utf-8",
        "id": "/^OK ([0-9a-f-]+)$/",
        "code": None,
        "outcomes": {},
    }
    token = SimpleNamespace(parameter="token", header=None, value=Secret("secret"))
    return SimpleNamespace(
        sender="1708",
        auth=SimpleNamespace(token=token, basic=None, hmac=None, addresses=(), networks=()),
        receive=SimpleNamespace(**receive | changes.get("receive", {})),
        send=SimpleNamespace(**send | changes.get("send", {})),
        receipts=SimpleNamespace(id="mid", status="st", when=None, states={"S": "sent", "D": "delivered"}),
    )


@pytest.fixture
def fake(endpoint: Listener) -> Iterator[FakeAggregator]:
    with FakeAggregator(settings(), webhook_url=PUBLIC, deliver_to=endpoint.url, delivery_delay=0.01) as fake:
        yield fake


def post(fake: FakeAggregator, **changes: str) -> requests.Response:
    form = {"to": CITIZEN, "text": "Laporan diterima", "key": "right", "ref": "r1", "dlr": PUBLIC}
    return requests.post(f"{fake.url}/send?v=1", form | changes, timeout=5)


def test_a_citizens_message(fake: FakeAggregator, endpoint: Listener) -> None:
    sent = fake.send(CITIZEN, "Jalan rusak & gelap")
    assert sent.status == 200
    assert sent.error is None
    (call,) = endpoint.calls
    assert call.method == "GET"
    assert urlsplit(call.target).path == "/in/00/sms"
    assert dict(parse_qsl(urlsplit(call.target).query)) == {
        "id": sent.sid,
        "from": CITIZEN,
        "to": "1708",
        "text": "Jalan rusak & gelap",
        "token": "secret",
    }


def test_a_refusal_is_returned(fake: FakeAggregator, endpoint: Listener) -> None:
    endpoint.answer = 503
    assert fake.send(CITIZEN, "x").status == 503


def test_a_reply_is_taken_and_reported(fake: FakeAggregator, endpoint: Listener, wait_for: WaitFor) -> None:
    messages = []
    fake.subscribe(messages.append)
    answer = post(fake)
    (message,) = fake.replies(CITIZEN)
    assert answer.text == f"OK {message.id}"
    assert message.from_ == "1708"
    assert message.to == CITIZEN
    assert message.body == "Laporan diterima"
    assert messages == [message]
    wait_for(lambda: len(fake.receipts) == 2)
    assert fake.receipts == [("S", 200), ("D", 200)]
    queries = [dict(parse_qsl(urlsplit(call.target).query)) for call in endpoint.calls]
    assert queries == [{"mid": message.id, "st": status, "token": "secret"} for status in "SD"]


def test_a_repeated_id_is_dropped(fake: FakeAggregator) -> None:
    assert post(fake).text == post(fake).text
    assert fake.replies_to(CITIZEN) == ["Laporan diterima"]


def test_another_id_is_another_message(fake: FakeAggregator) -> None:
    assert post(fake, ref="r2").text != post(fake).text
    assert len(fake.replies_to(CITIZEN)) == 2


@pytest.mark.parametrize(
    ("changes", "status"), [({"key": "wrong"}, 401), ({"to": "warga"}, 400), ({"more": "x"}, 400), ({"dlr": ""}, 200)]
)
def test_a_wrong_call_is_refused(fake: FakeAggregator, changes: dict[str, str], status: int) -> None:
    assert post(fake, **changes).status_code == status
    assert len(fake.replies()) == (status == 200)


@pytest.mark.parametrize(
    ("how", "status"), [("throttle", 429), ("server_error", 500), ("unauthorized", 401), ("reject:422", 422)]
)
def test_failures_on_demand(fake: FakeAggregator, how: str, status: int) -> None:
    fake.fail(how)
    assert post(fake).status_code == status
    assert fake.replies() == []
    assert post(fake).status_code == 200


def test_a_lost_answer_is_a_message_all_the_same(fake: FakeAggregator) -> None:
    fake.fail("drop_after_accept")
    with pytest.raises(requests.ConnectionError):
        post(fake)
    assert len(fake.replies()) == 1


@pytest.mark.parametrize(("how", "on"), [("x", "send"), ("reject:x", "send"), ("throttle", "list")])
def test_unknown_failures_are_refused(fake: FakeAggregator, how: str, on: str) -> None:
    with pytest.raises(ValueError, match="unknown"):
        fake.fail(how, on=on)


def test_another_process_can_read_the_replies(fake: FakeAggregator) -> None:
    post(fake)
    assert fake.replies_elsewhere(CITIZEN) == ["Laporan diterima"]


def test_another_process_can_send_a_message(fake: FakeAggregator) -> None:
    answer = requests.post(f"{fake.url}/_simulator/send", json={"from": CITIZEN, "text": "halo"}, timeout=5)
    assert answer.json()["status"] == 200


@pytest.mark.parametrize(("name", "status"), [("fail", 400), ("other", 404)])
def test_unknown_order_of_another_process_is_refused(fake: FakeAggregator, name: str, status: int) -> None:
    answer = requests.post(f"{fake.url}/_simulator/{name}", json={"how": "x"}, timeout=5)
    assert answer.status_code == status


@pytest.mark.parametrize("url", ["https://sms.example/send", "http://127.0.0.1/send", "http://localhost:8/x"])
def test_only_a_port_of_this_machine_is_simulated(url: str) -> None:
    context = ChannelContext(region="00", channel="sms", webhook_url=PUBLIC)
    with pytest.raises(ValueError, match=r"send\.url"):
        FakeAggregator.from_settings(settings(send={"url": url}), context)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("Jalan rusak", {"coding": b"\x00", "text": b"Jalan rusak", "hex": b"Jalan rusak".hex()}),
        ("[x]", {"coding": b"\x08", "text": b"\x00[\x00x\x00]", "hex": "005b0078005d"}),
    ],
)
def test_coding_as_one_byte_and_hex(text: str, fields: dict[str, object]) -> None:
    receive = {"hex": "hex", "coding_from": "coding", "coding_raw": True, "codings": {"0": "gsm", "8": "ucs-2"}}
    assert calls.coded(settings(receive=receive).receive, text) == fields


@pytest.mark.parametrize(
    ("places", "values", "answer"),
    [
        ([None, None], ["", "i"], b"OK"),
        ([r"/^(\d+):/", None], ["0", "i"], b"0:"),
        ([None, '/^Success "([^"]+)"/'], ["", "i"], b'Success "i"'),
        (["status", "data.id"], ["0", "i"], {"status": "0", "data": {"id": "i"}}),
    ],
)
def test_answers_hold_what_the_settings_look_for(
    places: list[str | None], values: list[str], answer: bytes | dict[str, object]
) -> None:
    text = calls.answer_text(places, values)
    assert (json.loads(text) if isinstance(answer, dict) else text) == answer


def test_an_answer_that_is_too_complex_for_a_simulator_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot simulate"):
        calls.answer_text([None, r"/id=[0-9]+;(x+)/"], ["", "i"])
