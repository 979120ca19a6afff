"""The HTTP adapter, by its three sample configurations: the contract, and what is peculiar to aggregators."""

from __future__ import annotations

import base64
import hmac
import time
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import jsonschema
import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from adapters import BUILTIN
from adapters.sms.http.adapter import HttpSettings, HttpSms
from adapters.sms.http.simulator import FakeAggregator, calls
from gateway.domain.errors import Malformed, Rejected, Throttled, Unavailable, Untranslatable, Unverified
from gateway.domain.events import CitizenMessage, Delivery, DeliveryReceipt, Ignored, MessagePart
from gateway.ports import ChannelContext, Joiner, Replier, Reply, Translator, Webhook
from gateway.ports.registry import Registry
from gateway.ports.wire import WebhookRequest
from gateway.settings.reader import load
from gateway.settings.schema import schemas
from gateway.testing.contract import AdapterContract
from gateway.testing.forge import stored

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "samples"
URL = "https://lapor.example.go.id/in/18.10/sms"
CITIZEN = "+6281200000999"
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CONTEXT = ChannelContext(region="18.10", channel="sms", webhook_url=URL)
SECRETS = {
    name: f"test-{name.lower().replace('_', '-')}"
    for name in (
        "KANNEL_TOKEN",
        "KANNEL_PASSWORD",
        "JASMIN_TOKEN",
        "JASMIN_PASSWORD",
        "AGGREGATOR_KEY",
        "AGGREGATOR_API_KEY",
    )
}
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.toml"))


@pytest.fixture(autouse=True)
def _secrets(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def example(name: str, **changes: Any) -> HttpSettings:
    """Return a sample's settings; a change replaces keys of the table it names, `None` takes the table away."""
    channel = tomllib.loads((EXAMPLES / f"{name}.toml").read_text("utf-8"))["channels"]["sms"]
    del channel["adapter"]
    for table, keys in changes.items():
        if isinstance(keys, dict):
            channel[table] = {k: v for k, v in {**channel.get(table, {}), **keys}.items() if v is not None}
        elif keys is None:
            channel.pop(table)
        else:
            channel[table] = keys
    return HttpSettings.model_validate(channel)


def make(name: str, **changes: Any) -> HttpSms:
    return HttpSms(example(name, **changes), CONTEXT)


def pointed(settings: HttpSettings, base: str) -> HttpSettings:
    """Return settings that send to another host."""
    assert settings.send
    path = "/" + settings.send.url.split("/", 3)[3]
    return settings.model_copy(update={"send": settings.send.model_copy(update={"url": base + path, "timeout": 0.5})})


class AggregatorForge:
    """Writes and signs as the aggregator does."""

    sender = CITIZEN
    refused_code = "reject:400"
    secrets = tuple(SECRETS.values())

    def __init__(self, provider: FakeAggregator, settings: HttpSettings) -> None:
        self.provider, self._settings = provider, settings
        self.signature_header = settings.auth.hmac.header.lower() if settings.auth.hmac else ""
        ours = settings.send and settings.send.parameters.values()
        self.resends = "" if "{id}" in (ours or ()) else "neither Kannel nor Jasmin can be asked, nor knows our id"

    def message(self, text: str, external_id: str) -> WebhookRequest:
        return self.provider.webhook(CITIZEN, text, external_id, at=MOMENT)

    def unknown(self) -> WebhookRequest:
        return calls.call(self._settings, URL, {"event": "invented", "who": CITIZEN})

    def garbage(self, body: bytes) -> WebhookRequest:
        receive = self._settings.receive
        if receive.method == "GET":
            return calls.call(self._settings, URL, {receive.text: body, receive.sender: body, "coding": body[:1]})
        kind = {"content-type": "application/json" if receive.body == "json" else calls.FORM}
        return calls.authenticated(self._settings, "POST", URL, kind, body)


class SampleContract(AdapterContract):
    name = ""

    @pytest.fixture
    def fake(self):
        with FakeAggregator(example(self.name), webhook_url=URL, delivery_delay=0.01) as fake:
            yield fake

    @pytest.fixture
    def adapter(self, fake):
        # Without addresses: a request file does not say whose call it was.
        changes = {} if self.name == "json" else {"auth": {"addresses": None}}
        return HttpSms(pointed(example(self.name, **changes), fake.url), CONTEXT)

    @pytest.fixture
    def forge(self, fake):
        return AggregatorForge(fake, example(self.name))

    @pytest.fixture
    def requests_dir(self):
        return HERE / self.name / "requests"


class TestKannel(SampleContract):
    name = "kannel"


class TestJasmin(SampleContract):
    name = "jasmin"


class TestJson(SampleContract):
    name = "json"


del SampleContract, AdapterContract  # else they would be collected by themselves


# --- the samples ---


def test_implements_its_ports():
    for port in (Translator, Webhook, Joiner, Replier):
        assert isinstance(make("kannel"), port)


@pytest.mark.parametrize("name", NAMES)
def test_samples_fit_one_screen(name):
    assert len((EXAMPLES / f"{name}.toml").read_text("utf-8").splitlines()) <= 50


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_read_by_the_real_reader(name, tmp_path):
    (tmp_path / "config" / "regions").mkdir(parents=True)
    (tmp_path / "key").write_bytes(base64.b64encode(b"k" * 32))
    (tmp_path / "config" / "gateway.toml").write_text(
        '[server]\npublic_url = "https://lapor.example.go.id"\n'
        '[encryption]\nkeys = [{ file = "key" }]\nlookup_key = { file = "key" }\n'
    )
    sample = (EXAMPLES / f"{name}.toml").read_text("utf-8")
    (tmp_path / "config" / "regions" / "18.10-pringsewu.toml").write_text(sample, "utf-8")
    (channel,) = load(tmp_path / "config", Registry(BUILTIN)).channels
    assert channel.context.webhook_url == URL
    assert isinstance(channel.settings, HttpSettings)


@pytest.mark.parametrize("name", NAMES)
def test_samples_fit_the_schema_that_editors_use(name):
    schema = schemas(Registry(BUILTIN))["region"]
    sample = tomllib.loads((EXAMPLES / f"{name}.toml").read_text("utf-8"))
    jsonschema.validate(sample, schema)
    sample["channels"]["sms"]["receive"]["txet"] = "x"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(sample, schema)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["Laporan diterima", "Laporan diterima 😀 ñ€"])
def test_receipts_come_back_to_the_reply(name, text):
    settings = example(name)
    with FakeAggregator(settings, webhook_url=URL) as fake:
        adapter = HttpSms(pointed(settings, fake.url), CONTEXT)
        receipt = adapter.reply(a_reply(text))
        (message,) = fake.replies(CITIZEN)
        assert message.body == text
        words = [word for word, state in settings.receipts.states.items() if state is Delivery.DELIVERED]
        request = fake.receipt(message, words[0])
    assert adapter.verify(request).key == f"receipt:{receipt.external_id}:{words[0]}"
    assert adapter.translate(stored(request)) == [
        DeliveryReceipt(external_id=receipt.external_id, state=Delivery.DELIVERED)
    ]


# --- auth ---


def kannel_call(**fields: str | bytes) -> WebhookRequest:
    given = {
        "token": SECRETS["KANNEL_TOKEN"],
        "id": "k1",
        "from": CITIZEN,
        "to": "1708",
        "text": "x",
        "ts": "1767323045",
    }
    return WebhookRequest("GET", f"{URL}?{urlencode(given | fields)}", {}, b"", "127.0.0.1")


@pytest.mark.parametrize("client", ["127.0.0.2", "", "unix:", "10.0.0.1", "::1", "127.0.0.1.example"])
def test_other_addresses_are_refused(client):
    with pytest.raises(Unverified):
        make("kannel").verify(replace(kannel_call(), client=client))


@pytest.mark.parametrize("client", ["127.0.0.1", "::ffff:127.0.0.1"])
def test_the_aggregators_address_is_taken(client):
    assert make("kannel").verify(replace(kannel_call(), client=client)).key == "k1"


@pytest.mark.parametrize("token", ["", "x", "test-kannel-token ", "é", b"\xff"])
def test_wrong_token_is_refused(token):
    with pytest.raises(Unverified):
        make("kannel").verify(kannel_call(token=token))


def test_token_before_a_rotation():
    token = {"parameter": "token", "value": {"env": "JASMIN_TOKEN"}, "previous": {"env": "KANNEL_TOKEN"}}
    assert make("kannel", auth={"token": token}).verify(kannel_call()).key == "k1"
    assert make("kannel", auth={"token": token}).verify(kannel_call(token=SECRETS["JASMIN_TOKEN"])).key == "k1"


@pytest.mark.parametrize("value", ["a&b", "50%d", "a b", "é", "a/b"])
def test_a_token_in_a_url_is_plain(value, monkeypatch):
    monkeypatch.setenv("KANNEL_TOKEN", value)
    with pytest.raises(ValidationError, match="letters, digits"):
        example("kannel")
    assert example("kannel", auth={"token": {"header": "X-Api-Key", "value": {"env": "KANNEL_TOKEN"}}})


def test_token_in_a_header():
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
def test_basic(header, valid):
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
def test_signatures_of_every_kind(base, encoding, prefix, algorithm):
    hmac = {"base": base, "encoding": encoding, "prefix": prefix, "algorithm": algorithm}
    hmac |= {"header": "X-Sign", "key": {"env": "AGGREGATOR_KEY"}}
    hmac |= {"timestamp": "X-Time"} if "timestamp" in base else {}
    settings = example("json", auth={"hmac": hmac})
    request = FakeAggregator(settings, webhook_url=URL).webhook(CITIZEN, "Jalan rusak", "m1")
    adapter = HttpSms(settings, CONTEXT)
    assert adapter.verify(request).key == "m1"
    for changed in (
        replace(request, body=request.body.replace(b"rusak", b"mulus")),
        replace(request, headers={k: v for k, v in request.headers.items() if k != "x-sign"}),
        replace(request, headers=request.headers | {"x-sign": request.headers["x-sign"][:-1]}),
    ):
        with pytest.raises(Unverified):
            adapter.verify(changed)


def test_known_signature():
    """A value that was made with another program: printf %s | openssl dgst -sha256 -hmac."""
    hmac = {"header": "X-Sign", "key": {"env": "AGGREGATOR_KEY"}}
    adapter = make("json", auth={"hmac": hmac})
    body = b'{"data":{"trx_id":"T1","msisdn":"+6281200000999","message":"halo"}}'
    signature = "e856dfa95c0a402f7034dd7a867e8250cff1522d3abba9d4093402cd6eb7f683"
    assert adapter.verify(WebhookRequest("POST", URL, {"x-sign": signature.upper()}, body)).key == "T1"


def test_timestamp_is_signed():
    request = FakeAggregator(example("json"), webhook_url=URL).webhook(CITIZEN, "x", "m1")
    for stamp in ("", "2026-01-01T00:00:00+00:00"):
        with pytest.raises(Unverified):
            make("json").verify(replace(request, headers=request.headers | {"x-timestamp": stamp}))


def test_key_before_a_rotation():
    old = FakeAggregator(example("json"), webhook_url=URL).webhook(CITIZEN, "x", "m1")
    hmac = {**tomllib.loads((EXAMPLES / "json.toml").read_text())["channels"]["sms"]["auth"]["hmac"]}
    adapter = make("json", auth={"hmac": hmac | {"key": {"env": "KANNEL_TOKEN"}, "previous_key": hmac["key"]}})
    assert adapter.verify(old).key == "m1"


def test_a_flood_of_fields_is_refused_before_it_is_read():
    with pytest.raises(Malformed):
        make("kannel").verify(replace(kannel_call(), url=URL + "?" + "a=1&" * 501))


@pytest.mark.parametrize("body", [b"text=Halo.&id=7&from=%2B62812", b'{"a":"x.y"}'])
def test_the_border_between_time_and_body_cannot_be_moved(body):
    """Else one captured call, cut in many places, would become many messages."""
    signed = {"header": "x-sig", "key": {"env": "AGGREGATOR_KEY"}, "base": "{timestamp}.{body}", "timestamp": "x-time"}
    receive = {"sender": "from", "text": "text", "id": "id"}
    settings = HttpSettings.model_validate({"sender": "1708", "auth": {"hmac": signed}, "receive": receive})
    adapter = HttpSms(settings, CONTEXT)
    signature = hmac.digest(SECRETS["AGGREGATOR_KEY"].encode(), b"1700000000." + body, "sha256").hex()

    def verify(time_: str, rest: bytes) -> str:
        return adapter.verify(WebhookRequest("POST", URL, {"x-sig": signature, "x-time": time_}, rest)).key

    assert verify("1700000000", body)
    first, _, rest = body.partition(b".")
    with pytest.raises(Unverified):
        verify(f"1700000000.{first.decode()}", rest)


def test_what_nobody_vouched_for_is_not_decoded():
    """A megabyte of escapes costs nearly a tenth of a second; the token is found without."""
    flood = b"&text=" + b"%41" * 300_000
    auth = {"token": {"parameter": "k", "value": {"env": "KANNEL_TOKEN"}}}
    receive = {"sender": "from", "text": "text", "same_within": 60}
    adapter = HttpSms(HttpSettings.model_validate({"sender": "1708", "auth": auth, "receive": receive}), CONTEXT)
    genuine = WebhookRequest("POST", URL, {}, b"")
    began = time.process_time()
    for body in (b"k=" + b"%41" * 300_000, flood, b"k=wrong" + flood):
        with pytest.raises(Unverified):
            adapter.verify(replace(genuine, body=body))
    assert time.process_time() - began < 0.03
    assert adapter.verify(
        replace(
            genuine, body=b"from=%2B62&text=x&%6B=" + b"".join(b"%%%02x" % c for c in SECRETS["KANNEL_TOKEN"].encode())
        )
    )


def test_a_call_that_passes_but_cannot_be_read_is_kept():
    request = calls.authenticated(example("json"), "POST", URL, {}, b'{"other": "document"}')
    again = calls.authenticated(example("json"), "POST", URL, {}, b'{"other": "document"}', MOMENT)
    adapter = make("json")
    assert adapter.verify(request) == adapter.verify(again)
    assert adapter.verify(request).key.startswith("unread:")


# --- keys without an id ---


def test_without_id_the_time_tells_messages_apart():
    adapter = make("kannel", receive={"id": None})
    first, again = (adapter.verify(kannel_call(text="STATUS 12345671")) for _ in range(2))
    later = adapter.verify(kannel_call(text="STATUS 12345671", ts="1767323046"))
    other = adapter.verify(kannel_call(text="STATUS 12345671", **{"from": "+6281200000998"}))
    assert first == again
    assert len({first.key, later.key, other.key}) == 3
    (event,) = adapter.translate(stored(kannel_call(text="STATUS 12345671")))
    assert event.external_id == first.key


def test_without_id_and_time_the_arrival_is_cut(monkeypatch):
    adapter = make("kannel", receive={"id": None, "sent_at": None, "same_within": 600})
    now = 1_000_000.0 * 600
    monkeypatch.setattr("time.time", lambda: now)
    first = adapter.verify(kannel_call(text="BANTUAN"))
    monkeypatch.setattr("time.time", lambda: now + 599)
    assert adapter.verify(kannel_call(text="BANTUAN")) == first
    monkeypatch.setattr("time.time", lambda: now + 601)
    next_one = adapter.verify(kannel_call(text="BANTUAN"))
    assert next_one.key != first.key
    assert next_one.former_key == first.key
    monkeypatch.setattr("time.time", lambda: now + 1201)
    assert first.key not in (adapter.verify(kannel_call(text="BANTUAN")).key, next_one.former_key and "")
    assert adapter.verify(kannel_call(text="BANTUAN")).former_key == next_one.key


def test_borders_of_fields_count_in_a_key():
    adapter = make("kannel", receive={"id": None})
    assert (
        adapter.verify(kannel_call(to="1708", text="1x")).key != adapter.verify(kannel_call(to="17081", text="x")).key
    )


# --- text ---


def text_of(adapter: HttpSms, request: WebhookRequest) -> str:
    (event,) = adapter.translate(stored(request))
    assert isinstance(event, CitizenMessage)
    return event.text


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
def test_kannel_codings(coding, charset, octets, text):
    assert text_of(make("kannel"), kannel_call(coding=coding, charset=charset, text=octets)) == text


@pytest.mark.parametrize(
    ("coding", "charset", "octets", "why"),
    [
        ("2", "UTF-16BE", b"\x00a\x00", "utf-16-be"),
        ("0", "UTF-8", b"\xff\xfe", "utf-8"),
        ("7", "", b"x", "coding"),
        ("0", "zip", b"x", "character set"),
    ],
)
def test_what_is_no_text_is_dead(coding, charset, octets, why):
    with pytest.raises(Untranslatable, match=why):
        make("kannel").translate(stored(kannel_call(coding=coding, charset=charset, text=octets)))


def jasmin_call(**fields: str | bytes) -> WebhookRequest:
    given: dict[str, Any] = {"id": "j1", "from": CITIZEN, "to": "1708", "origin-connector": "op", "coding": b"\x00"}
    return calls.authenticated(
        example("jasmin"), "POST", URL, {"content-type": calls.FORM}, urlencode(given | fields).encode()
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
def test_jasmin_codings(coding, octets, text):
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
def test_jasmin_garbage_is_dead(fields):
    with pytest.raises(Untranslatable):
        make("jasmin").translate(stored(jasmin_call(**fields)))


def test_jasmin_wants_its_own_answer():
    answer = make("jasmin").accepted(jasmin_call(content="x"))
    assert (answer.status, answer.body) == (200, b"ACK/Jasmin")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb'{"data":{"trx_id":"1","msisdn":"+62812","message":"a \ud83d b"}}', "a \ufffd b"),
        (rb'{"data":{"trx_id":"1","msisdn":"+62812","message":"a \ud83d\ude00 b"}}', "a 😀 b"),
        (rb'{"data":{"trx_id":1,"msisdn":62812,"message":12}}', "12"),
        (rb'{"data":{"trx_id":"1","msisdn":"+62812","message":""}}', ""),
    ],
)
def test_json_texts(body, text):
    request = calls.authenticated(example("json"), "POST", URL, {"content-type": "application/json"}, body)
    assert text_of(make("json"), request) == text


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[1]", b'{"data":[]}', b'{"data":{"message":"x"}}', b"\xff"])
def test_json_that_is_something_else(body):
    request = calls.authenticated(example("json"), "POST", URL, {}, body)
    make("json").verify(request)
    try:
        (event,) = make("json").translate(stored(request))
    except Untranslatable:
        return
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
def test_times(form, value):
    (event,) = make("kannel", receive={"time_format": form}).translate(stored(kannel_call(ts=value)))
    assert event.sent_at == MOMENT


@pytest.mark.parametrize("value", ["kemarin", "9" * 30, "2026-13-01T00:00:00"])
@pytest.mark.parametrize("form", ["iso", "unix", "%Y-%m-%d"])
def test_bad_times_are_dead(form, value):
    with pytest.raises(Untranslatable, match="time"):
        make("kannel", receive={"time_format": form}).translate(stored(kannel_call(ts=value)))


def test_our_own_message_is_ignored():
    request = kannel_call(**{"from": "1708"})
    assert make("kannel").translate(stored(request)) == [Ignored(why="our own message")]


# --- parts ---

LONG = (
    "Kepada Bapak Bupati ingkang kinurmatan, margi ing dhusun kula risak sanget 😭 lan jembatanipun sampun "
    "ambrol wiwit wulan kepengker ꦗꦮ. " * 3 + "Matur nuwun 🙏🏽"
)


def octet_parts(text: str, size: int) -> list[bytes]:
    octets = text.encode("utf-16-be")
    return [octets[start : start + size] for start in range(0, len(octets), size)]


def udh_calls(pieces: list[bytes], *, raw: bool, reference: int = 7) -> list[WebhookRequest]:
    found = []
    for number, piece in enumerate(pieces, 1):
        header = bytes([5, 0, 3, reference, len(pieces), number])
        udh = header if raw else header.hex()
        found.append(kannel_call(id=f"p{number}", udh=udh, coding="2", charset="UTF-16BE", text=piece))
    return found


@pytest.mark.parametrize("form", ["raw", "hex"])
@pytest.mark.parametrize("size", [134, 131, 67, 1])
def test_parts_are_joined_as_bytes(form, size):
    adapter = make("kannel", receive={"parts": {"udh": "udh", "udh_form": form}})
    text = LONG if size > 60 else LONG[90:110]
    requests = udh_calls(octet_parts(text, size), raw=form == "raw")
    events = {}
    for request in reversed(requests):
        (event,) = adapter.translate(stored(request))
        assert isinstance(event, MessagePart)
        events[event.number] = event
    assert len({adapter.verify(request).key for request in requests}) == len(requests)
    assert {event.group for event in events.values()} == {f"1708:udh8:7:{len(requests)}"}
    assert sorted(events) == list(range(1, len(requests) + 1))
    joined = adapter.join([stored(request) for request in requests])
    assert joined.text == text
    assert joined.external_id == adapter.verify(requests[0]).key


def test_a_missing_part_leaves_a_mark():
    adapter = make("kannel", receive={"parts": {"udh": "udh", "udh_form": "raw"}})
    first, _, third = (stored(request) for request in udh_calls(octet_parts("satu dua tiga", 10), raw=True))
    assert adapter.join([first, None, third]).text == "satu  [...] iga"
    assert adapter.join([None, None, third]).text == " [...] iga"
    with pytest.raises(Untranslatable):
        adapter.join([None, None])


@pytest.mark.parametrize(
    ("charset", "codec", "size"), [("UTF-16BE", "utf-16-be", 5), ("UTF-16BE", "utf-16-be", 6), ("UTF-8", "utf-8", 5)]
)
@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_missing_part_with_half_a_character_kills_nothing(charset, codec, size, lost):
    adapter = make("kannel", receive={"parts": {"udh": "udh", "udh_form": "raw"}})
    octets = "é😭é😭é"[:5].encode(codec)
    requests = [
        kannel_call(
            id=f"p{n}", udh=bytes([5, 0, 3, 1, 3, n + 1]), coding="", charset=charset, text=octets[at : at + size]
        )
        for n, at in enumerate((0, size, 2 * size))
    ]
    parts = [None if number == lost else stored(request) for number, request in enumerate(requests)]
    assert " [...] " in adapter.join(parts).text


def test_parts_by_reference_number_and_total():
    parts = {"reference": "data.ref", "number": "data.part", "total": "data.parts"}
    adapter = make("json", receive={"parts": parts})
    fake = FakeAggregator(example("json"), webhook_url=URL)

    def part(number: int, text: str, ref: str = "r-1", id_: str = "same") -> WebhookRequest:
        more = {"data.ref": ref, "data.part": number, "data.parts": 2, "data.message": text}
        return calls.call(example("json"), URL, fake.fields(CITIZEN, id_, MOMENT) | more)

    one, two = part(1, "Jalan "), part(2, "rusak")
    keys = {adapter.verify(one).key, adapter.verify(two).key}
    assert len(keys) == 2, "an aggregator may give all parts one id"
    groups = {adapter.translate(stored(request))[0].group for request in (one, two)}
    assert len(groups) == 1
    assert adapter.translate(stored(part(1, "x", ref="r-2")))[0].group not in groups
    assert adapter.join([stored(one), stored(two)]).text == "Jalan rusak"
    whole = calls.call(example("json"), URL, fake.fields(CITIZEN, "w", MOMENT) | {"data.message": "utuh"})
    assert text_of(adapter, whole) == "utuh"


@pytest.mark.parametrize("udh", ["", "050003070101", "06050400ff0000", "050003070200", "0500030702"])
def test_headers_that_tell_of_no_parts(udh):
    adapter = make("kannel", receive={"parts": {"udh": "udh"}})
    request = kannel_call(udh=udh)
    if udh == "0500030702":
        with pytest.raises(Untranslatable):
            adapter.translate(stored(request))
    else:
        assert text_of(adapter, request) == "x"


# --- receipts ---


@pytest.mark.parametrize(
    ("word", "state"), [("1", "delivered"), ("2", "failed"), ("4", "sent"), ("8", "sent"), ("16", "failed")]
)
def test_kannel_receipts(word, state):
    request = WebhookRequest("GET", f"{URL}?token={SECRETS['KANNEL_TOKEN']}&dlr={word}&reply=abc", {}, b"", "127.0.0.1")
    assert make("kannel").verify(request).key == f"receipt:abc:{word}"
    assert make("kannel").translate(stored(request)) == [DeliveryReceipt(external_id="abc", state=Delivery(state))]


def test_receipt_told_apart_by_a_parameter_of_its_own():
    adapter = make("kannel", receipts={"when": "event", "status": "coding"})
    message = kannel_call(coding="0", charset="UTF-8")
    assert isinstance(adapter.translate(stored(message))[0], CitizenMessage)
    receipt = kannel_call(coding="1", event="dlr", reply="abc")
    assert adapter.translate(stored(receipt)) == [DeliveryReceipt(external_id="abc", state=Delivery.DELIVERED)]


# --- replies ---


def a_reply(text: str = "Laporan diterima", to: str = CITIZEN) -> Reply:
    return Reply(id=uuid4(), to=to, text=text, created_at=datetime.now(UTC) - timedelta(seconds=1))


@pytest.fixture
def jasmin():
    with FakeAggregator(example("jasmin"), webhook_url=URL) as fake:
        yield fake


def test_reply_is_folded(jasmin):
    HttpSms(pointed(example("jasmin"), jasmin.url), CONTEXT).reply(a_reply("“Laporan” – diterima…"))
    assert jasmin.replies_to(CITIZEN) == ['"Laporan" - diterima...']


def test_wrong_password_lets_the_reply_live(jasmin, monkeypatch):
    monkeypatch.setenv("JASMIN_PASSWORD", "wrong")
    with pytest.raises(Unavailable, match="password") as caught:
        HttpSms(pointed(example("jasmin"), jasmin.url), CONTEXT).reply(a_reply())
    assert type(caught.value) is Unavailable


@pytest.mark.parametrize(
    ("how", "error"),
    [("reject:412", Unavailable), ("reject:403", Unavailable), ("reject:422", Rejected), ("reject:503", Unavailable)],
)
def test_http_statuses(jasmin, how, error):
    jasmin.fail(how)
    with pytest.raises(error) as caught:
        HttpSms(pointed(example("jasmin"), jasmin.url), CONTEXT).reply(a_reply())
    assert type(caught.value) is error


class Canned(FakeAggregator):
    """Answers every call with the same bytes, and keeps what it was sent."""

    status, body = 200, b""

    def _serve(self, method, target, authorization, body):
        self.seen = (method, target, authorization, body)
        return calls_answer(self.status, self.body)


def calls_answer(status, body):
    from gateway.simulation.server import Answer

    return Answer(status, body, {"Retry-After": "7"})


@pytest.fixture
def canned():
    with Canned(example("json"), webhook_url=URL) as fake:
        yield fake


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (200, b'{"status":"17"}', Throttled, "code 17"),
        (200, b'{"status":17}', Throttled, "code 17"),
        (200, b'{"status":"21"}', Unavailable, "code 21"),
        (200, b'{"status":"30"}', Rejected, "code 30"),
        (200, b'{"status":"99"}', Unavailable, "code 99"),
        (400, b'{"status":"30"}', Rejected, "code 30"),
        (500, b'{"status":"30"}', Rejected, "code 30"),
        (200, b'{"status":"saldo +6281200000999 habis"}', Unavailable, "not in outcomes"),
        (200, b'{"status":"6281200000999"}', Unavailable, "not in outcomes"),
        (200, b"<html>", Unavailable, "HTTP 200"),
        (200, b"", Unavailable, "HTTP 200"),
        (302, b"", Unavailable, "HTTP 302"),
        (404, b"", Unavailable, "send.url"),
    ],
)
def test_codes_in_the_answer(canned, status, body, error, says):
    canned.status, canned.body = status, body
    with pytest.raises(error, match=says) as caught:
        HttpSms(pointed(example("json"), canned.url), CONTEXT).reply(a_reply())
    assert type(caught.value) is error
    assert "81200000999" not in str(caught.value)
    assert caught.value.retry_after == (7.0 if error is not Rejected else None)


def test_an_answer_without_the_promised_id_is_still_sent(canned):
    canned.body = b'{"status":"0"}'
    reply = a_reply()
    assert HttpSms(pointed(example("json"), canned.url), CONTEXT).reply(reply).external_id == reply.id.hex


def test_the_bytes_of_a_json_reply(canned):
    canned.body = b'{"status":"0","data":{"message_id":"A-1"}}'
    reply = a_reply('Kutip "}" {to} 😀')
    assert HttpSms(pointed(example("json"), canned.url), CONTEXT).reply(reply).external_id == "A-1"
    method, target, authorization, body = canned.seen
    assert (method, target, authorization) == ("POST", "/v1/send", "Bearer test-aggregator-api-key")
    text = r"Kutip \"}\" {to} 😀"
    start = f'{{"masking":"LAPOR1708","msisdn":"{CITIZEN}","message":"{text}","trx_id":"{reply.id.hex}"'
    assert body.decode() == f'{start},"callback_url":"{URL}"}}'


def test_the_bytes_of_a_kannel_reply(canned):
    canned.body = b"0: Accepted for delivery"
    reply = a_reply("Tiket 1 & 2 😀")
    assert HttpSms(pointed(example("kannel"), canned.url), CONTEXT).reply(reply).external_id == reply.id.hex
    assert canned.seen[1] == (
        "/cgi-bin/sendsms?username=lapor&password=test-kannel-password&from=1708&to=%2B6281200000999"
        "&text=Tiket+1+%26+2+%F0%9F%98%80&charset=UTF-8&dlr-mask=31"
        "&dlr-url=https%3A%2F%2Flapor.example.go.id%2Fin%2F18.10%2Fsms%3Ftoken%3Dtest-kannel-token"
        f"%26dlr%3D%25d%26reply%3D{reply.id.hex}&coding=2"
    )


def test_a_netrc_changes_nothing(canned, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    canned.body = b'{"status":"0"}'
    HttpSms(pointed(example("json"), canned.url), CONTEXT).reply(a_reply())
    assert canned.seen[2] == "Bearer test-aggregator-api-key"


def test_basic_when_sending(canned):
    login = {"username": "gw", "password": {"env": "AGGREGATOR_KEY"}}
    canned.body = b'{"status":"0"}'
    settings = example("json", send={"headers": {}, "basic": login})
    HttpSms(pointed(settings, canned.url), CONTEXT).reply(a_reply())
    assert canned.seen[2] == "Basic " + base64.b64encode(b"gw:test-aggregator-key").decode()


def test_nobody_there(jasmin):
    adapter = HttpSms(pointed(example("jasmin"), jasmin.url), CONTEXT)
    jasmin.stop()
    with pytest.raises(Unavailable, match="cannot be reached"):
        adapter.reply(a_reply())


def test_without_send_a_reply_is_dead_at_once():
    with pytest.raises(Rejected, match="replies = false"):
        make("jasmin", send=None).reply(a_reply())


def test_parts_are_counted_as_folded():
    assert make("kannel").parts("“" * 160) == 1
    assert make("kannel").parts("😭" * 36) == 2


# --- settings ---


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"auth": {"addresses": None, "token": None}}, "say how a call is known"),
        ({"auth": {"none": "it is only a test"}}, "say how a call is known"),
        ({"auth": {"addresses": None, "token": None, "none": "x"}}, "at least 10"),
        ({"auth": {"addresses": ["10.0.0.1/8"]}}, "host bits"),
        ({"auth": {"token": {"value": {"env": "KANNEL_TOKEN"}}}}, "a parameter or a header"),
        ({"auth": {"hmac": {"header": "X", "key": {"env": "KANNEL_TOKEN"}}}}, "signs no message"),
        ({"auth": {"hmac": {"header": "X", "key": {"env": "KANNEL_TOKEN"}, "base": "{nonce}"}}}, "nonce"),
        ({"auth": {"hmac": {"header": "X", "key": {"env": "KANNEL_TOKEN"}, "base": "{timestamp}{url}"}}}, "timestamp"),
        ({"receive": {"id": None, "sent_at": None}}, "second delivery"),
        ({"receive": {"same_within": 60}}, "same_within"),
        ({"receive": {"charset": "klingon"}}, "character set"),
        ({"receive": {"codings": {}}}, "go together"),
        ({"receive": {"parts": {"reference": "r"}}}, "all three"),
        ({"receive": {"parts": {"udh": "u", "number": "n"}}}, "all three"),
        ({"receive": {"utc_offset": "+25:00"}}, "pattern"),
        ({"receive": {"time_format": "kemarin"}}, "a pattern with a date"),
        ({"receive": {"time_format": "%H:%M"}}, "a pattern with a date"),
        ({"receive": {"time_format": "%Q"}}, "a pattern with a date"),
        ({"receive": {"answer": {"status": 500}}}, "299"),
        ({"send": {"url": "http://sms.example/send"}}, "https"),
        ({"send": {"url": "http://8.8.8.8/send"}}, "https"),
        ({"send": {"url": "https://u:p@sms.example/send"}}, "user name"),
        ({"send": {"url": "ftp://127.0.0.1/"}}, "https"),
        ({"send": {"id": "/(/"}}, "regular expression"),
        ({"send": {"id": "/no brackets/"}}, "brackets"),
        ({"send": {"outcomes": {"1": "rejected"}}}, "sent"),
        ({"send": {"gsm": {"x": "{nonsense}"}}}, "nonsense"),
        ({"send": {"parameters": {"text": "{text}"}}}, "{to}"),
        ({"send": {"parameters": {"to": "{to}", "text": "{text}", "deep": {"a": 1}}}}, "nest"),
        ({"send": {"headers": {"X": "{nonsense}"}}}, "nonsense"),
        ({"receipts": {"states": {"1": "arrived"}}}, "delivered"),
        ({"sender": "+62 812"}, "pattern"),
    ],
)
def test_wrong_settings_are_refused(changes, says):
    with pytest.raises(ValidationError, match=says):
        example("kannel", **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"auth": {"addresses": None, "token": None, "none": "inside a closed network of the operator"}},
        {"send": {"url": "http://sms.example/send", "plain_http": "the aggregator has no https; inside a VPN"}},
        {"send": {"url": "http://192.168.1.5:13013/send"}},
        {"send": {"url": "https://sms.example/send"}},
    ],
)
def test_what_may_be_said_with_a_reason(changes):
    assert example("kannel", **changes)


def test_a_channel_that_checks_nothing_takes_what_comes():
    adapter = make("kannel", auth={"addresses": None, "token": None, "none": "inside a closed network"})
    assert adapter.verify(replace(kannel_call(token=""), client="203.0.113.9")).key == "k1"
