"""Fixtures of the tests in this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.sms.smpp.simulator import FakeSmsc
from adapters.sms.smpp.tests.support import PASSWORD, ManualClock, RawOperator


@pytest.fixture
def smsc() -> Iterator[FakeSmsc]:
    with FakeSmsc(system_id="lapor", password=PASSWORD, sender="1708", delivery_delay=0.01) as smsc:
        yield smsc


@pytest.fixture
def operator() -> Iterator[RawOperator]:
    operator = RawOperator()
    yield operator
    operator.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
