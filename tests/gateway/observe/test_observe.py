"""Logs are redacted by construction: no phone, no identity number, no text, no secret, whatever is logged."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest

from adapters.sms.twilio.simulator import FakeTwilio
from gateway.domain.channel import ChannelId
from gateway.domain.errors import Unavailable
from gateway.observe.logs import configure, describe, log
from tests.gateway.fixture_types import Drain, Receive
from tests.gateway.site import Site
from tests.gateway.support import StillClock

SECRETS = ("+6281234567890", "081234567890", "6281234567890", "3201012345678901", "Pak Budi", "kata-sandi")


@pytest.fixture(params=["json", "pretty"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, logs: io.StringIO) -> io.StringIO:
    """Write real logs in either form, with everything on."""
    stream = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        configure(request.param, "debug")
    return stream


def test_unknown_fields_are_dropped(written: io.StringIO) -> None:
    log.info("accepted", text="Pak Budi", phone="081234567890", _hidden="kata-sandi", channel="sms", count=3)
    shown = written.getvalue()
    assert "accepted" in shown
    assert "sms" in shown
    for secret in SECRETS:
        assert secret not in shown


@pytest.mark.parametrize(
    "number",
    [
        "+6281234567890",
        "081234567890",
        "0812-3456-7890",
        "+62 812 3456 7890",
        "0812.3456.7890",
        "3201012345678901",
        "32 01 01 234567 8901",
    ],
)
def test_numbers_of_people_are_masked_in_every_field(written: io.StringIO, number: str) -> None:
    log.warning(f"event {number}", reason=f"to {number} failed", host=f"/x?to={number}", error=[number], kind={number})
    shown = written.getvalue()
    assert number not in shown
    assert "[number]" in shown


def test_ids_tickets_and_counts_are_shown(written: io.StringIO) -> None:
    correlation = "01900000000070008000000000000001"
    log.info("delivered", correlation_id=correlation, ticket="10000009", count=1234567890)
    for value in (correlation, "10000009", "1234567890"):
        assert value in written.getvalue()


def test_an_exception_is_shown_by_class_and_place_and_never_by_its_text(written: io.StringIO) -> None:
    try:
        raise ValueError("Pak Budi, 081234567890, kata-sandi")
    except ValueError as exc:
        log.error("stage failed", exc_info=exc)
        log.exception("again")
        logging.getLogger("a.library").exception("a library says so")
        logging.getLogger("a.library").exception("with arguments %s", "081234567890")
    shown = written.getvalue()
    assert shown.count("ValueError") == 4
    assert "test_observe.py" in shown
    for secret in SECRETS:
        assert secret not in shown


def test_libraries_speak_only_of_trouble(written: io.StringIO) -> None:
    library = logging.getLogger("urllib3.connectionpool")
    library.debug("POST /Messages.json?To=081234567890")
    library.info("Pak Budi")
    library.warning("connection pool is full")
    assert "Pak Budi" not in written.getvalue()
    assert "connection pool is full" in written.getvalue()


def test_a_line_of_json_is_a_line_and_has_a_time_in_utc(written: io.StringIO) -> None:
    log.info("accepted", channel="satu\ndua")
    (line,) = [part for part in written.getvalue().splitlines() if "accepted" in part][:1]
    if line.startswith("{"):
        entry = json.loads(line)
        assert (entry["event"], entry["level"], entry["channel"]) == ("accepted", "info", "satu\ndua")
        assert entry["timestamp"].endswith("Z")


def test_the_level_is_obeyed(monkeypatch: pytest.MonkeyPatch, logs: io.StringIO) -> None:
    stream = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        configure("json", "error")
    log.warning("retry later")
    log.error("stage failed")
    assert "retry later" not in stream.getvalue()
    assert "stage failed" in stream.getvalue()


def test_our_own_errors_are_described_by_their_reason() -> None:
    assert describe(Unavailable("no answer")) == "unavailable: no answer"
    assert describe(Unavailable()) == "unavailable"
    assert describe(ValueError("Pak Budi")) == "ValueError"


def test_a_whole_flow_writes_nothing_personal(
    site: Site,
    receive: Receive,
    drain: Drain,
    twilio: FakeTwilio,
    clock: StillClock,
    written: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gateway = site.gateway()
    text = "PRINGSEWU jalan rusak, saya Pak Budi NIK 3201012345678901 hp 081234567890"
    twilio.fail("throttle")
    twilio.fail("reject:21211")
    twilio.fail("drop_after_accept")
    for number in range(4):
        receive(gateway, text, f"SM{number}", f"+628123456789{number}")
    receive(gateway, "BANTUAN", "SM8", "+6281234567890")
    receive(gateway, "STATUS 10000000", "SM9", "+6281234567891")
    for _ in range(4):
        drain(gateway)
        clock.advance(seconds=20)
    adapter = gateway.channels[ChannelId("00", "sms")].adapter
    monkeypatch.setattr(adapter, "translate", lambda raw: (_ for _ in ()).throw(ValueError(raw.payload)))
    receive(gateway, text, "SM10")
    drain(gateway)
    shown = written.getvalue()
    for expected in ("intake", "delivered", "acknowledged", "retry later", "dead letter", "ValueError"):
        assert expected in shown
    for secret in (*SECRETS, "8123456789", "jalan rusak", "twilio-token", "api-token", "Budi"):
        assert secret not in shown
