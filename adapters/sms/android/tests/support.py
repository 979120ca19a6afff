"""Help the tests in this folder: an adapter and a phone of a test account, and messages."""

from __future__ import annotations

from datetime import UTC, datetime

from adapters.sms.android.adapter import AndroidSms
from adapters.sms.android.settings import AndroidSettings
from adapters.sms.android.simulator import FakePhone, Incoming
from gateway.ports import ChannelContext, Secret

KEY = "test-signing-key"
OLD_KEY = "test-key-before"
PASSWORD = "test-password"
URL = "https://gateway.example/in/18.10/telepon"
CITIZEN = "+6281200000999"
OURS = "+6281200000100"
CONTEXT = ChannelContext(region="18.10", channel="telepon", webhook_url=URL)
AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def make(**changes: object) -> AndroidSms:
    """Make an adapter with the test account."""
    settings: dict[str, object] = {
        "user": "sms",
        "password": Secret(PASSWORD),
        "signing_key": Secret(KEY),
        "previous_signing_key": Secret(OLD_KEY),
        "sender": OURS,
        "timeout": 0.5,
    }
    return AndroidSms(AndroidSettings(**(settings | changes)), CONTEXT)


def phone(**changes: object) -> FakePhone:
    options: dict[str, object] = {"user": "sms", "password": PASSWORD, "signing_key": KEY, "sender": OURS}
    return FakePhone(**(options | {"webhook_url": URL, "delivery_delay": 0.01, "retries": 0} | changes))


def sms(text: str, *, at: datetime = AT, id: str = "evt1", sender: str = CITIZEN) -> Incoming:
    return Incoming(id, sender, OURS, text, at)
