"""The simulated Twilio, spoken to by the real SDK."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
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
from gateway.testing.fixtures import Listener, WaitFor

SID, TOKEN = "AC" + "f" * 32, "test-token"
CITIZEN = "+6281200000101"
PUBLIC = "https://gateway.example/hooks/00/sms?x=1#rc=3&rp=all"
SIGNED = "https://gateway.example/hooks/00/sms?x=1"


class Elsewhere(HTTPAdapter):
    def __init__(self, base):
        super().__init__()
        self.base = base

    def send(self, request, *args, **kwargs):
        request.url = request.url.replace("https://api.twilio.com", self.base, 1)
        return super().send(request, *args, **kwargs)


def sdk(fake, token=TOKEN, timeout=5.0):
    http = TwilioHttpClient(timeout=timeout)
    http.session.trust_env = False
    http.session.mount("https://api.twilio.com", Elsewhere(fake.url))
    return Client(SID, token, http_client=http)


@pytest.fixture
def fake(endpoint: Listener, tmp_path: Path):
    options = {
        "webhook_url": PUBLIC,
        "deliver_to": endpoint.url,
        "journal": tmp_path / "journal",
        "delivery_delay": 0.01,
    }
    with FakeTwilio(account_sid=SID, auth_token=TOKEN, sender="1708", **options) as fake:
        yield fake


def test_create_fetch_list(fake: FakeTwilio) -> None:
    client = sdk(fake)
    made = client.messages.create(to=CITIZEN, from_="1708", body="Laporan diterima 😀")
    assert (made.status, made.direction, made.error_code) == ("queued", "outbound-api", None)
    assert made.date_created.tzinfo is not None
    assert client.messages(made.sid).fetch().body == "Laporan diterima 😀"
    assert [m.sid for m in client.messages.list(to=CITIZEN, from_="1708")] == [made.sid]
    assert client.messages.list(to="+6281200000102") == []
    assert fake.replies_to(CITIZEN) == ["Laporan diterima 😀"]


def test_paging_is_complete_and_newest_first(fake: FakeTwilio) -> None:
    for number in range(7):
        fake.send(CITIZEN, str(number), call=False, sent_at=datetime.now(UTC) - timedelta(minutes=10 - number))
    client = sdk(fake)
    assert [m.body for m in client.messages.list(to="1708", page_size=3)] == list("6543210")
    page = client.messages.page(to="1708", page_size=3)
    fake.send(CITIZEN, "7", call=False)  # a newer one moves no page that was already begun
    assert [m.body for m in page.next_page()] == list("321")


@pytest.mark.parametrize("whole_days", [False, True])
def test_date_filters(fake: FakeTwilio, whole_days: bool) -> None:
    fake._book._whole_days = whole_days
    noon = datetime(2026, 3, 10, 12, tzinfo=UTC)
    for hours in (-24, -1, 0, 1, 24):
        fake.send(CITIZEN, str(hours), call=False, sent_at=noon + timedelta(hours=hours))
    messages = sdk(fake).messages

    def bodies(**limits):
        return {m.body for m in messages.list(to="1708", **limits)}

    earlier_that_day = {"-1"} if whole_days else set()
    later_that_day = {"1"} if whole_days else set()
    assert bodies(date_sent_after=noon) == {"0", "1", "24"} | earlier_that_day
    assert bodies(date_sent_before=noon) == {"-24", "-1", "0"} | later_that_day
    assert bodies(date_sent=noon.date().isoformat()) == {"-1", "0", "1"}
    assert bodies(date_sent_after="2026-03-11") == {"24"}


def test_media(fake: FakeTwilio) -> None:
    fake.send(CITIZEN, "", [("image/jpeg", b"\xff\xd8 one"), ("image/png", b"two")], call=False)
    (message,) = sdk(fake).messages.list(to="1708")
    assert message.num_media == "2"
    media = sdk(fake).messages(message.sid).media.list()
    assert [m.content_type for m in media] == ["image/jpeg", "image/png"]
    answer = requests.get(fake.url + media[0].uri.removesuffix(".json"), auth=(SID, TOKEN), timeout=5)
    assert (answer.content, answer.headers["Content-Type"]) == (b"\xff\xd8 one", "image/jpeg")


@pytest.mark.parametrize(
    ("change", "code"),
    [({"to": "siapa"}, 21211), ({"from_": "999"}, 21606), ({"body": ""}, 21602), ({"body": "x" * 1601}, 21617)],
)
def test_faulty_requests_are_refused_like_twilio(fake: FakeTwilio, change: dict[str, str], code: int) -> None:
    with pytest.raises(TwilioRestException) as caught:
        sdk(fake).messages.create(**({"to": CITIZEN, "from_": "1708", "body": "x"} | change))
    assert (caught.value.status, caught.value.code) == (400, code)


def test_wrong_token_is_refused(fake: FakeTwilio) -> None:
    with pytest.raises(TwilioException, match="Authenticate"):
        sdk(fake, token="wrong").messages.list()
    with pytest.raises(TwilioRestException) as caught:
        sdk(fake, token="wrong").messages.create(to=CITIZEN, from_="1708", body="x")
    assert (caught.value.status, caught.value.code) == (401, 20003)
    assert fake.messages() == []


def test_unknown_message_is_404(fake: FakeTwilio) -> None:
    with pytest.raises(TwilioRestException) as caught:
        sdk(fake).messages("SM" + "0" * 32).fetch()
    assert (caught.value.status, caught.value.code) == (404, 20404)


@pytest.mark.parametrize(
    ("how", "status", "code"), [("throttle", 429, 20429), ("server_error", 500, 20500), ("reject:21610", 400, 21610)]
)
def test_failures_on_demand(fake: FakeTwilio, how: str, status: int, code: int) -> None:
    fake.fail(how, next=2)
    messages = sdk(fake).messages
    for _ in range(2):
        with pytest.raises(TwilioRestException) as caught:
            messages.create(to=CITIZEN, from_="1708", body="x")
        assert (caught.value.status, caught.value.code) == (status, code)
    assert messages.create(to=CITIZEN, from_="1708", body="x").sid
    assert len(fake.messages()) == 1


def test_timeout_stores_nothing_and_drop_stores(fake: FakeTwilio) -> None:
    fake.fail("timeout")
    with pytest.raises(requests.ReadTimeout):
        sdk(fake, timeout=0.2).messages.create(to=CITIZEN, from_="1708", body="x")
    assert fake.messages() == []
    fake.fail("drop_after_accept")
    with pytest.raises(requests.ConnectionError):
        sdk(fake).messages.create(to=CITIZEN, from_="1708", body="x")
    assert fake.replies_to(CITIZEN) == ["x"]


def test_recover_and_wrong_wishes(fake: FakeTwilio) -> None:
    fake.fail("server_error", next=9)
    assert (fake.failing(), fake.failing("list")) == (9, 0)
    fake.recover()
    assert fake.failing() == 0
    assert sdk(fake).messages.create(to=CITIZEN, from_="1708", body="x").sid
    for how, on in (("explode", "send"), ("reject:x", "send"), ("throttle", "nowhere")):
        with pytest.raises(ValueError, match="known"):
            fake.fail(how, on=on)


def test_control_from_another_process(fake: FakeTwilio, endpoint: Listener) -> None:
    asked = requests.post(f"{fake.url}/_simulator/fail", json={"how": "server_error"}, timeout=5)
    assert asked.status_code == 200
    with pytest.raises(TwilioRestException):
        sdk(fake).messages.create(to=CITIZEN, from_="1708", body="x")
    sent = requests.post(f"{fake.url}/_simulator/send", json={"from": CITIZEN, "text": "halo"}, timeout=5).json()
    assert sent["status"] == 200
    assert [m["body"] for m in requests.get(f"{fake.url}/_simulator/messages", timeout=5).json()["messages"]] == [
        "halo"
    ]
    assert requests.post(f"{fake.url}/_simulator/fail", json={"how": "x"}, timeout=5).status_code == 400
    assert requests.post(f"{fake.url}/_simulator/other", timeout=5).status_code == 404


@pytest.mark.parametrize("key", [None, ("webhooks_sharedkey_1", "secret")])
def test_webhook_is_signed_over_the_public_url(
    fake: FakeTwilio, endpoint: Listener, key: tuple[str, str] | None
) -> None:
    fake.sha256_key = key
    sent = fake.send(CITIZEN, "Jalan rusak & gelap 😭", [("image/jpeg", b"x")])
    assert sent.status == 200
    _, path, headers, body, _ = endpoint.calls[0]
    assert path == "/hooks/00/sms?x=1"
    assert headers["host"] == "gateway.example"
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    assert (form["MessageSid"], form["NumMedia"], form["Body"]) == (sent.sid, "1", "Jalan rusak & gelap 😭")
    algorithm = get_signature_algorithm(headers.get("x-twilio-webhooks-signature-settings"))
    assert algorithm == ("HMAC_SHA256" if key else "HMAC_SHA1")
    validator = RequestValidator(key[1] if key else TOKEN)
    assert validator.validate(SIGNED, form, headers["x-twilio-signature"], algorithm)
    # It can be listed too, as at Twilio, where the message is there before the webhook is.
    assert [m.sid for m in sdk(fake).messages.list(to="1708")] == [sent.sid]


def test_connections_are_kept(fake: FakeTwilio, endpoint: Listener) -> None:
    for number in range(3):
        fake.send(CITIZEN, str(number))
    assert len({address for *_, address in endpoint.calls}) == 1


def test_an_error_answer_is_not_tried_again(fake: FakeTwilio, endpoint: Listener) -> None:
    endpoint.answer = 503
    assert fake.send(CITIZEN, "x").status == 503
    assert len(endpoint.calls) == 1


def test_nobody_there(fake: FakeTwilio) -> None:
    fake.deliver_to = "http://127.0.0.1:9"
    sent = fake.send(CITIZEN, "x")
    assert (sent.status, sent.error) == (None, "ConnectionError")
    assert len(fake.messages("inbound")) == 1  # not lost: it can be listed


def test_redelivery_is_the_same_message(fake: FakeTwilio, endpoint: Listener) -> None:
    sent = fake.send(CITIZEN, "x")
    assert fake.call(fake.messages("inbound")[0]).sid == sent.sid
    assert endpoint.calls[0].body == endpoint.calls[1].body


def test_receipts_follow_in_order(fake: FakeTwilio, endpoint: Listener, wait_for: WaitFor) -> None:
    made = sdk(fake).messages.create(to=CITIZEN, from_="1708", body="x", status_callback=SIGNED)
    wait_for(lambda: len(endpoint.calls) == 2)
    forms = [dict(parse_qsl(body.decode(), keep_blank_values=True)) for *_, body, _ in endpoint.calls]
    assert [(f["MessageSid"], f["MessageStatus"]) for f in forms] == [(made.sid, "sent"), (made.sid, "delivered")]
    for form, (_, _, headers, _, _) in zip(forms, endpoint.calls, strict=True):
        assert RequestValidator(TOKEN).validate(SIGNED, form, headers["x-twilio-signature"])
    assert sdk(fake).messages(made.sid).fetch().status == "delivered"


def test_journal_tells_what_was_sent(fake: FakeTwilio, endpoint: Listener, tmp_path: Path, wait_for: WaitFor) -> None:
    fake.send(CITIZEN, "masuk")
    sdk(fake).messages.create(to=CITIZEN, from_="1708", body="keluar", status_callback=SIGNED)
    journal = tmp_path / "journal"
    lines = wait_for(lambda: (found := journal.read_text("utf-8").splitlines()) and len(found) == 4 and found)
    events = [json.loads(line) for line in lines]
    assert [(e["event"], e.get("body")) for e in events[:2]] == [("inbound", "masuk"), ("outbound-api", "keluar")]
    assert [(e["event"], e["status"], e["answer"]) for e in events[2:]] == [
        ("callback", "sent", 200),
        ("callback", "delivered", 200),
    ]


def test_stop_cuts_connections_and_start_takes_the_same_port(fake: FakeTwilio) -> None:
    client, url = sdk(fake), fake.url
    client.messages.list()
    fake.stop()
    with pytest.raises(requests.ConnectionError):
        client.messages.list()
    fake.start()
    assert fake.url == url
    assert sdk(fake).messages.list() == []


def test_from_settings() -> None:
    class Settings:
        account_sid, auth_token, sender = SID, Secret(TOKEN), "1708"
        api_base = "http://127.0.0.1:18080"

    context = ChannelContext(region="00", channel="sms", webhook_url=SIGNED)
    fake = FakeTwilio.from_settings(Settings(), context, deliver_to="http://127.0.0.1:9")
    assert (fake.url, fake.sender, fake.webhook_url) == ("http://127.0.0.1:18080", "1708", SIGNED)
    Settings.api_base = "https://api.twilio.com"
    with pytest.raises(ValueError, match=r"api_base to http://127\.0\.0\.1"):
        FakeTwilio.from_settings(Settings(), context)
