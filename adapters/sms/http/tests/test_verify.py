"""Test which calls of an aggregator are accepted, and which of them are one message."""

from __future__ import annotations

import base64
import hmac
import tomllib

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from adapters.sms.http.adapter import HttpSms
from adapters.sms.http.settings import HttpSettings
from adapters.sms.http.simulator import FakeAggregator, calls
from adapters.sms.http.tests.support import CITIZEN, CONTEXT, EXAMPLES, MOMENT, SECRETS, URL, example, kannel_call, make
from gateway.domain.errors import Malformed, Unverified
from gateway.ports.wire import WebhookRequest, form_pairs
from gateway.testing.forge import stored

ESCAPES = b"%41" * 300_000


@pytest.mark.parametrize("client", ["127.0.0.2", "", "unix:", "10.0.0.1", "::1", "127.0.0.1.example"])
def test_other_addresses_are_refused(client: str) -> None:
    with pytest.raises(Unverified):
        make("kannel").verify(replace(kannel_call(), client=client))


@pytest.mark.parametrize("client", ["127.0.0.1", "::ffff:127.0.0.1"])
def test_the_aggregators_address_is_accepted(client: str) -> None:
    assert make("kannel").verify(replace(kannel_call(), client=client)).key == "k1"


@pytest.mark.parametrize("token", ["", "x", "test-kannel-token ", "é", b"\xff"])
def test_wrong_token_is_refused(token: bytes | str) -> None:
    with pytest.raises(Unverified):
        make("kannel").verify(kannel_call(token=token))


def test_token_before_a_rotation() -> None:
    token = {"parameter": "token", "value": {"env": "JASMIN_TOKEN"}, "previous": {"env": "KANNEL_TOKEN"}}
    adapter = make("kannel", auth={"token": token})
    assert adapter.verify(kannel_call()).key == "k1"
    assert adapter.verify(kannel_call(token=SECRETS["JASMIN_TOKEN"])).key == "k1"


@pytest.mark.parametrize("value", ["a&b", "50%d", "a b", "é", "a/b"])
def test_a_token_in_a_url_is_plain(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KANNEL_TOKEN", value)
    with pytest.raises(ValidationError, match="letters, digits"):
        example("kannel")
    assert example("kannel", auth={"token": {"header": "X-Api-Key", "value": {"env": "KANNEL_TOKEN"}}})


def test_token_in_a_header() -> None:
    adapter = make("kannel", auth={"token": {"header": "X-Api-Key", "value": {"env": "KANNEL_TOKEN"}}})
    good = replace(kannel_call(), headers={"x-api-key": SECRETS["KANNEL_TOKEN"]})
    assert adapter.verify(good).key == "k1"
    with pytest.raises(Unverified):
        adapter.verify(kannel_call())


@pytest.mark.parametrize(
    ("header", "valid"),
    [
        ("Basic " + base64.b64encode(b"gw:test-kannel-password").decode(), True),
        ("basic " + base64.b64encode(b"gw:test-kannel-password").decode(), True),
        ("Basic " + base64.b64encode(b"gw:other").decode(), False),
        ("Basic", False),
        ("", False),
        ("é", False),
    ],
)
def test_basic(header: str, valid: bool) -> None:
    basic = {"username": "gw", "password": {"env": "KANNEL_PASSWORD"}}
    adapter = make("kannel", auth={"token": None, "basic": basic})
    request = replace(kannel_call(), headers={"authorization": header})
    if valid:
        assert adapter.verify(request).key == "k1"
    else:
        with pytest.raises(Unverified):
            adapter.verify(request)


@pytest.mark.parametrize("base", ["{body}", "{url}{body}", "{timestamp}.{body}", "{method}\n{path}\n{body_sha256}"])
@pytest.mark.parametrize(("encoding", "prefix"), [("hex", ""), ("hex", "sha1="), ("base64", "")])
@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_signatures_of_every_kind(base: str, encoding: str, prefix: str, algorithm: str) -> None:
    table: dict[str, object] = {"base": base, "encoding": encoding, "prefix": prefix, "algorithm": algorithm}
    table |= {"header": "X-Sign", "key": {"env": "AGGREGATOR_KEY"}}
    table |= {"timestamp": "X-Time"} if "timestamp" in base else {}
    settings = example("json", auth={"hmac": table})
    request = FakeAggregator(settings, webhook_url=URL).webhook(CITIZEN, "Jalan rusak", "m1")
    adapter = HttpSms(settings, CONTEXT)
    assert adapter.verify(request).key == "m1"
    for changed in (
        replace(request, body=request.body.replace(b"rusak", b"mulus")),
        replace(request, headers={name: value for name, value in request.headers.items() if name != "x-sign"}),
        replace(request, headers=request.headers | {"x-sign": request.headers["x-sign"][:-1]}),
    ):
        with pytest.raises(Unverified):
            adapter.verify(changed)


def test_known_signature() -> None:
    """Check a signature of another program: printf %s | openssl dgst -sha256 -hmac."""
    table = {"header": "X-Sign", "key": {"env": "AGGREGATOR_KEY"}}
    adapter = make("json", auth={"hmac": table})
    body = b'{"data":{"trx_id":"T1","msisdn":"+6281200000999","message":"halo"}}'
    signature = "e856dfa95c0a402f7034dd7a867e8250cff1522d3abba9d4093402cd6eb7f683"
    assert adapter.verify(WebhookRequest("POST", URL, {"x-sign": signature.upper()}, body)).key == "T1"


@pytest.mark.parametrize("timestamp", ["", "2026-01-01T00:00:00+00:00"])
def test_timestamp_is_signed(timestamp: str) -> None:
    request = FakeAggregator(example("json"), webhook_url=URL).webhook(CITIZEN, "x", "m1")
    with pytest.raises(Unverified):
        make("json").verify(replace(request, headers=request.headers | {"x-timestamp": timestamp}))


def test_key_before_a_rotation() -> None:
    old = FakeAggregator(example("json"), webhook_url=URL).webhook(CITIZEN, "x", "m1")
    table = tomllib.loads((EXAMPLES / "json.toml").read_text())["channels"]["sms"]["auth"]["hmac"]
    adapter = make("json", auth={"hmac": table | {"key": {"env": "KANNEL_TOKEN"}, "previous_key": table["key"]}})
    assert adapter.verify(old).key == "m1"


def test_a_flood_of_fields_is_refused_before_it_is_read() -> None:
    with pytest.raises(Malformed):
        make("kannel").verify(replace(kannel_call(), url=URL + "?" + "a=1&" * 501))


@pytest.mark.parametrize("body", [b"text=Halo.&id=7&from=%2B62812", b'{"a":"x.y"}'])
def test_the_border_between_time_and_body_cannot_be_moved(body: bytes) -> None:
    """Else one captured call, cut in many places, would become many messages."""
    table = {"header": "x-sig", "key": {"env": "AGGREGATOR_KEY"}, "base": "{timestamp}.{body}", "timestamp": "x-time"}
    receive = {"sender": "from", "text": "text", "id": "id"}
    settings = HttpSettings.model_validate({"sender": "1708", "auth": {"hmac": table}, "receive": receive})
    adapter = HttpSms(settings, CONTEXT)
    signature = hmac.digest(SECRETS["AGGREGATOR_KEY"].encode(), b"1700000000." + body, "sha256").hex()

    def verify(timestamp: str, content: bytes) -> str:
        return adapter.verify(WebhookRequest("POST", URL, {"x-sig": signature, "x-time": timestamp}, content)).key

    assert verify("1700000000", body)
    first, _, rest = body.partition(b".")
    with pytest.raises(Unverified):
        verify(f"1700000000.{first.decode()}", rest)


@pytest.fixture
def token_in_form() -> HttpSms:
    auth = {"token": {"parameter": "k", "value": {"env": "KANNEL_TOKEN"}}}
    receive = {"sender": "from", "text": "text", "same_within": 60}
    return HttpSms(HttpSettings.model_validate({"sender": "1708", "auth": auth, "receive": receive}), CONTEXT)


@pytest.mark.parametrize(
    "body", [b"k=" + ESCAPES, b"&text=" + ESCAPES, b"k=wrong&text=" + ESCAPES], ids=["token", "text", "both"]
)
def test_a_call_without_the_token_is_not_decoded(
    token_in_form: HttpSms, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoding a megabyte of escapes takes nearly a tenth of a second; a token is short."""

    def decode(part: bytes) -> list[tuple[bytes, bytes]]:
        assert len(part) < 100
        return form_pairs(part)

    monkeypatch.setattr("adapters.sms.http.auth.form_pairs", decode)
    with pytest.raises(Unverified):
        token_in_form.verify(WebhookRequest("POST", URL, {}, body))


def test_a_token_of_escapes_is_decoded(token_in_form: HttpSms) -> None:
    token = b"".join(b"%%%02x" % byte for byte in SECRETS["KANNEL_TOKEN"].encode())
    assert token_in_form.verify(WebhookRequest("POST", URL, {}, b"from=%2B62&text=x&%6B=" + token))


def test_a_call_that_passes_but_cannot_be_read_is_stored() -> None:
    request = calls.authenticated(example("json"), "POST", URL, {}, b'{"other": "document"}')
    again = calls.authenticated(example("json"), "POST", URL, {}, b'{"other": "document"}', MOMENT)
    adapter = make("json")
    assert adapter.verify(request) == adapter.verify(again)
    assert adapter.verify(request).key.startswith("unread:")


def test_without_id_the_time_separates_messages() -> None:
    adapter = make("kannel", receive={"id": None})
    first, again = (adapter.verify(kannel_call(text="STATUS 12345671")) for _ in range(2))
    later = adapter.verify(kannel_call(text="STATUS 12345671", ts="1767323046"))
    other = adapter.verify(kannel_call(text="STATUS 12345671", **{"from": "+6281200000998"}))
    assert first == again
    assert len({first.key, later.key, other.key}) == 3
    (event,) = adapter.translate(stored(kannel_call(text="STATUS 12345671")))
    assert event.external_id == first.key


def test_without_id_and_time_the_arrival_is_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = make("kannel", receive={"id": None, "sent_at": None, "same_within": 600})
    now = 1_000_000.0 * 600
    monkeypatch.setattr("time.time", lambda: now)
    first = adapter.verify(kannel_call(text="BANTUAN"))
    monkeypatch.setattr("time.time", lambda: now + 599)
    assert adapter.verify(kannel_call(text="BANTUAN")) == first
    monkeypatch.setattr("time.time", lambda: now + 601)
    second = adapter.verify(kannel_call(text="BANTUAN"))
    assert second.key != first.key
    assert second.former_key == first.key
    monkeypatch.setattr("time.time", lambda: now + 1201)
    third = adapter.verify(kannel_call(text="BANTUAN"))
    assert third.key != first.key
    assert third.former_key == second.key


def test_borders_of_fields_count_in_a_key() -> None:
    adapter = make("kannel", receive={"id": None})
    first = adapter.verify(kannel_call(to="1708", text="1x"))
    second = adapter.verify(kannel_call(to="17081", text="x"))
    assert first.key != second.key
