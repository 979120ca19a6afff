"""Define the fixtures of the tests in this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.sms.twilio.adapter import TwilioSms
from adapters.sms.twilio.simulator import FakeTwilio
from adapters.sms.twilio.tests.support import SID, TOKEN, URL, make


@pytest.fixture
def fake() -> Iterator[FakeTwilio]:
    with FakeTwilio(account_sid=SID, auth_token=TOKEN, sender="1708", webhook_url=URL, delivery_delay=0.01) as fake:
        yield fake


@pytest.fixture
def adapter(fake: FakeTwilio) -> TwilioSms:
    return make(api_base=fake.url, receipts=False)
