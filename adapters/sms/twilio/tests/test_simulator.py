"""Test the simulated Twilio with the real SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl

import pytest
import requests
from requests.adapters import HTTPAdapter
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator, get_signature_algorithm
from twilio.rest import Client

from adapters.sms.twilio.simulator import FakeTwilio
from gateway.ports import ChannelContext, Secret
from gateway.testing.fixtures import Call, Listener, WaitFor

SID, TOKEN = "AC" + "f" * 32, "test-token"
CITIZEN = "+6281200000101"
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
PUBLIC = "https://gateway.example/hooks/00/sms?x=1#rc=3&rp=all"
SIGNED = "https://gateway.example/hooks/00/sms?x=1"


class Elsewhere(HTTPAdapter):
    """A transport that replaces Twilio's host by another base URL."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base

    def send(self, request: requests.PreparedRequest, *args: object, **kwargs: object) -> requests.Response:
        request.url = request.url.replace("https://api.twilio.com", self.base, 1)
        return super().send(request, *args, **kwargs)


def sdk(fake: FakeTwilio, token: str = TOKEN, timeout: float = 5.0) -> Client:
    http = TwilioHttpClient(timeout=timeout)
    http.session.trust_env = False
    http.session.mount("https://api.twilio.com", Elsewhere(fake.url))
    return Client(SID, token, http_client=http)


def form_of(call: Call) -> dict[str, str]:
    return dict(parse_qsl(call.body.decode(), keep_blank_values=True))


@pytest.fixture
def fake(endpoint: Listener, tmp_path: Path) -> Iterator[FakeTwilio]:
    with FakeTwilio(
        account_sid=SID,
        auth_token=TOKEN,
        sender="1708",
        webhook_url=PUBLIC,
        deliver_to=endpoint.url,
        journal=tmp_path / "journal",
        delivery_delay=0.01,
    ) as fake:
        yield fake


def test_create_fetch_list(fake: FakeTwilio) -> None:
    client = sdk(fake)
    message = client.messages.create(to=CITIZEN, from_="1708", body="Laporan diterima 😀")
    assert message.status == "queued"
    assert message.direction == "outbound-api"
    assert message.error_code is None
    assert message.date_created.tzinfo is not None
    assert client.messages(message.sid).fetch().body == "Laporan diterima 😀"
    assert [listed.sid for listed in client.messages.list(to=CITIZEN, from_="1708")] == [message.sid]
    assert client.messages.list(to="+6281200000102") == []
    assert fake.replies_to(CITIZEN) == ["Laporan diterima 😀"]


def test_paging_is_complete_and_newest_first(fake: FakeTwilio) -> None:
    for number in range(7):
        fake.send(CITIZEN, str(number), call=False, sent_at=NOON + timedelta(minutes=number))
    client = sdk(fake)
    assert [m.body for m in client.messages.list(to="1708", page_size=3)] == list("6543210")
    page = client.messages.page(to="1708", page_size=3)
    fake.send(CITIZEN, "7", call=False, sent_at=NOON + timedelta(hours=1))  # a newer message moves no page of this list
    assert [m.body for m in page.next_page()] == list("321")


@pytest.mark.parametrize("whole_days", [False, True])
@pytest.mark.parametrize(
    ("limits", "bodies", "same_day"),
    [
        ({"date_sent_after": NOON}, {"0", "1", "24"}, {"-1"}),
        ({"date_sent_before": NOON}, {"-24", "-1", "0"}, {"1"}),
        ({"date_sent": "2026-03-10"}, {"-1", "0", "1"}, set()),
        ({"date_sent_after": "2026-03-11"}, {"24"}, set()),
    ],
)
def test_date_filters(
    limits: dict[str, datetime | str], bodies: set[str], same_day: set[str], whole_days: bool
) -> None:
    with FakeTwilio(account_sid=SID, auth_token=TOKEN, sender="1708", whole_days=whole_days) as fake:
        for hours in (-24, -1, 0, 1, 24):
            fake.send(CITIZEN, str(hours), call=False, sent_at=NOON + timedelta(hours=hours))
        messages = sdk(fake).messages.list(to="1708", **limits)
    assert {message.body for message in messages} == bodies | (same_day if whole_days else set())


def test_media(fake: FakeTwilio) -> None:
    fake.send(CITIZEN, "", [("image/jpeg", b"\xff\xd8 one"), ("image/png", b"two")], call=False)
    (message,) = sdk(fake).messages.list(to="1708")
    assert message.num_media == "2"
    media = sdk(fake).messages(message.sid).media.list()
    assert [m.content_type for m in media] == ["image/jpeg", "image/png"]
    answer = requests.get(fake.url + media[0].uri.removesuffix(".json"), auth=(SID, TOKEN), timeout=5)
    assert answer.content == b"\xff\xd8 one"
    assert answer.headers["Content-Type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("change", "code"),
    [({"to": "siapa"}, 21211), ({"from_": "999"}, 21606), ({"body": ""}, 21602), ({"body": "x" * 1601}, 21617)],
)
def test_faulty_requests_are_refused_like_twilio(fake: FakeTwilio, change: dict[str, str], code: int) -> None:
    with pytest.raises(TwilioRestException) as caught:
        sdk(fake).messages.create(**({"to": CITIZEN, "from_": "1708", "body": "x"} | change))
    assert caught.value.status == 400
    assert caught.value.code == code


def test_wrong_token_is_refused(fake: FakeTwilio) -> None:
    with pytest.raises(TwilioException, match="Authenticate"):
        sdk(fake, token="wrong").messages.list()
    with pytest.raises(TwilioRestException) as caught:
        sdk(fake, token="wrong").messages.create(to=CITIZEN, from_="1708", body="x")
    assert caught.value.status == 401
    assert caught.value.code == 20003
    assert fake.messages() == []


def test_unknown_message_is_404(fake: FakeTwilio) -> None:
    with pytest.raises(TwilioRestException) as caught:
        sdk(fake).messages("SM" + "0" * 32).fetch()
    assert caught.value.status == 404
    assert caught.value.code == 20404


@pytest.mark.parametrize(
    ("how", "status", "code"), [("throttle", 429, 20429), ("server_error", 500, 20500), ("reject:21610", 400, 21610)]
)
def test_failures_on_demand(fake: FakeTwilio, how: str, status: int, code: int) -> None:
    fake.fail(how, next=2)
    messages = sdk(fake).messages
    for _ in range(2):
        with pytest.raises(TwilioRestException) as caught:
            messages.create(to=CITIZEN, from_="1708", body="x")
        assert caught.value.status == status
        assert caught.value.code == code
    assert messages.create(to=CITIZEN, from_="1708", body="x").sid
    assert len(fake.messages()) == 1


def test_timeout_stores_nothing(fake: FakeTwilio) -> None:
    fake.fail("timeout")
    with pytest.raises(requests.ReadTimeout):
        sdk(fake, timeout=0.2).messages.create(to=CITIZEN, from_="1708", body="x")
    assert fake.messages() == []


def test_lost_answer_stores_the_message(fake: FakeTwilio) -> None:
    fake.fail("drop_after_accept")
    with pytest.raises(requests.ConnectionError):
        sdk(fake).messages.create(to=CITIZEN, from_="1708", body="x")
    assert fake.replies_to(CITIZEN) == ["x"]


def test_failures_are_cancelled(fake: FakeTwilio) -> None:
    fake.fail("server_error", next=9)
    assert fake.failing() == 9
    assert fake.failing("list") == 0
    fake.recover()
    assert fake.failing() == 0
    assert sdk(fake).messages.create(to=CITIZEN, from_="1708", body="x").sid


@pytest.mark.parametrize(("how", "on"), [("explode", "send"), ("reject:x", "send"), ("throttle", "nowhere")])
def test_unknown_failure_is_refused(fake: FakeTwilio, how: str, on: str) -> None:
    with pytest.raises(ValueError, match="known"):
        fake.fail(how, on=on)


def control(fake: FakeTwilio, name: str, **wish: str) -> requests.Response:
    """Call the simulator's door for other programs."""
    return requests.post(f"{fake.url}/_simulator/{name}", json=wish, timeout=5)


def test_another_process_can_order_a_failure(fake: FakeTwilio) -> None:
    assert control(fake, "fail", how="server_error").status_code == 200
    with pytest.raises(TwilioRestException):
        sdk(fake).messages.create(to=CITIZEN, from_="1708", body="x")


def test_another_process_can_send_and_read_messages(fake: FakeTwilio) -> None:
    assert control(fake, "send", **{"from": CITIZEN, "text": "halo"}).json()["status"] == 200
    shown = requests.get(f"{fake.url}/_simulator/messages", timeout=5).json()["messages"]
    assert [message["body"] for message in shown] == ["halo"]


@pytest.mark.parametrize(("name", "status"), [("fail", 400), ("other", 404)])
def test_unknown_order_of_another_process_is_refused(fake: FakeTwilio, name: str, status: int) -> None:
    assert control(fake, name, how="x").status_code == status


@pytest.mark.parametrize("key", [None, ("webhooks_sharedkey_1", "secret")])
def test_webhook_is_signed_over_the_public_url(
    fake: FakeTwilio, endpoint: Listener, key: tuple[str, str] | None
) -> None:
    fake.sha256_key = key
    sent = fake.send(CITIZEN, "Jalan rusak & gelap 😭", [("image/jpeg", b"x")])
    assert sent.status == 200
    call = endpoint.calls[0]
    assert call.target == "/hooks/00/sms?x=1"
    assert call.headers["host"] == "gateway.example"
    form = form_of(call)
    assert form["MessageSid"] == sent.sid
    assert form["NumMedia"] == "1"
    assert form["Body"] == "Jalan rusak & gelap 😭"
    algorithm = get_signature_algorithm(call.headers.get("x-twilio-webhooks-signature-settings"))
    assert algorithm == ("HMAC_SHA256" if key else "HMAC_SHA1")
    validator = RequestValidator(key[1] if key else TOKEN)
    assert validator.validate(SIGNED, form, call.headers["x-twilio-signature"], algorithm)
    # As at Twilio, the message is in the list before the webhook is sent.
    assert [message.sid for message in sdk(fake).messages.list(to="1708")] == [sent.sid]


def test_connections_are_kept(fake: FakeTwilio, endpoint: Listener) -> None:
    for number in range(3):
        fake.send(CITIZEN, str(number))
    assert len({call.client for call in endpoint.calls}) == 1


def test_an_error_answer_is_not_tried_again(fake: FakeTwilio, endpoint: Listener) -> None:
    endpoint.answer = 503
    assert fake.send(CITIZEN, "x").status == 503
    assert len(endpoint.calls) == 1


def test_gateway_that_does_not_answer_loses_no_message(fake: FakeTwilio) -> None:
    fake.deliver_to = "http://127.0.0.1:9"
    sent = fake.send(CITIZEN, "x")
    assert sent.status is None
    assert sent.error == "ConnectionError"
    assert len(fake.messages("inbound")) == 1  # a poll can read it


def test_redelivery_is_the_same_message(fake: FakeTwilio, endpoint: Listener) -> None:
    sent = fake.send(CITIZEN, "x")
    assert fake.call(fake.messages("inbound")[0]).sid == sent.sid
    assert endpoint.calls[0].body == endpoint.calls[1].body


def test_receipts_follow_in_order(fake: FakeTwilio, endpoint: Listener, wait_for: WaitFor) -> None:
    message = sdk(fake).messages.create(to=CITIZEN, from_="1708", body="x", status_callback=SIGNED)
    wait_for(lambda: len(endpoint.calls) == 2)
    assert [form_of(call)["MessageStatus"] for call in endpoint.calls] == ["sent", "delivered"]
    for call in endpoint.calls:
        assert form_of(call)["MessageSid"] == message.sid
        assert RequestValidator(TOKEN).validate(SIGNED, form_of(call), call.headers["x-twilio-signature"])
    assert sdk(fake).messages(message.sid).fetch().status == "delivered"


def test_journal_has_a_line_per_event(fake: FakeTwilio, endpoint: Listener, tmp_path: Path, wait_for: WaitFor) -> None:
    fake.send(CITIZEN, "masuk")
    sdk(fake).messages.create(to=CITIZEN, from_="1708", body="keluar", status_callback=SIGNED)
    journal = tmp_path / "journal"
    lines = wait_for(lambda: (lines := journal.read_text("utf-8").splitlines()) and len(lines) == 4 and lines)
    events = [json.loads(line) for line in lines]
    assert [event["event"] for event in events] == ["inbound", "outbound-api", "callback", "callback"]
    assert [event["body"] for event in events[:2]] == ["masuk", "keluar"]
    assert [event["status"] for event in events[2:]] == ["sent", "delivered"]
    assert [event["answer"] for event in events[2:]] == [200, 200]


def test_stop_cuts_connections_and_start_takes_the_same_port(fake: FakeTwilio) -> None:
    client, url = sdk(fake), fake.url
    client.messages.list()
    fake.stop()
    with pytest.raises(requests.ConnectionError):
        client.messages.list()
    fake.start()
    assert fake.url == url
    assert sdk(fake).messages.list() == []


def account_settings(api_base: str) -> SimpleNamespace:
    return SimpleNamespace(account_sid=SID, auth_token=Secret(TOKEN), sender="1708", api_base=api_base)


def test_account_of_a_configured_channel() -> None:
    context = ChannelContext(region="00", channel="sms", webhook_url=SIGNED)
    settings = account_settings("http://127.0.0.1:18080")
    fake = FakeTwilio.from_settings(settings, context, deliver_to="http://127.0.0.1:9")
    assert fake.url == "http://127.0.0.1:18080"
    assert fake.sender == "1708"
    assert fake.webhook_url == SIGNED


def test_account_of_a_channel_with_the_real_twilio_is_refused() -> None:
    context = ChannelContext(region="00", channel="sms", webhook_url=SIGNED)
    with pytest.raises(ValueError, match=r"api_base to http://127\.0\.0\.1"):
        FakeTwilio.from_settings(account_settings("https://api.twilio.com"), context)
