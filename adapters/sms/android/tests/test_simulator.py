"""Test the simulated phone with the provider's own Python client, and with a gateway that does not answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from android_sms_gateway import domain, errors, webhooks
from android_sms_gateway.client import APIClient
from android_sms_gateway.enums import HealthStatus, ProcessState, WebhookEvent

from adapters.sms.android.settings import AndroidSettings
from adapters.sms.android.simulator import FakePhone, sign
from adapters.sms.android.simulator import webhooks as phone_webhooks
from gateway.ports import ChannelContext, Secret
from gateway.testing.fixtures import Listener, WaitFor

CITIZEN, OURS = "+6281200000101", "+6281200000100"
PUBLIC = "https://gateway.example/in/18.10/telepon"


MakePhone = Callable[..., FakePhone]  # takes options of `FakePhone`


@pytest.fixture
def make(endpoint: Listener) -> Iterator[MakePhone]:
    """Make phones, and stop them at the end."""
    phones = []

    def phone(**options: object) -> FakePhone:
        defaults: dict[str, object] = {
            "user": "u",
            "password": "p",
            "signing_key": "k",
            "sender": OURS,
            "webhook_url": PUBLIC,
        }
        defaults |= {"deliver_to": endpoint.url, "delivery_delay": 0.01, "retry_first": 0.02}
        phones.append(FakePhone(**(defaults | options)).start())
        return phones[-1]

    yield phone
    for running in phones:
        running.stop()


@pytest.fixture
def fake(make: MakePhone) -> FakePhone:
    return make(path="/3rdparty/v1", local=False)


@pytest.fixture
def client(fake: FakePhone, monkeypatch: pytest.MonkeyPatch) -> Iterator[APIClient]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with APIClient("u", "p", base_url=fake.url) as client:
        yield client


def message(text: str = "Laporan diterima") -> domain.Message:
    text_message = domain.TextMessage(text=text)
    return domain.Message(phone_numbers=[CITIZEN], text_message=text_message, id="m-1", with_delivery_report=True)


def events_at(endpoint: Listener) -> list[dict[str, Any]]:  # JSON
    """Return the events of the webhooks so far."""
    return [json.loads(body) for *_, body, _ in endpoint.calls]


# --- the client ---


def test_client_sends_and_reads_the_state(fake: FakePhone, client: APIClient, wait_for: WaitFor) -> None:
    sent = client.send(message())
    assert sent.id == "m-1"
    assert sent.device_id == fake.device_id
    assert sent.recipients[0].phone_number == CITIZEN
    wait_for(lambda: client.get_state("m-1").state == ProcessState.Delivered)
    assert [state.id for state in client.get_messages()] == ["m-1"]
    assert fake.replies_to(CITIZEN) == ["Laporan diterima"]


def test_a_repeated_id_is_refused(fake: FakePhone, client: APIClient) -> None:
    client.send(message())
    with pytest.raises(errors.APIError) as caught:
        client.send(message())
    assert caught.value.status_code == 409
    assert fake.replies_to(CITIZEN) == ["Laporan diterima"]


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("unauthorized", errors.UnauthorizedError),
        ("reject:phone", errors.BadRequestError),
        ("server_error", errors.InternalServerError),
        ("queue_full", errors.ServiceUnavailableError),
    ],
)
def test_client_has_an_error_for_each_failure(
    fake: FakePhone, client: APIClient, how: str, error: type[Exception]
) -> None:
    fake.fail(how)
    with pytest.raises(error):
        client.send(message())
    assert fake.replies_to(CITIZEN) == []


def test_client_is_refused_with_a_wrong_password(fake: FakePhone) -> None:
    with APIClient("u", "wrong", base_url=fake.url) as client, pytest.raises(errors.UnauthorizedError):
        client.send(message())


def test_client_does_not_find_an_unknown_message(client: APIClient) -> None:
    with pytest.raises(errors.NotFoundError):
        client.get_state("nobody")


def test_client_registers_and_lists_webhooks(client: APIClient) -> None:
    webhook = client.create_webhook(domain.Webhook(id=None, url=PUBLIC, event=WebhookEvent.SMS_RECEIVED))
    assert webhook.id
    assert client.get_webhooks() == [webhook]


def test_client_lists_the_phone(fake: FakePhone, client: APIClient) -> None:
    (device,) = client.list_devices()
    assert device.id == fake.device_id
    fake.go_offline()
    fake.last_seen = datetime.now(UTC) - timedelta(hours=3)
    assert client.list_devices()[0].last_seen == fake.last_seen


def test_client_reads_the_phone_s_health(make: MakePhone) -> None:
    phone = make()
    with APIClient("u", "p", base_url=phone.url) as client:
        assert client.health_check().status == HealthStatus.PASS
        phone.battery = 20
        health = client.health_check()
        assert health.checks["battery:level"].status == HealthStatus.WARN
        assert health.status == HealthStatus.WARN
        phone.battery = 5
        with pytest.raises(errors.InternalServerError):  # as the app does
            client.health_check()


def test_client_asks_for_messages_again(fake: FakePhone, client: APIClient, endpoint: Listener) -> None:
    fake.send(CITIZEN, "jalan rusak", call=False)
    now = datetime.now(UTC)
    period = domain.MessagesExportRequest(
        device_id=fake.device_id, since=now - timedelta(hours=1), until=now + timedelta(hours=1)
    )
    client.export_inbox(period)
    assert [event["payload"]["message"] for event in events_at(endpoint)] == ["jalan rusak"]


def test_client_reads_the_events(make: MakePhone, endpoint: Listener) -> None:
    phone = make()
    phone.send(CITIZEN, "Banjir 😭")
    phone.send(CITIZEN, "foto", [("image/jpeg", b"\xff\xd8")])
    sms, mms = [event["payload"] for event in events_at(endpoint)]
    # The client needs the deprecated field too, which the phone may leave out.
    received = webhooks.SmsReceivedPayload.from_dict(sms | {"phoneNumber": sms["sender"]})
    assert received.sender == CITIZEN
    assert received.recipient == OURS
    assert received.message == "Banjir 😭"
    assert received.received_at == phone.messages()[0].received_at
    picture = webhooks.MmsDownloadedPayload.from_dict(mms | {"phoneNumber": mms["sender"]})
    (attachment,) = picture.attachments
    assert attachment.content_type == "image/jpeg"
    assert attachment.size == 2


# --- webhooks ---


def test_webhook_is_signed_and_goes_to_the_public_address(make: MakePhone, endpoint: Listener) -> None:
    phone = make()
    sent = phone.send(CITIZEN, "x")
    assert sent.status == 200
    assert sent.error is None
    (call,) = endpoint.calls
    assert call.target == "/in/18.10/telepon"
    assert call.headers["host"] == "gateway.example"
    assert call.headers["x-signature"] == sign("k", call.body, call.headers["x-timestamp"])
    assert call.headers["content-type"] == "application/json"


def test_webhook_is_tried_again(make: MakePhone, endpoint: Listener, wait_for: WaitFor) -> None:
    phone = make()
    endpoint.answers = [503, 500, 404]
    assert phone.send(CITIZEN, "x").status == 503
    wait_for(lambda: len(endpoint.calls) == 4)
    wait_for(lambda: not phone.waiting())
    assert len({call.body for call in endpoint.calls}) == 1


def test_each_attempt_is_signed_at_its_own_time(
    make: MakePhone, endpoint: Listener, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([1_772_600_767, 1_772_600_777])
    monkeypatch.setattr(phone_webhooks, "time", SimpleNamespace(time=lambda: next(seconds), monotonic=time.monotonic))
    phone = make()
    endpoint.answers = [503]
    phone.send(CITIZEN, "x")
    wait_for(lambda: len(endpoint.calls) == 2)
    assert [call.headers["x-timestamp"] for call in endpoint.calls] == ["1772600767", "1772600777"]
    for call in endpoint.calls:
        assert call.headers["x-signature"] == sign("k", call.body, call.headers["x-timestamp"])


def test_webhook_is_given_up_in_the_end(make: MakePhone, endpoint: Listener, wait_for: WaitFor) -> None:
    phone = make(retries=2, retry_first=0.01)
    endpoint.answers = [500] * 3
    phone.send(CITIZEN, "x")
    wait_for(lambda: len(endpoint.calls) == 3)
    assert phone.waiting() == 0


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 10), (1, 20), (2, 40), (3, 80)])
def test_waits_double(attempts: int, seconds: float) -> None:
    assert phone_webhooks.retry_delay(10, attempts) == seconds


def test_phone_that_comes_back_sends_what_waited(make: MakePhone, endpoint: Listener, wait_for: WaitFor) -> None:
    phone = make(retry_first=60)
    phone.go_offline()
    assert phone.send(CITIZEN, "x").status is None
    assert endpoint.calls == []
    assert phone.waiting() == 1
    phone.come_back()
    wait_for(lambda: len(endpoint.calls) == 1)


def test_server_keeps_replies_for_a_phone_that_is_off(fake: FakePhone, client: APIClient, wait_for: WaitFor) -> None:
    fake.go_offline()
    client.send(message())
    assert client.get_state("m-1").state == ProcessState.Pending
    assert client.get_state("m-1").states == {}
    fake.come_back()
    wait_for(lambda: client.get_state("m-1").state == ProcessState.Delivered)


def test_every_part_is_reported(fake: FakePhone, client: APIClient, endpoint: Listener, wait_for: WaitFor) -> None:
    client.send(message(text="ä" * 150))
    wait_for(lambda: len(endpoint.calls) == 4)
    assert [event["event"] for event in events_at(endpoint)] == ["sms:sent", *["sms:delivered"] * 3]
    assert {event["payload"]["messageId"] for event in events_at(endpoint)} == {"m-1"}


def test_card_without_service_fails(fake: FakePhone, client: APIClient, endpoint: Listener, wait_for: WaitFor) -> None:
    fake.lose_service()
    client.send(message())
    wait_for(lambda: endpoint.calls)
    (event,) = events_at(endpoint)
    assert event["event"] == "sms:failed"
    assert event["payload"]["recipient"] == CITIZEN
    assert client.get_state("m-1").state == ProcessState.Failed


# --- the phone's own list ---


def listed(phone: FakePhone, **query: int) -> requests.Response:
    now = datetime.now(UTC)
    params: dict[str, str | int] = {
        "type": "SMS",
        "from": (now - timedelta(days=1)).isoformat(),
        "to": (now + timedelta(hours=1)).isoformat(),
    }
    return requests.get(f"{phone.url}/inbox", params=params | query, auth=("u", "p"), timeout=5)


def test_list_has_what_the_app_has_seen(make: MakePhone) -> None:
    phone = make()
    phone.send(CITIZEN, "satu")
    phone.send(CITIZEN, "dua", seen=False)
    assert [row["contentPreview"] for row in listed(phone).json()] == ["satu"]
    now = datetime.now(UTC).isoformat()
    requests.post(f"{phone.url}/inbox/refresh", json={"since": now, "until": now}, auth=("u", "p"), timeout=5)
    assert sorted(row["contentPreview"] for row in listed(phone).json()) == ["dua", "satu"]
    assert len(listed(phone, limit=1, offset=1).json()) == 1
    assert listed(phone, limit=501).status_code == 400


def test_server_and_older_app_have_no_list(make: MakePhone, fake: FakePhone) -> None:
    assert listed(fake).status_code == 501
    phone = make()
    phone.old = True
    assert listed(phone).status_code == 404


# --- as the `simulate` command uses it ---


def test_counterpart_of_a_configured_channel(make: MakePhone) -> None:
    context = ChannelContext(region="18.10", channel="telepon", webhook_url=PUBLIC)
    required = {"user": "u", "password": Secret("p"), "signing_key": Secret("k"), "sender": OURS}
    settings = AndroidSettings(**required, api_base="http://127.0.0.1:17999/3rdparty/v1")
    phone = FakePhone.from_settings(settings, context, deliver_to="http://127.0.0.1:1")
    assert phone.url == "http://127.0.0.1:17999/3rdparty/v1"
    assert phone.sender == OURS
    assert phone.local is False
    with pytest.raises(ValueError, match="api_base"):
        FakePhone.from_settings(AndroidSettings(**required), context)


def test_another_process_asks_for_the_replies(make: MakePhone, fake: FakePhone, client: APIClient) -> None:
    client.send(message())
    assert fake.replies_elsewhere(CITIZEN) == ["Laporan diterima"]
    assert fake.replies_elsewhere(OURS) == []
    base = fake.url.removesuffix("/3rdparty/v1")
    answer = requests.post(f"{base}/_simulator/send", json={"from": CITIZEN, "text": "x"}, timeout=5)
    assert answer.json()["status"] == 200


def test_unknown_failure_is_refused(fake: FakePhone) -> None:
    with pytest.raises(ValueError, match="unknown failure"):
        fake.fail("invented")


def test_phone_that_is_offline_answers_nothing_and_keeps_its_failures(make: MakePhone) -> None:
    phone = make()
    phone.fail("reject:418", on="read")
    phone.go_offline()
    with pytest.raises(requests.ConnectionError):
        listed(phone)
    phone.come_back()
    assert [listed(phone).status_code for _ in range(2)] == [418, 200]


def test_same_port_after_a_stop(make: MakePhone) -> None:
    phone = make()
    before = phone.url
    phone.stop()
    phone.start()
    assert phone.url == before
