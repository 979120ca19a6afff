"""Helpers of the tests in this folder."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from adapters.sms.http.adapter import HttpSettings, HttpSms
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


def text_of(adapter: HttpSms, request: WebhookRequest) -> str:
    (event,) = adapter.translate(stored(request))
    assert isinstance(event, CitizenMessage)
    return event.text


def a_reply(text: str = "Laporan diterima", to: str = CITIZEN) -> Reply:
    return Reply(id=uuid4(), to=to, text=text, created_at=datetime.now(UTC) - timedelta(seconds=1))
