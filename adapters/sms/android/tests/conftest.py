"""Define the fixtures of the tests in this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.sms.android.adapter import AndroidSms
from adapters.sms.android.simulator import FakePhone
from adapters.sms.android.tests.support import make, phone


@pytest.fixture
def fake() -> Iterator[FakePhone]:
    with phone() as fake:
        yield fake


@pytest.fixture
def cloud() -> Iterator[FakePhone]:
    with phone(local=False, path="/3rdparty/v1") as fake:
        yield fake


@pytest.fixture
def adapter(fake: FakePhone) -> AndroidSms:
    return make(api_base=fake.url, local=True)
