"""Test how a reply is sent by the phone, and looked up."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from adapters.sms.android.adapter import AndroidSms
from adapters.sms.android.simulator import FakePhone
from adapters.sms.android.tests.support import CITIZEN, make
from gateway.domain.errors import Rejected, Throttled, Unavailable
from gateway.ports import Reply, Secret


def a_reply(text: str = "Laporan Anda diterima.") -> Reply:
    return Reply(id=uuid4(), to=CITIZEN, text=text, created_at=datetime.now(UTC))


def test_second_attempt_is_sent_once(fake: FakePhone, adapter: AndroidSms) -> None:
    reply = a_reply()
    assert adapter.reply(reply) == adapter.reply(reply)
    assert fake.replies_to(CITIZEN) == [reply.text]
    assert adapter.reply(reply).external_id == str(reply.id)


def test_the_json_of_a_reply(cloud: FakePhone) -> None:
    adapter = make(api_base=cloud.url, device_id=cloud.device_id, sim_number=2, ttl=600, receipts=False)
    reply = a_reply("Tiket “12345678” – diterima…")
    adapter.reply(reply)
    ((method, target, body),) = cloud.calls
    assert method == "POST"
    assert target == "/3rdparty/v1/messages"
    assert json.loads(body) == {
        "id": str(reply.id),
        "textMessage": {"text": 'Tiket "12345678" - diterima...'},
        "phoneNumbers": [CITIZEN],
        "withDeliveryReport": False,
        "ttl": 600,
        "simNumber": 2,
        "deviceId": cloud.device_id,
    }
    assert len(str(reply.id)) <= 36  # the length of the server's column


@pytest.mark.parametrize(
    ("how", "error", "error_text"),
    [
        ("reject:device", Unavailable, "device_id"),
        ("queue_full", Unavailable, "503"),
        ("redirect", Unavailable, "302"),
        ("reject:phone", Rejected, "400"),
        ("throttle", Throttled, "429"),
    ],
)
def test_error_that_an_operator_can_repair_is_not_final(
    fake: FakePhone, adapter: AndroidSms, how: str, error: type[Throttled | Unavailable | Rejected], error_text: str
) -> None:
    fake.fail(how)
    with pytest.raises(error, match=error_text) as caught:
        adapter.reply(a_reply())
    assert type(caught.value) is error


def test_login_page_of_a_wifi_is_no_receipt(fake: FakePhone, adapter: AndroidSms) -> None:
    fake.fail("not_json")
    with pytest.raises(Unavailable, match="not the API's"):
        adapter.reply(a_reply())
    assert fake.replies_to(CITIZEN) == []


def test_login_page_of_a_wifi_finds_no_reply(fake: FakePhone, adapter: AndroidSms) -> None:
    fake.fail("not_json", on="read")
    with pytest.raises(Unavailable, match="not the API's"):
        adapter.find(a_reply())


def test_waiting_time_is_passed_on(fake: FakePhone, adapter: AndroidSms) -> None:
    fake.fail("queue_full")
    with pytest.raises(Unavailable) as caught:
        adapter.reply(a_reply())
    assert caught.value.retry_after == 60


def test_wrong_login_is_named(fake: FakePhone) -> None:
    with pytest.raises(Unavailable, match="user or password"):
        make(api_base=fake.url, password=Secret("wrong")).reply(a_reply())


def test_wrong_address_is_named(fake: FakePhone) -> None:
    with pytest.raises(Unavailable, match="api_base"):
        make(api_base=f"{fake.url}/wrong").reply(a_reply())


def test_proxy_of_the_environment_is_not_used_for_the_phone(
    fake: FakePhone, adapter: AndroidSms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert adapter.reply(a_reply())


def test_parts() -> None:
    adapter = make()
    assert adapter.parts("x" * 161) == 2
    assert adapter.parts("Diterima – “tiket”") == 1
