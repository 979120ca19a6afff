"""The contract that every adapter keeps, kept by the SMPP adapter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest

from adapters.sms.smpp.adapter import SmppSms
from adapters.sms.smpp.simulator import FakeSmsc, wire
from adapters.sms.smpp.tests.support import CITIZEN, MOMENT, PASSWORD, connected, deliver, make, payload
from gateway.ports import Adapter, FetchedMessage, Joiner, Listener, Replier, Translator, Webhook
from gateway.testing.contract import AdapterContract

HERE = Path(__file__).parent


class SmppForge:
    """Write messages as an operator does."""

    signature_header = ""
    sender = CITIZEN
    refused_code = "reject:11"
    secrets = (PASSWORD,)
    resends = "operators offer no look-up, and do not take our ids"

    def __init__(self, adapter: SmppSms, provider: FakeSmsc) -> None:
        self.provider = provider
        self._adapter = adapter

    def message(self, text: str, external_id: str) -> FetchedMessage:
        # SMPP has no id: two messages are two because they come at different times.
        return self._adapter.fetched(
            payload(text.encode("utf-16-be"), coding=8), MOMENT + 1000.0 * crc32(external_id.encode())
        )

    def unknown(self) -> FetchedMessage:
        return self._adapter.fetched(deliver(b"?", esm_class=0x18), MOMENT)

    def garbage(self, body: bytes) -> FetchedMessage:
        return self._adapter.fetched(wire.pdu(wire.DELIVER_SM, 1, body), MOMENT)


class TestContract(AdapterContract):
    longest_text = 30_000  # UTF-16 units in a message_payload

    @pytest.fixture
    def adapter(self, smsc: FakeSmsc) -> Iterator[SmppSms]:
        with connected(smsc, receipts=False, timeout=0.5) as (adapter, _):
            yield adapter

    @pytest.fixture
    def forge(self, adapter: SmppSms, smsc: FakeSmsc) -> SmppForge:
        return SmppForge(adapter, smsc)

    @pytest.fixture
    def requests_dir(self) -> Path:
        return HERE / "requests"

    def recorded(self, adapter: Adapter, requests_dir: Path) -> Iterator[tuple[str, FetchedMessage]]:
        assert isinstance(adapter, SmppSms)
        for path in sorted(requests_dir.glob("*.pdu")):
            yield path.stem, adapter.fetched(path.read_bytes(), MOMENT)


@pytest.mark.parametrize("port", [Translator, Listener, Joiner, Replier])
def test_implements_its_ports(port: type) -> None:
    assert isinstance(make(), port)


def test_is_no_webhook() -> None:
    assert not isinstance(make(), Webhook)
