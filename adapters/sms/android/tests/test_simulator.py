"""The simulated phone, spoken to by the provider's own Python client, and what it does when nobody answers."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
import requests
from android_sms_gateway import domain, errors, webhooks
from android_sms_gateway.client import APIClient
from android_sms_gateway.enums import HealthStatus, ProcessState, WebhookEvent

from adapters.sms.android.simulator import FakePhone, sign
from gateway.ports import ChannelContext, Secret

CITIZEN, OURS = "+6281200000101", "+6281200000100"
PUBLIC = "https://gateway.example/in/18.10/telepon"


@pytest.fixture
def make(endpoint):
    """Make phones, and stop them at the end."""
    made = []

    def phone(**options):
        given = {"user": "u", "password": "p", "signing_key": "k", "sender": OURS, "webhook_url": PUBLIC}
        given |= {"deliver_to": endpoint.url, "delivery_delay": 0.01, "retry_first": 0.02}
        made.append(FakePhone(**(given | options)).start())
        return made[-1]

    yield phone
    for one in made:
        one.stop()


@pytest.fixture
def fake(make):
    return make(path="/3rdparty/v1", local=False)


@pytest.fixture
def client(fake):
    with APIClient("u", "p", base_url=fake.url) as client:
        client.http._session.trust_env = False
        yield client


def message(id="m-1", text="Laporan diterima", **options):
    text_message = domain.TextMessage(text=text)
    return domain.Message(
        phone_numbers=[CITIZEN], text_message=text_message, id=id, with_delivery_report=True, **options
    )


def told(endpoint):
    """Return the events that the gateway was sent."""
    return [json.loads(body) for *_, body, _ in endpoint.calls]


# --- the client ---


def test_client_sends_and_reads_the_state(fake, client, wait_for):
    sent = client.send(message())
    assert (sent.id, sent.device_id) == ("m-1", fake.device_id)
    assert sent.recipients[0].phone_number == CITIZEN
    wait_for(lambda: client.get_state("m-1").state == ProcessState.Delivered)
    assert [state.id for state in client.get_messages()] == ["m-1"]
    assert fake.replies_to(CITIZEN) == ["Laporan diterima"]


def test_client_learns_that_an_id_is_known(fake, client):
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
def test_client_knows_the_failures(fake, client, how, error):
    fake.fail(how)
    with pytest.raises(error):
        client.send(message())
    assert fake.replies_to(CITIZEN) == []


def test_client_is_refused_with_a_wrong_password(fake):
    with APIClient("u", "wrong", base_url=fake.url) as client, pytest.raises(errors.UnauthorizedError):
        client.send(message())


def test_client_does_not_find_an_unknown_message(client):
    with pytest.raises(errors.NotFoundError):
        client.get_state("nobody")


def test_client_registers_and_lists_webhooks(client):
    made = client.create_webhook(domain.Webhook(id=None, url=PUBLIC, event=WebhookEvent.SMS_RECEIVED))
    assert made.id
    assert client.get_webhooks() == [made]


def test_client_lists_the_phone(fake, client):
    (device,) = client.list_devices()
    assert device.id == fake.device_id
    fake.go_offline()
    fake.last_seen = datetime.now(UTC) - timedelta(hours=3)
    assert client.list_devices()[0].last_seen == fake.last_seen


def test_client_reads_the_phone_s_health(make):
    phone = make()
    with APIClient("u", "p", base_url=phone.url) as client:
        assert client.health_check().status == HealthStatus.PASS
        phone.battery = 20
        health = client.health_check()
        assert health.checks["battery:level"].status == health.status == HealthStatus.WARN
        phone.battery = 5
        with pytest.raises(errors.InternalServerError):  # as the app does
            client.health_check()


def test_client_asks_for_messages_again(fake, client, endpoint):
    fake.send(CITIZEN, "jalan rusak", call=False)
    now = datetime.now(UTC)
    period = domain.MessagesExportRequest(
        device_id=fake.device_id, since=now - timedelta(hours=1), until=now + timedelta(hours=1)
    )
    client.export_inbox(period)
    assert [event["payload"]["message"] for event in told(endpoint)] == ["jalan rusak"]


def test_client_reads_the_events(make, endpoint):
    phone = make()
    phone.send(CITIZEN, "Banjir 😭")
    phone.send(CITIZEN, "foto", [("image/jpeg", b"\xff\xd8")])
    sms, mms = [event["payload"] for event in told(endpoint)]
    # The client still asks for the name that the documents call deprecated, and that the phone may leave out.
    read = webhooks.SmsReceivedPayload.from_dict(sms | {"phoneNumber": sms["sender"]})
    assert (read.sender, read.recipient, read.message) == (CITIZEN, OURS, "Banjir 😭")
    assert read.received_at == phone.messages()[0].received_at
    picture = webhooks.MmsDownloadedPayload.from_dict(mms | {"phoneNumber": mms["sender"]})
    assert [(one.content_type, one.size) for one in picture.attachments] == [("image/jpeg", 2)]


# --- webhooks ---


def test_webhook_is_signed_and_goes_to_the_public_address(make, endpoint):
    phone = make()
    sent = phone.send(CITIZEN, "x")
    assert (sent.status, sent.error) == (200, None)
    ((_, path, headers, body, _),) = endpoint.calls
    assert (path, headers["host"]) == ("/in/18.10/telepon", "gateway.example")
    assert headers["x-signature"] == sign("k", body, headers["x-timestamp"])
    assert headers["content-type"] == "application/json"


def test_webhook_is_tried_again(make, endpoint, wait_for):
    phone = make()
    endpoint.answers = [503, 500, 404]
    assert phone.send(CITIZEN, "x").status == 503
    wait_for(lambda: len(endpoint.calls) == 4)
    wait_for(lambda: not phone.waiting())
    assert len({body for *_, body, _ in endpoint.calls}) == 1


def test_each_attempt_is_signed_at_its_own_time(make, endpoint, wait_for):
    phone = make(retry_first=1.1)
    endpoint.answers = [503]
    phone.send(CITIZEN, "x")
    wait_for(lambda: len(endpoint.calls) == 2)
    stamps = [headers["x-timestamp"] for _, _, headers, *_ in endpoint.calls]
    assert stamps[0] < stamps[1]
    for stamp, (_, _, headers, body, _) in zip(stamps, endpoint.calls, strict=True):
        assert headers["x-signature"] == sign("k", body, stamp)


def test_webhook_is_given_up_in_the_end(make, endpoint, wait_for):
    phone = make(retries=2, retry_first=0.01)
    endpoint.answers = [500] * 3
    phone.send(CITIZEN, "x")
    wait_for(lambda: len(endpoint.calls) == 3)
    assert phone.waiting() == 0


def test_waits_double(make, endpoint, wait_for):
    phone = make(retry_first=0.1, retries=2)
    endpoint.answers, began = [500] * 3, time.monotonic()
    phone.send(CITIZEN, "x")
    wait_for(lambda: len(endpoint.calls) == 3)
    assert time.monotonic() - began >= 0.3


def test_phone_that_comes_back_sends_what_waited(make, endpoint, wait_for):
    phone = make(retry_first=60)
    phone.go_offline()
    assert phone.send(CITIZEN, "x").status is None
    assert (endpoint.calls, phone.waiting()) == ([], 1)
    phone.come_back()
    wait_for(lambda: len(endpoint.calls) == 1)


def test_server_keeps_replies_for_a_phone_that_is_off(fake, client, wait_for):
    fake.go_offline()
    client.send(message())
    time.sleep(0.05)
    assert client.get_state("m-1").state == ProcessState.Pending
    fake.come_back()
    wait_for(lambda: client.get_state("m-1").state == ProcessState.Delivered)


def test_every_part_is_reported(fake, client, endpoint, wait_for):
    client.send(message(text="ä" * 150))
    wait_for(lambda: len(endpoint.calls) == 4)
    assert [event["event"] for event in told(endpoint)] == ["sms:sent", *["sms:delivered"] * 3]
    assert {event["payload"]["messageId"] for event in told(endpoint)} == {"m-1"}


def test_card_without_service_fails(fake, client, endpoint, wait_for):
    fake.lose_service()
    client.send(message())
    wait_for(lambda: endpoint.calls)
    (event,) = told(endpoint)
    assert (event["event"], event["payload"]["recipient"]) == ("sms:failed", CITIZEN)
    assert client.get_state("m-1").state == ProcessState.Failed


# --- the phone's own list ---


def listed(phone, **query):
    now = datetime.now(UTC)
    period = {"from": (now - timedelta(days=1)).isoformat(), "to": (now + timedelta(hours=1)).isoformat()}
    return requests.get(f"{phone.url}/inbox", params={"type": "SMS"} | period | query, auth=("u", "p"), timeout=5)


def test_list_has_what_the_app_has_seen(make):
    phone = make()
    phone.send(CITIZEN, "satu")
    phone.send(CITIZEN, "dua", seen=False)
    assert [row["contentPreview"] for row in listed(phone).json()] == ["satu"]
    now = datetime.now(UTC).isoformat()
    requests.post(f"{phone.url}/inbox/refresh", json={"since": now, "until": now}, auth=("u", "p"), timeout=5)
    assert sorted(row["contentPreview"] for row in listed(phone).json()) == ["dua", "satu"]
    assert len(listed(phone, limit=1, offset=1).json()) == 1
    assert listed(phone, limit=501).status_code == 400


def test_server_and_older_app_have_no_list(make, fake):
    assert listed(fake).status_code == 501
    phone = make()
    phone.old = True
    assert listed(phone).status_code == 404


# --- as the `simulate` command uses it ---


def test_counterpart_of_a_configured_channel(make):
    from adapters.sms.android.settings import AndroidSettings

    context = ChannelContext(region="18.10", channel="telepon", webhook_url=PUBLIC)
    given = {"user": "u", "password": Secret("p"), "signing_key": Secret("k"), "sender": OURS}
    settings = AndroidSettings(**given, api_base="http://127.0.0.1:17999/3rdparty/v1")
    phone = FakePhone.from_settings(settings, context, deliver_to="http://127.0.0.1:1")
    assert (phone.url, phone.sender, phone.local) == ("http://127.0.0.1:17999/3rdparty/v1", OURS, False)
    with pytest.raises(ValueError, match="api_base"):
        FakePhone.from_settings(AndroidSettings(**given), context)


def test_another_process_asks_for_the_replies(make, fake, client):
    client.send(message())
    assert fake.replies_elsewhere(CITIZEN) == ["Laporan diterima"]
    assert fake.replies_elsewhere(OURS) == []
    said = requests.post(
        f"{fake.url.removesuffix('/3rdparty/v1')}/_simulator/send", json={"from": CITIZEN, "text": "x"}, timeout=5
    )
    assert said.json()["status"] == 200


def test_unknown_failure_is_refused(fake):
    with pytest.raises(ValueError, match="unknown failure"):
        fake.fail("invented")


def test_phone_that_nobody_reaches_answers_nothing_and_keeps_its_failures(make):
    phone = make()
    phone.fail("reject:418", on="read")
    phone.go_offline()
    with pytest.raises(requests.ConnectionError):
        listed(phone)
    phone.come_back()
    assert [listed(phone).status_code for _ in range(2)] == [418, 200]


def test_same_port_after_a_stop(make):
    phone = make()
    before = phone.url
    phone.stop()
    phone.start()
    assert phone.url == before
