"""The adapter for a phone with SMSGate: the contract every adapter keeps, and what is peculiar to a phone."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from adapters.sms.android.adapter import AndroidSms
from adapters.sms.android.health import keeps_a_list
from adapters.sms.android.settings import CLOUD, AndroidSettings
from adapters.sms.android.simulator import FakePhone, Incoming, received_payload
from gateway.domain.errors import Malformed, Rejected, Throttled, Unavailable, Untranslatable, Unverified
from gateway.domain.events import CitizenMessage, Delivery, DeliveryReceipt, Ignored, Notice
from gateway.ports import JSON, ChannelContext, Poller, RawMessage, Replier, Reply, Secret, Translator, Webhook
from gateway.ports.wire import WebhookRequest
from gateway.testing.contract import AdapterContract
from gateway.testing.forge import MOMENT, raw_message, stored

HERE = Path(__file__).parent
KEY, OLD_KEY, PASSWORD = "test-signing-key", "test-key-before", "test-password"
URL = "https://gateway.example/in/18.10/telepon"
CITIZEN, OURS = "+6281200000999", "+6281200000100"
CONTEXT = ChannelContext(region="18.10", channel="telepon", webhook_url=URL)
AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def make(**changes: object) -> AndroidSms:
    """Make an adapter with the test account."""
    given: dict[str, object] = {
        "user": "sms",
        "password": Secret(PASSWORD),
        "signing_key": Secret(KEY),
        "previous_signing_key": Secret(OLD_KEY),
        "sender": OURS,
        "timeout": 0.5,
    }
    return AndroidSms(AndroidSettings(**(given | changes)), CONTEXT)


def phone(**changes: object) -> FakePhone:
    options: dict[str, object] = {"user": "sms", "password": PASSWORD, "signing_key": KEY, "sender": OURS}
    return FakePhone(**(options | {"webhook_url": URL, "delivery_delay": 0.01, "retries": 0} | changes))


def sms(text: str, *, at: datetime = AT, id: str = "evt1", sender: str = CITIZEN) -> Incoming:
    return Incoming(id, sender, OURS, text, at)


class AndroidForge:
    """Writes and signs as the app does."""

    signature_header = "x-signature"
    sender = CITIZEN
    refused_code = "reject:phone"
    secrets = (KEY, OLD_KEY, PASSWORD)

    def __init__(self, provider: FakePhone) -> None:
        self.provider = provider

    def message(self, text: str, external_id: str) -> WebhookRequest:
        # The phone knows no ids: two messages are two because they were sent at two times.
        later = int(sha256(external_id.encode()).hexdigest()[:4], 16)
        return self.garbage(self.provider.body(sms(text, at=AT + timedelta(seconds=later), id=external_id)))

    def unknown(self) -> WebhookRequest:
        return self.garbage(self.provider.event("sms:invented", {"messageId": "1"}))

    def garbage(self, body: bytes) -> WebhookRequest:
        return self.provider.signed(body, 1_772_600_767)


@pytest.fixture
def fake():
    with phone() as fake:
        yield fake


@pytest.fixture
def cloud():
    with phone(local=False, path="/3rdparty/v1") as fake:
        yield fake


@pytest.fixture
def adapter(fake):
    return make(api_base=fake.url, local=True)


class TestContract(AdapterContract):
    @pytest.fixture
    def adapter(self, adapter):
        return adapter

    @pytest.fixture
    def forge(self, fake):
        return AndroidForge(fake)

    @pytest.fixture
    def requests_dir(self):
        return HERE / "requests"


def test_implements_its_ports():
    for port in (Translator, Webhook, Poller, Replier):
        assert isinstance(make(), port)


# --- signatures ---


@pytest.mark.parametrize(("key", "valid"), [(KEY, True), (OLD_KEY, True), ("somebody else's", False)])
def test_which_key_signs(fake, key, valid):
    fake.signing_key = key
    request = fake.signed(fake.body(sms("x")))
    if valid:
        assert make().verify(request).sender == CITIZEN
    else:
        with pytest.raises(Unverified):
            make().verify(request)


def test_changed_key_is_forgotten_once_removed(fake):
    fake.signing_key = OLD_KEY
    with pytest.raises(Unverified):
        make(previous_signing_key=None).verify(fake.signed(fake.body(sms("x"))))


@pytest.mark.parametrize("age", [0, 86_400 * 2, -86_400 * 365])
def test_age_of_the_timestamp_does_not_matter(fake, age):
    # A phone whose battery was empty has the clock of its factory.
    assert make().verify(fake.signed(fake.body(sms("x")), time.time() - age)).sender == CITIZEN


@pytest.mark.parametrize("timestamp", ["", "x", "-1", "1.5", "１", "1 ", 'é"}'])
def test_misshapen_timestamp_is_unverified(fake, timestamp):
    request = fake.signed(fake.body(sms("x")))
    with pytest.raises(Unverified):
        make().verify(replace(request, headers={**request.headers, "x-timestamp": timestamp}))


def test_digits_cannot_be_moved_from_the_timestamp_to_the_body(fake):
    # The signature of both run together stays right; the key of the body would be another, and one message two.
    request = fake.signed(fake.body(sms("x")), 1_772_600_767)
    moved = replace(request, body=request.body + b"17", headers={**request.headers, "x-timestamp": "72600767"})
    with pytest.raises(Malformed):
        make().verify(moved)


def test_signature_in_capitals_is_right(fake):
    request = fake.signed(fake.body(sms("x")))
    headers = {**request.headers, "x-signature": request.headers["x-signature"].upper()}
    assert make().verify(replace(request, headers=headers)).sender == CITIZEN


def test_answer_is_an_empty_200():
    answer = make().accepted(WebhookRequest("POST", URL, {}, b""))
    assert (answer.status, answer.body) == (200, b"")


# --- one message, one key ---


def key_of(fake: FakePhone, body: bytes) -> str:
    return make().verify(fake.signed(body)).key


def test_every_copy_of_a_message_has_one_key(fake):
    message = sms("Jalan rusak 😭")
    first = fake.body(message)
    copies = {
        "signed again later": first,
        "two events for one SMS": fake.body(sms("Jalan rusak 😭", id="evt2")),
        "by the webhook of another account": first.replace(fake.device_id.encode(), b"MxKw03Q2ZVoomrLeDLlMO"),
        "in the older form": fake.body(message, old=True),
        "with another hash of the app": first.replace(message.message_id.encode(), b"ffffffff"),
        "after the phone moved to another zone": first.replace(b"12:06:07.000+07:00", b"14:06:07.000+09:00"),
    }
    assert copies["after the phone moved to another zone"] != first
    assert {how: key_of(fake, body) for how, body in copies.items()} == dict.fromkeys(copies, key_of(fake, first))
    ids = {make().translate(stored(fake.signed(body)))[0].external_id for body in copies.values()}
    assert ids == {key_of(fake, first)}


@pytest.mark.parametrize(
    "other",
    [
        sms("STATUS", at=AT + timedelta(days=1)),  # the app's hash may be the same: it has left out the time
        sms("STATUS", at=AT + timedelta(seconds=1)),
        sms("STATUS", sender="+6281200000998"),
        sms("status"),
        sms(""),
    ],
)
def test_another_message_has_another_key(fake, other):
    same_hash = fake.body(other).replace(other.message_id.encode(), sms("STATUS").message_id.encode())
    assert key_of(fake, same_hash) != key_of(fake, fake.body(sms("STATUS")))


@pytest.mark.parametrize(
    "body", [b"{}", b'{"event":"sms:received"}', b'{"event":7,"id":"a"}', b'{"event":"sms:sent","payload":{}}', b"[{}"]
)
def test_signed_event_that_nobody_can_read_is_kept(fake, body):
    # Refused, the phone would give it up after two days. Kept, it can be replayed once the adapter has learnt it.
    request = fake.signed(body + b"}" * (not body.endswith(b"}")))
    assert make().verify(request) == make().verify(request)
    with pytest.raises(Untranslatable):
        make().translate(stored(request))


@pytest.mark.parametrize("event", ["sms:received", "sms:batch:received", "sms:failed", "system:ping"])
def test_brackets_in_brackets_are_a_dead_letter(fake, event):
    """The reader gives up at a depth with an error of its own, which must not be the end of the connection."""
    deep = b"[" * 100_000 + b"]" * 100_000
    request = fake.signed(
        b'{"event":"%b","id":"e1","payload":{"messages":%b,"message":%b}}' % (event.encode(), deep, deep)
    )
    assert make().verify(request).key
    with pytest.raises(Untranslatable):
        make().translate(stored(request))


def test_parts_of_a_receipt_are_one(fake):
    bodies = [fake.event("sms:delivered", {"messageId": "r1", "phoneNumber": CITIZEN}) for _ in range(3)]
    assert {key_of(fake, body) for body in bodies} == {"sms:delivered:r1"}
    assert len(set(bodies)) == 3


# --- translation ---


def events_of(fake: FakePhone, name: str, payload: dict[str, object]) -> list[object]:
    return make().translate(stored(fake.signed(fake.event(name, payload))))


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("sms:sent", Delivery.SENT),
        ("sms:delivered", Delivery.DELIVERED),
        ("sms:failed", Delivery.FAILED),
        ("sms:cancelled", Delivery.FAILED),
    ],
)
def test_receipts(fake, name, state):
    reason = f"Send result: RESULT_ERROR_NO_SERVICE for {CITIZEN}"
    (event,) = events_of(fake, name, {"messageId": "r1", "recipient": CITIZEN, "reason": reason})
    assert event == DeliveryReceipt(external_id="r1", state=state, error="RESULT_ERROR_NO_SERVICE")


def test_message_from_our_own_number_is_ignored(fake):
    assert make().translate(stored(fake.signed(fake.body(sms("x", sender=OURS))))) == [Ignored(why="our own message")]


def test_recipient_that_the_phone_does_not_know_is_our_number(fake):
    (event,) = events_of(fake, "sms:received", received_payload(sms("x")) | {"recipient": None})
    assert event.recipient == OURS


@pytest.mark.parametrize("missing", ["message", "receivedAt"])
def test_message_without_a_field_is_untranslatable(fake, missing):
    payload = received_payload(sms("x"))
    del payload[missing]
    with pytest.raises(Untranslatable, match=missing):
        events_of(fake, "sms:received", payload)


@pytest.mark.parametrize("date", ["yesterday", "2026-03-04T05:06:07", "9999-12-31T23:59:59-23:00"])
def test_bad_date_is_untranslatable(fake, date):
    with pytest.raises(Untranslatable):
        events_of(fake, "sms:received", received_payload(sms("x")) | {"receivedAt": date})


def test_messages_of_a_batch_are_the_messages_alone(fake):
    one, two = sms("satu"), sms("dua")
    batch = fake.event("sms:batch:received", {"messages": [received_payload(one), received_payload(two)]})
    alone = [make().translate(stored(fake.signed(fake.body(message))))[0] for message in (one, two)]
    assert make().translate(stored(fake.signed(batch))) == alone
    assert events_of(fake, "sms:batch:received", {"messages": []}) == [Ignored(why="an empty batch")]


@pytest.mark.parametrize(
    ("battery", "well", "text"),
    [(90, True, "telepon siap"), (24, False, "baterai"), (5, False, "baterai")],
)
def test_ping_tells_how_the_phone_is(fake, battery, well, text):
    fake.battery = battery
    (notice,) = events_of(fake, "system:ping", {"health": fake.health()})
    assert isinstance(notice, Notice)
    assert notice.well == well
    assert text in notice.text


def test_ping_of_an_older_app_says_nothing_but_that_it_lives(fake):
    assert events_of(fake, "system:ping", {}) == [Notice(well=True, text="telepon siap")]


def test_trouble_that_the_adapter_does_not_know_is_told(fake):
    health = {"status": "fail", "checks": {"modem:fire": {"status": "fail"}}}
    assert events_of(fake, "system:ping", {"health": health}) == [
        Notice(well=False, text="aplikasi di telepon melaporkan gangguan")
    ]


# --- poll ---


def drain(adapter: AndroidSms, cursor: str | None = None) -> tuple[list[tuple[str, object]], str]:
    """Poll until there is no more; returns key and event of everything found."""
    found: list[tuple[str, object]] = []
    for _ in range(50):
        batch = adapter.poll(cursor)
        for one in batch.found:
            (event,) = adapter.translate(raw_message(one.payload, one.content_type))
            found.append((one.envelope.key, event))
        cursor = batch.cursor
        if not batch.more:
            return found, cursor
    pytest.fail("the poll never ends")


def messages_in(found: list[tuple[str, object]]) -> dict[str, str]:
    return {key: event.text for key, event in found if isinstance(event, CitizenMessage)}


def earlier(cursor: str, **by: float) -> str:
    """Return the cursor of a channel that began earlier."""
    state = json.loads(cursor)
    for name in ("began", "since", "until", "exported"):
        if state[name]:
            state[name] = (datetime.fromisoformat(state[name]) - timedelta(**by)).isoformat()
    return json.dumps(state)


@pytest.fixture
def begun(adapter):
    """The cursor of a channel that began two days ago."""
    return earlier(drain(adapter)[1], days=2)


def test_webhook_and_list_become_the_same_message(fake, adapter, begun):
    fake.send(CITIZEN, "Jalan rusak 😭\nparah", call=False)
    found, _ = drain(adapter, begun)
    webhook = fake.signed(fake.body(fake.messages()[0]))
    (called,) = adapter.translate(stored(webhook))
    (listed,) = [event for _, event in found if isinstance(event, CitizenMessage)]
    assert listed == called
    assert list(messages_in(found)) == [adapter.verify(webhook).key] == [called.external_id]


def test_every_page_is_read(fake, adapter, begun, monkeypatch):
    monkeypatch.setattr("adapters.sms.android.adapter.PAGE_SIZE", 3)
    now = datetime.now(UTC)
    for number in range(7):
        fake.send(CITIZEN, f"pesan {number}", sent_at=now - timedelta(seconds=number), call=False)
    found, cursor = drain(adapter, begun)
    assert sorted(messages_in(found).values()) == [f"pesan {number}" for number in range(7)]
    assert json.loads(cursor)["offset"] == 0


def test_message_that_comes_between_pages_is_found_next_round(fake, adapter, begun, monkeypatch):
    monkeypatch.setattr("adapters.sms.android.adapter.PAGE_SIZE", 2)
    old = datetime.now(UTC) - timedelta(minutes=5)
    for number in range(4):
        fake.send(CITIZEN, f"{number}", sent_at=old - timedelta(seconds=number), call=False)
    batch = adapter.poll(begun)
    assert batch.more
    fake.send(CITIZEN, "antara", sent_at=old - timedelta(seconds=60), call=False)
    _, cursor = drain(adapter, batch.cursor)
    assert "antara" in messages_in(drain(adapter, cursor)[0]).values()


def test_message_that_the_network_held_back_is_found(fake, adapter, begun):
    _, cursor = drain(adapter, begun)
    fake.send(CITIZEN, "terlambat", sent_at=datetime.now(UTC) - timedelta(hours=20), call=False)
    assert "terlambat" in messages_in(drain(adapter, cursor)[0]).values()


def test_message_that_the_app_missed_is_found(fake, adapter, begun):
    fake.send(CITIZEN, "aplikasi mati", seen=False)
    assert messages_in(drain(adapter, begun)[0]) != {}


def test_what_the_phone_had_before_is_not_ours(fake, adapter):
    fake.send(CITIZEN, "kode OTP", sent_at=datetime.now(UTC) - timedelta(hours=1), call=False)
    found, cursor = drain(adapter)
    assert messages_in(found) == {}
    assert messages_in(drain(adapter, cursor)[0]) == {}


def test_app_whose_list_cannot_be_trusted_is_still_watched(fake, adapter, begun):
    fake.old = True
    fake.battery = 12
    fake.send(CITIZEN, "x", call=False)
    ((_, notice),) = drain(adapter, begun)[0]
    assert notice == Notice(well=False, text="baterai telepon lemah, sambungkan pengisi daya")


@pytest.mark.parametrize(
    ("version", "trusted"),
    [("1.66.9", False), ("1.67.0", True), ("1.100", True), ("2.0", True), ("", False), ("next", False)],
)
def test_which_app_keeps_a_list(version, trusted):
    assert keeps_a_list(json.dumps({"status": "pass", "version": version}).encode()) == trusted


def test_look_back_of_nothing_asks_for_no_list(fake):
    drain(make(api_base=fake.url, local=True, look_back=0))
    assert [target for _, target, _ in fake.calls] == ["/health"]


def notices(found: list[tuple[str, object]]) -> list[Notice]:
    return [event for _, event in found if isinstance(event, Notice)]


def test_phone_is_told_of_when_it_changes(fake, adapter):
    found, cursor = drain(adapter)
    assert notices(found) == [Notice(well=True, text="telepon siap")]
    found, cursor = drain(adapter, cursor)
    assert notices(found) == []
    fake.battery = 8  # the phone then answers 500
    found, cursor = drain(adapter, cursor)
    assert [notice.well for notice in notices(found)] == [False]
    fake.battery = 60
    assert [notice.well for notice in notices(drain(adapter, cursor)[0])] == [True]


def test_phone_that_is_off_is_unavailable(fake, adapter):
    fake.go_offline()
    with pytest.raises(Unavailable, match="the phone cannot be reached"):
        adapter.poll(None)


def test_cloud_tells_when_the_phone_was_last_seen(cloud):
    adapter = make(api_base=cloud.url, offline_after=60)
    found, cursor = drain(adapter)
    assert notices(found) == [Notice(well=True, text="telepon siap")]
    cloud.go_offline()
    cloud.last_seen = datetime(2026, 1, 1, 2, 3, 4, tzinfo=UTC)
    found, cursor = drain(adapter, cursor)
    told = "telepon tidak terlihat oleh servernya sejak 2026-01-01 02:03 UTC"
    # By the time when it was stored, so that a replay says the same.
    assert notices(found) == [Notice(well=False, text=told)]
    assert notices(drain(adapter, cursor)[0]) == []


def test_silence_is_measured_at_the_time_of_storing():
    row = json.dumps({"id": "d", "lastSeen": MOMENT.isoformat()}).encode()
    raw = raw_message(row)
    assert make(offline_after=60).translate(raw) == [Notice(well=True, text="telepon siap")]
    later = replace(raw, received_at=MOMENT + timedelta(seconds=61))
    assert make(offline_after=60).translate(later)[0].well is False


def test_account_without_the_phone_is_unavailable(cloud):
    with pytest.raises(Unavailable, match="no such phone"):
        make(api_base=cloud.url, device_id="another").poll(None)


def test_missed_messages_are_asked_for_every_six_hours(cloud):
    adapter = make(api_base=cloud.url, device_id=cloud.device_id, export_missed=True)
    _, cursor = drain(adapter)
    asked = [body for _, target, body in cloud.calls if target.endswith("/export")]
    assert asked == []  # nothing can have been missed yet
    _, cursor = drain(adapter, earlier(cursor, hours=7))
    _, cursor = drain(adapter, cursor)
    drain(adapter, earlier(cursor, hours=7))
    asked = [json.loads(body) for _, target, body in cloud.calls if target.endswith("/export")]
    assert [set(period) for period in asked] == [{"deviceId", "since", "until"}] * 2
    assert asked[0]["deviceId"] == cloud.device_id


@pytest.mark.parametrize("how", ["not_json", "server_error", "unauthorized", "throttle", "redirect", "reject:phone"])
def test_poll_failures_are_all_for_later(fake, adapter, how):
    fake.fail(how, on="read", next=3)
    with pytest.raises(Unavailable):
        adapter.poll(None)


@pytest.mark.parametrize("how", ["server_error", "not_json"])
def test_error_is_not_taken_for_health(fake, how):
    fake.fail(how, on="read")
    with pytest.raises(Unavailable):
        make(api_base=fake.url, local=True, look_back=0).poll(None)


def test_unreadable_cursor_is_unavailable(adapter):
    with pytest.raises(Unavailable, match="cursor"):
        adapter.poll("{}")


# --- replies ---


def a_reply(text: str = "Laporan Anda diterima.") -> Reply:
    return Reply(id=uuid4(), to=CITIZEN, text=text, created_at=datetime.now(UTC))


def wait_for(what) -> None:
    deadline = time.monotonic() + 5
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_second_attempt_is_sent_once(fake, adapter):
    reply = a_reply()
    assert adapter.reply(reply) == adapter.reply(reply)
    assert fake.replies_to(CITIZEN) == [reply.text]
    assert adapter.reply(reply).external_id == str(reply.id)


def test_what_a_reply_says(cloud):
    adapter = make(api_base=cloud.url, device_id=cloud.device_id, sim_number=2, ttl=600, receipts=False)
    reply = a_reply("Tiket “12345678” – diterima…")
    adapter.reply(reply)
    ((method, target, body),) = cloud.calls
    assert (method, target) == ("POST", "/3rdparty/v1/messages")
    assert json.loads(body) == {
        "id": str(reply.id),
        "textMessage": {"text": 'Tiket "12345678" - diterima...'},
        "phoneNumbers": [CITIZEN],
        "withDeliveryReport": False,
        "ttl": 600,
        "simNumber": 2,
        "deviceId": cloud.device_id,
    }
    assert len(str(reply.id)) <= 36  # the server's column


@pytest.mark.parametrize(
    ("how", "error", "says"),
    [
        ("reject:device", Unavailable, "device_id"),
        ("queue_full", Unavailable, "503"),
        ("redirect", Unavailable, "302"),
        ("reject:phone", Rejected, "400"),
        ("throttle", Throttled, "429"),
    ],
)
def test_what_an_operator_can_correct_is_for_later(fake, adapter, how, error, says):
    fake.fail(how)
    with pytest.raises(error, match=says) as caught:
        adapter.reply(a_reply())
    assert type(caught.value) is error


def test_login_page_of_a_wifi_is_no_receipt(fake, adapter):
    reply = a_reply()
    fake.fail("not_json")
    with pytest.raises(Unavailable, match="not the API's"):
        adapter.reply(reply)
    fake.fail("not_json", on="read")
    with pytest.raises(Unavailable, match="not the API's"):
        adapter.find(reply)
    assert fake.replies_to(CITIZEN) == []


def test_waiting_time_is_passed_on(fake, adapter):
    fake.fail("queue_full")
    with pytest.raises(Unavailable) as caught:
        adapter.reply(a_reply())
    assert caught.value.retry_after == 60


def test_wrong_login_and_wrong_address_say_so(fake):
    with pytest.raises(Unavailable, match="user or password"):
        make(api_base=fake.url, password=Secret("wrong")).reply(a_reply())
    with pytest.raises(Unavailable, match="api_base"):
        make(api_base=f"{fake.url}/wrong").reply(a_reply())


def test_proxy_of_the_environment_does_not_lie_before_the_phone(fake, adapter, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert adapter.reply(a_reply())


def test_parts():
    adapter = make()
    assert adapter.parts("x" * 161) == 2
    assert adapter.parts("Diterima – “tiket”") == 1


# --- settings ---


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"api_base": "http://192.168.1.20:8080"}, "local = true"),
        ({"api_base": "http://sms.example/api/3rdparty/v1", "local": True}, "https://"),
        ({"api_base": "http://8.8.8.8:8080", "local": True}, "https://"),
        ({"api_base": "http://phone:8080", "local": True}, "IP address"),
        ({"api_base": "ftp://192.168.1.20"}, "address"),
        ({"api_base": "https://user:pw@sms.example"}, "address"),
        ({"local": True}, "needs api_base"),
        ({"export_missed": True}, "device_id"),
        ({"export_missed": True, "device_id": "d", "api_base": "http://10.0.0.2:8080", "local": True}, "not for local"),
        ({"sender": "08123"}, None),
        ({"sender": "halo"}, "sender"),
        ({"sim_number": 4}, "sim_number"),
        ({"device_id": "a b"}, "device_id"),
    ],
)
def test_faulty_settings_are_refused(given, says):
    if says is None:
        make(**given)
        return
    with pytest.raises(ValidationError, match=says):
        make(**given)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"api_base": "http://192.168.1.20:8080", "local": True},
        {"api_base": "http://10.1.2.3:8080/", "local": True},
        {"api_base": "https://phone.lan:8443", "local": True},
        {"api_base": "http://127.0.0.1:17081"},
        {"api_base": "https://sms.example/api/3rdparty/v1"},
    ],
)
def test_sound_settings(given):
    assert make(**given)


def test_the_cloud_is_the_default():
    assert AndroidSettings(user="u", password=Secret("p"), signing_key=Secret("k"), sender=OURS).api_base == CLOUD


def test_a_stored_message_of_another_time_has_the_same_id(fake):
    raw = stored(fake.signed(fake.body(sms("x"))))
    assert isinstance(raw, RawMessage)
    assert raw.content_type != JSON
    later = replace(raw, received_at=raw.received_at + timedelta(days=9))
    assert make().translate(later) == make().translate(raw)
