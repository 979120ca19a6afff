"""Define the fixtures of the tests in this folder."""

from __future__ import annotations

import pytest

from adapters.sms.http.tests.support import SECRETS


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
