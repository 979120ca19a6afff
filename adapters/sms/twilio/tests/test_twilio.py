"""The Twilio adapter: the contract every adapter keeps, and what is peculiar to Twilio."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import ValidationError
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from adapters.sms.twilio.adapter import TwilioSms
from adapters.sms.twilio.settings import API, TwilioSettings
from adapters.sms.twilio.simulator import FakeTwilio, Message, sign
from gateway.domain.errors import Malformed, Rejected, Throttled, Unavailable, Untranslatable, Unverified
from gateway.domain.events import CitizenMessage, Delivery, DeliveryReceipt, Ignored
from gateway.ports import JSON, ChannelContext, Poller, Replier, Reply, Secret, Translator, Webhook
from gateway.ports.wire import WebhookRequest, form_pairs
from gateway.testing import requestfile
from gateway.testing.contract import AdapterContract
from gateway.testing.forge import raw_message, stored

HERE = Path(__file__).parent
MESSAGE = "SM" + "0" * 31 + "1"
SID = "AC" + "0123456789abcdef" * 2
TOKEN, OLD_TOKEN, KEY = "test-token-nobody-uses", "test-token-before", "test-shared-key"
URL = "https://gateway.example/hooks/00/sms"
CITIZEN = "+6281200000999"
CONTEXT = ChannelContext(region="00", channel="sms", webhook_url=URL)


def make(**changes: object) -> TwilioSms:
    """Make an adapter with the test account."""
    given: dict[str, object] = {
        "account_sid": SID,
        "auth_token": Secret(TOKEN),
        "previous_auth_token": Secret(OLD_TOKEN),
        "webhook_keys": {"webhooks_sharedkey_1": Secret(KEY)},
        "sender": "1708",
        "timeout": 0.5,
    }
    return TwilioSms(TwilioSettings(**(given | changes)), CONTEXT)


class TwilioForge:
    """Writes and signs as Twilio does."""

    signature_header = "x-twilio-signature"
    sender = CITIZEN
    refused_code = "reject:21211"
    secrets = (TOKEN, OLD_TOKEN, KEY)

    def __init__(self, provider: FakeTwilio) -> None:
        self.provider = provider

    def message(self, text: str, external_id: str) -> WebhookRequest:
        moment = datetime(2026, 1, 2, tzinfo=UTC)
        return self.provider.webhook(
            Message(
                "SM" + sha256(external_id.encode()).hexdigest()[:32],
                "inbound",
                CITIZEN,
                "1708",
                text,
                "received",
                moment,
                moment,
            )
        )

    def unknown(self) -> WebhookRequest:
        return self.provider.signed([("MessageSid", MESSAGE), ("EventType", "invented"), ("From", CITIZEN)])

    def garbage(self, body: bytes) -> WebhookRequest:
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in form_pairs(body)]
        request = self.provider.signed(pairs)
        return replace(request, body=body) if body.isascii() else request


@pytest.fixture
def fake():
    with FakeTwilio(account_sid=SID, auth_token=TOKEN, sender="1708", webhook_url=URL, delivery_delay=0.01) as fake:
        yield fake


@pytest.fixture
def adapter(fake):
    return make(api_base=fake.url, receipts=False)


class TestContract(AdapterContract):
    @pytest.fixture
    def adapter(self, adapter):
        return adapter

    @pytest.fixture
    def forge(self, fake):
        return TwilioForge(fake)

    @pytest.fixture
    def requests_dir(self):
        return HERE / "requests"


def test_implements_its_ports():
    for port in (Translator, Webhook, Poller, Replier):
        assert isinstance(make(), port)


# --- signatures ---

names = st.text(min_size=1, max_size=12)
pairs_of = st.lists(st.tuples(names, st.text(max_size=30)), max_size=12)
urls = st.sampled_from(
    [
        URL,
        "https://gateway.example:443/hooks/00/sms",
        "https://gateway.example:8443/hooks/00/sms?a=1&b=%20x",
        "http://gateway.example/hooks/00/sms",
        "http://gateway.example:80/hooks/00/sms?x",
        "https://gateway.example/hooks/00/sms;v=1?q=é",
        "https://gateway.example",
    ]
)


@settings(deadline=None, max_examples=300)
@given(
    pairs=pairs_of, url=urls, signed_url=urls, sha256=st.booleans(), tamper=st.booleans(), token=st.sampled_from("ab")
)
def test_agrees_with_the_sdk(pairs, url, signed_url, sha256, tamper, token):
    # Twilio always names a message: without one a right signature is Malformed, which is another test.
    pairs = [*pairs, ("MessageSid", MESSAGE)]
    body = urlencode(pairs).encode()
    algorithm = "HMAC_SHA256" if sha256 else "HMAC_SHA1"
    oracle = RequestValidator({"a": TOKEN, "b": "somebody else's"}[token])
    signature = oracle.compute_signature(signed_url, MultiDict(pairs), algorithm)
    if tamper:
        pairs, body = [*pairs, ("X", "y")], body + b"&X=y"
    headers = {"x-twilio-signature": signature}
    if sha256:
        headers["x-twilio-webhooks-signature-settings"] = "key=unknown,algorithm=HMAC_SHA256"
    valid = RequestValidator(TOKEN).validate(url, MultiDict(pairs), signature, algorithm)
    request = WebhookRequest("POST", url, headers, body)
    adapter = make()
    if valid:
        adapter.verify(request)
    else:
        with pytest.raises(Unverified):
            adapter.verify(request)


@given(pairs=pairs_of, url=urls, sha256=st.booleans())
def test_simulator_signs_as_the_sdk(pairs, url, sha256):
    oracle = RequestValidator(TOKEN).compute_signature(url, MultiDict(pairs), "HMAC_SHA256" if sha256 else "HMAC_SHA1")
    assert sign(url, pairs, TOKEN, "sha256" if sha256 else "sha1") == oracle


def _signed(headers: dict[str, str], *, key: str = TOKEN, algorithm: str = "sha1") -> WebhookRequest:
    pairs = [("MessageSid", MESSAGE), ("From", CITIZEN), ("To", "1708"), ("Body", "x")]
    headers = {"x-twilio-signature": sign(URL, pairs, key, algorithm)} | headers
    return WebhookRequest("POST", URL, headers, urlencode(pairs).encode())


@pytest.mark.parametrize(
    ("header", "key", "algorithm", "valid"),
    [
        (None, TOKEN, "sha1", True),
        (None, OLD_TOKEN, "sha1", True),
        (None, KEY, "sha1", False),
        ("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", KEY, "sha256", True),
        (" algorithm = hmac_sha256 , key = webhooks_sharedkey_1 ", KEY, "sha256", True),
        ("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", TOKEN, "sha256", False),
        ("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", KEY, "sha1", False),
        ("key=other,algorithm=HMAC_SHA256", TOKEN, "sha256", True),
        ("key=other", TOKEN, "sha1", True),
        ("algorithm=HMAC_MD5", TOKEN, "md5", False),
        ("nonsense", TOKEN, "sha1", True),
        ("", TOKEN, "sha1", True),
    ],
)
def test_which_key_signs(header, key, algorithm, valid):
    request = _signed(
        {} if header is None else {"x-twilio-webhooks-signature-settings": header}, key=key, algorithm=algorithm
    )
    if valid:
        assert make().verify(request).key == MESSAGE
    else:
        with pytest.raises(Unverified):
            make().verify(request)


def test_rotated_token_is_forgotten_once_removed():
    with pytest.raises(Unverified):
        make(previous_auth_token=None).verify(_signed({}, key=OLD_TOKEN))


@pytest.mark.parametrize("sid", ["", "SM 1", "SM\x00", "S" * 65, "é", MESSAGE + "0", "XX" + MESSAGE[2:]])
def test_misshapen_sid_is_malformed(fake, sid):
    with pytest.raises(Malformed):
        make().verify(fake.signed([("MessageSid", sid), ("Body", "x")]))


def test_misshapen_status_is_malformed(fake):
    with pytest.raises(Malformed):
        make().verify(fake.signed([("MessageSid", MESSAGE), ("MessageStatus", "a\x00b")]))


def test_first_of_a_repeated_field_counts(fake):
    request = fake.signed([("MessageSid", MESSAGE), ("From", CITIZEN), ("To", "1708"), ("Body", "a"), ("Body", "b")])
    assert make().verify(request).key == MESSAGE
    (event,) = make().translate(stored(request))
    assert event.text == "a"


def test_answer_is_empty_twiml():
    answer = make().accepted(_signed({}))
    assert (answer.status, answer.content_type) == (200, "text/xml")
    assert answer.body.endswith(b"<Response/>")


# --- translation ---


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("queued", Delivery.SENT),
        ("sending", Delivery.SENT),
        ("sent", Delivery.SENT),
        ("delivered", Delivery.DELIVERED),
        ("read", Delivery.DELIVERED),
        ("undelivered", Delivery.FAILED),
        ("failed", Delivery.FAILED),
    ],
)
def test_receipts(fake, status, state):
    request = fake.signed(
        [("MessageSid", MESSAGE), ("MessageStatus", status), ("ErrorCode", "30003"), ("From", "1708")]
    )
    envelope = make().verify(request)
    assert (envelope.key, envelope.sender) == (f"{MESSAGE}:{status}", MESSAGE)
    assert make().translate(stored(request)) == [DeliveryReceipt(external_id=MESSAGE, state=state, error="30003")]


def test_message_from_our_own_number_is_ignored(fake):
    request = fake.signed([("MessageSid", MESSAGE), ("From", "1708"), ("To", "1708"), ("Body", "x")])
    assert make().translate(stored(request)) == [Ignored(why="our own message")]


def test_resource_with_media_refers_to_the_list(fake):
    fake.send(CITIZEN, "", [("image/jpeg", b"x")], call=False)
    (found,) = make(api_base=fake.url).poll(None).found
    (event,) = make().translate(raw_message(found.payload, found.content_type))
    sid = fake.messages()[0].sid
    assert [a.url for a in event.attachments] == [f"{API}/2010-04-01/Accounts/{SID}/Messages/{sid}/Media.json"]
    assert event.text == ""


def test_webhook_and_resource_become_the_same_message(fake):
    adapter = make(api_base=fake.url)
    fake.send(CITIZEN, "Jalan rusak 😭", call=False)
    (found,) = adapter.poll(None).found
    webhook = fake.webhook(fake.messages()[0])
    assert adapter.verify(webhook) == found.envelope
    (called,), (listed,) = adapter.translate(stored(webhook)), adapter.translate(raw_message(found.payload, JSON))
    assert isinstance(called, CitizenMessage)
    assert listed.sent_at is not None  # only the resource knows it
    assert msgspec.structs.replace(listed, sent_at=None) == called


@pytest.mark.parametrize(
    "date", ["yesterday", "99", "Mon, 99 Foo 2026 99:99:99 +9999", "Sat, 21 Nov 99999 00:00 +0000"]
)
def test_bad_date_is_untranslatable(date):
    resource = {"sid": MESSAGE, "direction": "inbound", "from": CITIZEN, "to": "1708", "body": "x", "date_sent": date}
    with pytest.raises(Untranslatable):
        make().translate(raw_message(json.dumps(resource).encode()))


# --- poll ---


def drain(adapter: TwilioSms, cursor: str | None = None) -> tuple[list[str], str]:
    """Poll until there is no more."""
    keys: list[str] = []
    for _ in range(50):
        batch = adapter.poll(cursor)
        keys += [found.envelope.key for found in batch.found]
        cursor = batch.cursor
        if not batch.more:
            return keys, cursor
    pytest.fail("the poll never ends")


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr("adapters.sms.twilio.adapter.PAGE_SIZE", 3)


def since_of(cursor: str) -> datetime:
    return datetime.fromisoformat(json.loads(cursor)["since"])


def test_poll_reads_every_page(adapter, fake, small_pages):
    sent = [fake.send(CITIZEN, f"pesan {n}", call=False).sid for n in range(10)]
    adapter.reply(a_reply())  # outbound: not for the inbox
    keys, cursor = drain(adapter)
    assert sorted(keys) == sorted(sent)
    late = fake.send(CITIZEN, "pesan lain", call=False).sid
    assert late in drain(adapter, cursor)[0]


def test_high_water_mark_moves_only_at_the_end(adapter, fake, small_pages):
    soon = datetime.now(UTC) + timedelta(minutes=5)
    for number in range(7):
        fake.send(CITIZEN, "x", sent_at=soon + timedelta(seconds=number), call=False)
    first = adapter.poll(None)
    second = adapter.poll(first.cursor)
    assert first.more
    assert second.more
    assert since_of(first.cursor) == since_of(second.cursor) < soon
    third = adapter.poll(second.cursor)
    assert not third.more
    # The mark moved, but not past our own clock: times ahead of it must not make the next round skip anything.
    assert since_of(second.cursor) < since_of(third.cursor) <= datetime.now(UTC)


def test_message_that_comes_between_pages_is_found_next_round(adapter, fake, small_pages):
    first_ones = [fake.send(CITIZEN, f"{n}", call=False).sid for n in range(4)]
    batch = adapter.poll(None)
    between = fake.send(CITIZEN, "antara", call=False).sid
    rest, cursor = drain(adapter, batch.cursor)
    assert set(first_ones) <= {found.envelope.key for found in batch.found} | set(rest)
    assert between in drain(adapter, cursor)[0]


def test_first_poll_and_every_round_go_back_by_the_overlap(fake):
    adapter = make(api_base=fake.url, poll_overlap=600)
    now = datetime.now(UTC)
    old, recent = (fake.send(CITIZEN, "x", sent_at=now - timedelta(minutes=m), call=False).sid for m in (15, 9))
    keys, cursor = drain(adapter)
    assert keys == [recent]
    assert drain(adapter, cursor)[0] == [recent]  # again: the core knows its key
    assert old not in keys


def test_days_instead_of_moments(fake, small_pages):
    fake._book._whole_days = True  # the list then begins at midnight, whatever time is asked for
    adapter = make(api_base=fake.url, poll_overlap=60)
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    old = [fake.send(CITIZEN, "x", sent_at=midnight + timedelta(milliseconds=n), call=False).sid for n in range(20)]
    recent = fake.send(CITIZEN, "x", call=False).sid
    keys, _ = drain(adapter)
    assert recent in keys
    if now - midnight > timedelta(minutes=2):
        assert len(set(keys) & set(old)) <= 6, "the rest of the day is not read again and again"


def test_place_in_the_list_that_twilio_forgot(adapter, fake, small_pages):
    sent = [fake.send(CITIZEN, f"{n}", call=False).sid for n in range(7)]
    first = adapter.poll(None)
    fake.fail("reject:20006", on="list")
    lost = adapter.poll(first.cursor)
    assert not lost.more
    assert not lost.found
    assert sorted(drain(adapter, lost.cursor)[0]) == sorted(sent)


def test_half_read_list_is_begun_again_after_an_hour(adapter, fake, small_pages):
    sent = [fake.send(CITIZEN, f"{n}", call=False).sid for n in range(7)]
    stale = json.loads(adapter.poll(None).cursor)
    stale["began"] = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    assert sorted(drain(adapter, json.dumps(stale))[0]) == sorted(sent)


def test_message_still_arriving_waits(adapter, fake):
    fake.send(CITIZEN, "bagian pertama", call=False)
    fake.messages()[0].status = "receiving"
    assert adapter.poll(None).found == []


@pytest.mark.parametrize(
    ("how", "error"),
    [("throttle", Throttled), ("server_error", Unavailable), ("unauthorized", Unavailable), ("reject:20001", Rejected)],
)
def test_poll_failures_leave_the_cursor(adapter, fake, how, error):
    fake.fail(how, on="list")
    with pytest.raises(error):
        adapter.poll(None)


def test_unreadable_cursor_is_said(adapter):
    with pytest.raises(Unavailable, match="cursor"):
        adapter.poll('{"since": 1}')


# --- replies ---


def a_reply(text: str = "Laporan diterima", to: str = CITIZEN, age: float = 0) -> Reply:
    return Reply(id=uuid4(), to=to, text=text, created_at=datetime.now(UTC) - timedelta(seconds=age))


def test_reply_is_folded_and_found_folded(adapter, fake):
    reply = a_reply("“Laporan” – diterima…")
    receipt = adapter.reply(reply)
    assert fake.replies_to(CITIZEN) == ['"Laporan" - diterima...']
    assert adapter.find(reply) == receipt


def test_older_reply_with_the_same_text_is_not_taken_for_it(adapter, fake):
    adapter.reply(a_reply())
    fake.messages("outbound-api")[0].date_created -= timedelta(minutes=1)
    assert adapter.find(a_reply()) is None
    assert adapter.find(a_reply(age=120)) is not None


def test_reply_to_somebody_else_is_not_taken_for_it(adapter):
    adapter.reply(a_reply(to="+6281200000998"))
    assert adapter.find(a_reply()) is None


@pytest.mark.parametrize(("receipts", "callback"), [(True, URL), (False, None)])
def test_status_callback(fake, receipts, callback):
    make(api_base=fake.url, receipts=receipts).reply(a_reply())
    assert fake.messages()[0].status_callback == callback


def test_retry_after_is_kept(adapter, fake):
    fake.fail("throttle")
    with pytest.raises(Throttled) as caught:
        adapter.reply(a_reply())
    assert caught.value.retry_after == 1.0


@pytest.mark.parametrize(
    ("how", "error", "says"),
    [
        ("unauthorized", Unavailable, "auth_token"),
        ("reject:21606", Unavailable, "sender"),
        ("reject:21408", Unavailable, "console"),
        ("reject:21611", Throttled, "21611"),
        ("reject:21610", Rejected, "21610"),
        ("reject:21617", Rejected, "21617"),
    ],
)
def test_what_can_be_put_right_is_not_dead(adapter, fake, how, error, says):
    fake.fail(how)
    with pytest.raises(error, match=says) as caught:
        adapter.reply(a_reply())
    assert type(caught.value) is error


def test_nobody_there(fake):
    adapter = make(api_base=fake.url)
    fake.stop()
    for call in (lambda: adapter.reply(a_reply()), lambda: adapter.find(a_reply()), lambda: adapter.poll(None)):
        with pytest.raises(Unavailable):
            call()


def test_parts_are_those_of_the_folded_text():
    assert make().parts("“" * 160) == 1
    assert make().parts("😭" * 36) == 2


# --- settings, start-up ---


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("account_sid", "AC123"),
        ("sender", "LAPOR"),
        ("sender", "08123456789x"),
        ("api_base", "http://twilio.example"),
        ("api_base", "https://twilio.example/path"),
        ("api_base", "ftp://127.0.0.1"),
        ("timeout", 0),
        ("poll_every", 1),
        ("poll_overlap", -1),
        ("unknown", 1),
    ],
)
def test_wrong_settings_are_refused(name, value):
    with pytest.raises(ValidationError):
        make(**{name: value})


def test_receiving_needs_no_sdk():
    # In a new interpreter, because this one has it.
    code = (
        "import sys, adapters.sms.twilio; "
        "sys.exit([m for m in ('twilio', 'requests', 'urllib3') if m in sys.modules] or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=HERE.parents[3])


def test_edge_in_the_environment_changes_nothing(fake, monkeypatch):
    monkeypatch.setenv("TWILIO_EDGE", "jakarta")
    monkeypatch.setenv("TWILIO_REGION", "sg1")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert make(api_base=fake.url).reply(a_reply()).external_id


def test_errors_quote_no_number(fake, caplog):
    caplog.set_level(logging.DEBUG)
    adapter = make(api_base=fake.url)
    fake.stop()
    with pytest.raises(Unavailable) as caught:
        adapter.find(a_reply())
    logging.getLogger("test").error("x", exc_info=caught.value)
    assert CITIZEN[1:] not in caplog.text


def test_request_files_keep_their_bytes(tmp_path):
    for stem, request in requestfile.read_all(HERE / "requests"):
        requestfile.write(tmp_path / "x.http", request)
        assert (tmp_path / "x.http").read_bytes() == (HERE / "requests" / f"{stem}.http").read_bytes()


def test_one_signature_is_good_for_one_message(fake):
    """What is signed is names and values run together: no part of them may be passed off as another sid."""
    pairs = [("MessageSid", MESSAGE), ("NumMedia", "0"), ("NumSegments", "1"), ("From", CITIZEN), ("Body", "x")]
    genuine = fake.signed(pairs)
    assert make().verify(genuine).key == MESSAGE
    for glued, left in (
        (f"{MESSAGE}NumMedia0", [("NumSegments", "1"), ("From", CITIZEN), ("Body", "x")]),
        (f"{MESSAGE}NumMedia0NumSegments1", [("From", CITIZEN), ("Body", "x")]),
    ):
        body = urlencode([("MessageSid", glued), *left]).encode()
        with pytest.raises(Malformed):
            make().verify(replace(genuine, body=body))


@pytest.mark.parametrize("flood", [b"a=1&" * 501, b"a=" + b"%41" * 300_000], ids=["fields", "escapes"])
def test_a_flood_is_refused_before_it_is_read(fake, flood):
    request = replace(fake.signed([("MessageSid", MESSAGE)]), body=flood)
    began = time.process_time()
    with pytest.raises(Malformed):
        make().verify(request)
    assert time.process_time() - began < 0.01
