"""Run the contract of all adapters on the Twilio adapter."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec.structs import replace

from adapters.sms.twilio.adapter import TwilioSms
from adapters.sms.twilio.simulator import FakeTwilio, Message
from adapters.sms.twilio.tests.support import CITIZEN, HERE, KEY, MESSAGE, OLD_TOKEN, TOKEN, make
from gateway.ports import Poller, Replier, Translator, Webhook
from gateway.ports.wire import WebhookRequest, form_pairs
from gateway.testing.contract import AdapterContract


class TwilioForge:
    """Write and sign requests like Twilio."""

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


class TestContract(AdapterContract):
    @pytest.fixture
    def adapter(self, adapter: TwilioSms) -> TwilioSms:
        return adapter

    @pytest.fixture
    def forge(self, fake: FakeTwilio) -> TwilioForge:
        return TwilioForge(fake)

    @pytest.fixture
    def requests_dir(self) -> Path:
        return HERE / "requests"


@pytest.mark.parametrize("port", [Translator, Webhook, Poller, Replier])
def test_implements_its_ports(port: type) -> None:
    assert isinstance(make(), port)
