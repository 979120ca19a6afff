"""Help the tests in this folder: settings of the samples, calls, and replies."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

from adapters.sms.http.adapter import HttpSms
from adapters.sms.http.settings import HttpSettings
from adapters.sms.http.simulator import FakeAggregator, calls
from gateway.domain.events import CitizenMessage
from gateway.ports import ChannelContext, Reply
from gateway.ports.wire import WebhookRequest
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


def example(name: str, **changes: object) -> HttpSettings:
    """Return a sample's settings; a change replaces keys of its table, `None` removes a key or the table."""
    channel = tomllib.loads((EXAMPLES / f"{name}.toml").read_text("utf-8"))["channels"]["sms"]
    del channel["adapter"]
    for table, keys in changes.items():
        if isinstance(keys, dict):
            channel[table] = {
                name: value for name, value in {**channel.get(table, {}), **keys}.items() if value is not None
            }
        elif keys is None:
            channel.pop(table)
        else:
            channel[table] = keys
    return HttpSettings.model_validate(channel)


def make(name: str, **changes: object) -> HttpSms:
    return HttpSms(example(name, **changes), CONTEXT)


def pointed(settings: HttpSettings, base: str) -> HttpSettings:
    """Return settings with another host in `send.url`."""
    assert settings.send
    path = "/" + settings.send.url.split("/", 3)[3]
    return settings.model_copy(update={"send": settings.send.model_copy(update={"url": base + path, "timeout": 0.5})})


class AggregatorForge:
    """Write and sign calls like the aggregator."""

    sender = CITIZEN
    refused_code = "reject:400"
    secrets = tuple(SECRETS.values())

    def __init__(self, provider: FakeAggregator, settings: HttpSettings) -> None:
        self.provider = provider
        self._settings = settings
        self.signature_header = settings.auth.hmac.header.lower() if settings.auth.hmac else ""
        sends_id = settings.send is not None and "{id}" in settings.send.parameters.values()
        self.resends = "" if sends_id else "Kannel and Jasmin have no look-up, and do not drop a repeated id"

    def message(self, text: str, external_id: str) -> WebhookRequest:
        return self.provider.webhook(CITIZEN, text, external_id, at=MOMENT)

    def unknown(self) -> WebhookRequest:
        return calls.call(self._settings, URL, {"event": "invented", "who": CITIZEN})

    def garbage(self, body: bytes) -> WebhookRequest:
        receive = self._settings.receive
        if receive.method == "GET":
            return calls.call(self._settings, URL, {receive.text: body, receive.sender: body, "coding": body[:1]})
        headers = {"content-type": "application/json" if receive.body == "json" else calls.FORM}
        return calls.authenticated(self._settings, "POST", URL, headers, body)


def kannel_call(**fields: str | bytes) -> WebhookRequest:
    defaults = {
        "token": SECRETS["KANNEL_TOKEN"],
        "id": "k1",
        "from": CITIZEN,
        "to": "1708",
        "text": "x",
        "ts": "1767323045",
    }
    return WebhookRequest("GET", f"{URL}?{urlencode(defaults | fields)}", {}, b"", "127.0.0.1")


def text_of(adapter: HttpSms, request: WebhookRequest) -> str:
    (event,) = adapter.translate(stored(request))
    assert isinstance(event, CitizenMessage)
    return event.text


def a_reply(text: str = "Laporan diterima", to: str = CITIZEN) -> Reply:
    return Reply(id=uuid4(), to=to, text=text, created_at=datetime.now(UTC) - timedelta(seconds=1))
