"""Fixtures of the tests in this folder."""

from __future__ import annotations

import pytest

from adapters.sms.twilio.simulator import FakeTwilio
from adapters.sms.twilio.tests.support import SID, TOKEN, URL, make


@pytest.fixture
def fake():
    with FakeTwilio(account_sid=SID, auth_token=TOKEN, sender="1708", webhook_url=URL, delivery_delay=0.01) as fake:
        yield fake


@pytest.fixture
def adapter(fake):
    return make(api_base=fake.url, receipts=False)
