"""Test which settings the phone adapter accepts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from adapters.sms.android.settings import CLOUD, AndroidSettings
from adapters.sms.android.simulator import FakePhone
from adapters.sms.android.tests.support import OURS, make, sms
from gateway.ports import JSON, RawMessage, Secret
from gateway.testing.forge import stored


@pytest.mark.parametrize(
    ("changes", "error_text"),
    [
        ({"api_base": "http://192.168.1.20:8080"}, "local = true"),
        ({"api_base": "http://sms.example/api/3rdparty/v1", "local": True}, "https://"),
        ({"api_base": "http://8.8.8.8:8080", "local": True}, "https://"),
        ({"api_base": "http://phone:8080", "local": True}, "IP address"),
        ({"api_base": "ftp://192.168.1.20"}, "address"),
        ({"api_base": "https://user:pw@sms.example"}, "address"),
        ({"local": True}, "needs api_base"),
        ({"export_missed": True}, "device_id"),
        ({"export_missed": True, "device_id": "d", "api_base": "http://10.0.0.2:8080", "local": True}, "not for local"),
        ({"sender": "halo"}, "sender"),
        ({"sim_number": 4}, "sim_number"),
        ({"device_id": "a b"}, "device_id"),
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, object], error_text: str) -> None:
    with pytest.raises(ValidationError, match=error_text):
        make(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sender": "08123"},
        {"api_base": "http://192.168.1.20:8080", "local": True},
        {"api_base": "http://10.1.2.3:8080/", "local": True},
        {"api_base": "https://phone.lan:8443", "local": True},
        {"api_base": "http://127.0.0.1:17081"},
        {"api_base": "https://sms.example/api/3rdparty/v1"},
    ],
)
def test_valid_settings_are_accepted(changes: dict[str, object]) -> None:
    assert make(**changes)


def test_the_cloud_is_the_default() -> None:
    assert AndroidSettings(user="u", password=Secret("p"), signing_key=Secret("k"), sender=OURS).api_base == CLOUD


def test_a_stored_message_of_another_time_has_the_same_id(fake: FakePhone) -> None:
    raw = stored(fake.signed(fake.body(sms("x"))))
    assert isinstance(raw, RawMessage)
    assert raw.content_type != JSON
    later = replace(raw, received_at=raw.received_at + timedelta(days=9))
    assert make().translate(later) == make().translate(raw)
