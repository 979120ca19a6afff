"""The contract that every adapter keeps, kept by the SMPP adapter."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import pytest

from adapters.sms.smpp.adapter import SmppSms
from adapters.sms.smpp.simulator import FakeSmsc, wire
from adapters.sms.smpp.tests.support import CITIZEN, MOMENT, PASSWORD, connected, deliver, make, payload
from gateway.ports import (
    FetchedMessage,
    Joiner,
    Listener,
    Replier,
    Translator,
    Webhook,
)
from gateway.testing.contract import AdapterContract

HERE = Path(__file__).parent


class SmppForge:
    """Writes what an operator sends."""

    signature_header = ""
    sender = CITIZEN
    refused_code = "reject:11"
    secrets = (PASSWORD,)
    resends = "operators offer no look-up, and know no id of ours"

    def __init__(self, adapter: SmppSms, provider: FakeSmsc) -> None:
        self.provider, self._adapter = provider, adapter

    def message(self, text: str, external_id: str) -> FetchedMessage:
        # SMPP has no id: two messages are two because they come at different times.
        return self._adapter.found(
            payload(text.encode("utf-16-be"), coding=8), MOMENT + 1000.0 * crc32(external_id.encode())
        )

    def unknown(self) -> FetchedMessage:
        return self._adapter.found(deliver(b"?", esm_class=0x18), MOMENT)

    def garbage(self, body: bytes) -> FetchedMessage:
        return self._adapter.found(wire.pdu(wire.DELIVER_SM, 1, body), MOMENT)


class TestContract(AdapterContract):
    longest_text = 30_000  # UTF-16 units in a message_payload

    @pytest.fixture
    def adapter(self, smsc):
        with connected(smsc, receipts=False, timeout=0.5) as (adapter, _):
            yield adapter

    @pytest.fixture
    def forge(self, adapter, smsc):
        return SmppForge(adapter, smsc)

    @pytest.fixture
    def requests_dir(self):
        return HERE / "requests"

    def recorded(self, adapter, requests_dir):
        for path in sorted(requests_dir.glob("*.pdu")):
            yield path.stem, adapter.found(path.read_bytes(), MOMENT)


def test_ports():
    adapter = make()
    assert isinstance(adapter, Translator | Listener | Joiner | Replier)
    assert all(isinstance(adapter, port) for port in (Translator, Listener, Joiner, Replier))
    assert not isinstance(adapter, Webhook)
