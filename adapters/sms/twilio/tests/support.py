"""Help the tests in this folder: an adapter with a test account, and replies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from adapters.sms.twilio.adapter import TwilioSms
from adapters.sms.twilio.settings import TwilioSettings
from gateway.ports import ChannelContext, Reply, Secret

HERE = Path(__file__).parent
MESSAGE = "SM" + "0" * 31 + "1"
SID = "AC" + "0123456789abcdef" * 2
TOKEN = "test-token-nobody-uses"
OLD_TOKEN = "test-token-before"
KEY = "test-shared-key"
URL = "https://gateway.example/hooks/00/sms"
CITIZEN = "+6281200000999"
CONTEXT = ChannelContext(region="00", channel="sms", webhook_url=URL)


def make(**changes: object) -> TwilioSms:
    """Make an adapter with the test account."""
    settings: dict[str, object] = {
        "account_sid": SID,
        "auth_token": Secret(TOKEN),
        "previous_auth_token": Secret(OLD_TOKEN),
        "webhook_keys": {"webhooks_sharedkey_1": Secret(KEY)},
        "sender": "1708",
        "timeout": 0.5,
    }
    return TwilioSms(TwilioSettings(**(settings | changes)), CONTEXT)


def a_reply(text: str = "Laporan diterima", to: str = CITIZEN, age: float = 0) -> Reply:
    return Reply(id=uuid4(), to=to, text=text, created_at=datetime.now(UTC) - timedelta(seconds=age))
