"""Fixtures of the tests in this folder."""

from __future__ import annotations

import pytest

from adapters.sms.android.tests.support import make, phone


@pytest.fixture
def fake():
    with phone() as fake:
        yield fake


@pytest.fixture
def cloud():
    with phone(local=False, path="/3rdparty/v1") as fake:
        yield fake


@pytest.fixture
def adapter(fake):
    return make(api_base=fake.url, local=True)
