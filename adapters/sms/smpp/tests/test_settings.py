"""The settings that the SMPP adapter takes."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from adapters.sms.smpp.tests.support import make
from gateway.ports import Secret


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", ""),
        ("port", 0),
        ("system_id", "x" * 16),
        ("system_id", "lapör"),
        ("system_type", "Ω"),
        ("sender", "08"),
        ("sender", "LAPOR-1708"),
        ("bind_mode", "both"),
        ("default_alphabet", "ucs2"),
        ("codings", {"4": "klingon"}),
        ("codings", {"x": "latin1"}),
        ("tps", 0),
        ("window", 0),
        ("password", Secret("longer than 8")),
        ("unknown", 1),
    ],
)
def test_wrong_settings_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError):
        make(**{name: value})
