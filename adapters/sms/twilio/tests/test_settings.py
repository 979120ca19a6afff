"""Test which settings the Twilio adapter accepts, its imports, and its limits."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from adapters.sms.twilio.simulator import FakeTwilio
from adapters.sms.twilio.tests.support import CITIZEN, HERE, MESSAGE, a_reply, make
from gateway.domain.errors import Malformed, Unavailable
from gateway.testing import requestfile


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("account_sid", "AC123"),
        ("sender", "LAPOR"),
        ("sender", "08123456789x"),
        ("api_base", "http://twilio.example"),
        ("api_base", "https://twilio.example/path"),
        ("api_base", "ftp://127.0.0.1"),
        ("timeout", 0),
        ("poll_every", 1),
        ("poll_overlap", -1),
        ("unknown", 1),
    ],
)
def test_wrong_settings_are_refused(name: str, value: int | str) -> None:
    with pytest.raises(ValidationError):
        make(**{name: value})


def test_receiving_needs_no_sdk() -> None:
    # In a new interpreter, because this one has it.
    code = (
        "import sys, adapters.sms.twilio; "
        "sys.exit([m for m in ('twilio', 'requests', 'urllib3') if m in sys.modules] or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=HERE.parents[3])


def test_edge_in_the_environment_changes_nothing(fake: FakeTwilio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_EDGE", "jakarta")
    monkeypatch.setenv("TWILIO_REGION", "sg1")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert make(api_base=fake.url).reply(a_reply()).external_id


def test_errors_quote_no_number(fake: FakeTwilio, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    adapter = make(api_base=fake.url)
    fake.stop()
    with pytest.raises(Unavailable) as caught:
        adapter.find(a_reply())
    logging.getLogger("test").error("x", exc_info=caught.value)
    assert CITIZEN[1:] not in caplog.text


def test_request_files_keep_their_bytes(tmp_path: Path) -> None:
    for stem, request in requestfile.read_all(HERE / "requests"):
        requestfile.write(tmp_path / "x.http", request)
        assert (tmp_path / "x.http").read_bytes() == (HERE / "requests" / f"{stem}.http").read_bytes()


SIGNED_FIELDS = [("MessageSid", MESSAGE), ("NumMedia", "0"), ("NumSegments", "1"), ("From", CITIZEN), ("Body", "x")]


@pytest.mark.parametrize(("moved", "first"), [("NumMedia0", 2), ("NumMedia0NumSegments1", 3)])
def test_one_signature_is_good_for_one_message(fake: FakeTwilio, moved: str, first: int) -> None:
    """Move signed fields into the sid: names and values are signed in one run, without borders."""
    genuine = fake.signed(SIGNED_FIELDS)
    body = urlencode([("MessageSid", MESSAGE + moved), *SIGNED_FIELDS[first:]]).encode()
    with pytest.raises(Malformed):
        make().verify(replace(genuine, body=body))


def test_the_signature_of_the_genuine_message_is_right(fake: FakeTwilio) -> None:
    assert make().verify(fake.signed(SIGNED_FIELDS)).key == MESSAGE


@pytest.mark.parametrize("flood", [b"a=1&" * 501, b"a=" + b"%41" * 300_000], ids=["fields", "escapes"])
def test_a_flood_is_refused_before_it_is_read(fake: FakeTwilio, flood: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    request = replace(fake.signed([("MessageSid", MESSAGE)]), body=flood)
    monkeypatch.setattr("adapters.sms.twilio.adapter.form_pairs", lambda _: pytest.fail("the flood was read"))
    with pytest.raises(Malformed):
        make().verify(request)
