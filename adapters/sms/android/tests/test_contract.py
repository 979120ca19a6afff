"""Run the contract of all adapters on the phone adapter."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from adapters.sms.android.adapter import AndroidSms
from adapters.sms.android.simulator import FakePhone
from adapters.sms.android.tests.support import AT, CITIZEN, KEY, OLD_KEY, PASSWORD, make, sms
from gateway.ports import Poller, Replier, Translator, Webhook
from gateway.ports.wire import WebhookRequest
from gateway.testing.contract import AdapterContract

HERE = Path(__file__).parent


class AndroidForge:
    """Write and sign webhooks like the app."""

    signature_header = "x-signature"
    sender = CITIZEN
    refused_code = "reject:phone"
    secrets = (KEY, OLD_KEY, PASSWORD)

    def __init__(self, provider: FakePhone) -> None:
        self.provider = provider

    def message(self, text: str, external_id: str) -> WebhookRequest:
        # A message of the phone has no id: two messages need two times.
        later = int(sha256(external_id.encode()).hexdigest()[:4], 16)
        return self.garbage(self.provider.body(sms(text, at=AT + timedelta(seconds=later), id=external_id)))

    def unknown(self) -> WebhookRequest:
        return self.garbage(self.provider.event("sms:invented", {"messageId": "1"}))

    def garbage(self, body: bytes) -> WebhookRequest:
        return self.provider.signed(body, 1_772_600_767)


class TestContract(AdapterContract):
    @pytest.fixture
    def adapter(self, adapter: AndroidSms) -> AndroidSms:
        return adapter

    @pytest.fixture
    def forge(self, fake: FakePhone) -> AndroidForge:
        return AndroidForge(fake)

    @pytest.fixture
    def requests_dir(self) -> Path:
        return HERE / "requests"


@pytest.mark.parametrize("port", [Translator, Webhook, Poller, Replier])
def test_implements_its_ports(port: type) -> None:
    assert isinstance(make(), port)
