"""Test the poll of the phone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from adapters.sms.android.adapter import AndroidSms
from adapters.sms.android.health import keeps_a_list
from adapters.sms.android.simulator import FakePhone
from adapters.sms.android.tests.support import CITIZEN, make
from gateway.domain.errors import Unavailable
from gateway.domain.events import CitizenMessage, Notice
from gateway.testing.forge import MOMENT, raw_message, stored
from gateway.testing.noon import NOON, stop_clocks


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_clocks(monkeypatch, "adapters.sms.android", "adapter", "simulator.api", "simulator.phone")


def drain(adapter: AndroidSms, cursor: str | None = None) -> tuple[list[tuple[str, object]], str]:
    """Poll until no more pages follow; return key and event of each row, and the cursor."""
    rows: list[tuple[str, object]] = []
    for _ in range(50):
        batch = adapter.poll(cursor)
        for row in batch.messages:
            (event,) = adapter.translate(raw_message(row.payload, row.content_type))
            rows.append((row.envelope.key, event))
        cursor = batch.cursor
        if not batch.more:
            return rows, cursor
    pytest.fail("the poll never ends")


def messages_in(rows: list[tuple[str, object]]) -> dict[str, str]:
    return {key: event.text for key, event in rows if isinstance(event, CitizenMessage)}


def earlier(cursor: str, **by: float) -> str:
    """Return the cursor of a channel that began earlier."""
    state = json.loads(cursor)
    for name in ("began", "since", "until", "exported"):
        if state[name]:
            state[name] = (datetime.fromisoformat(state[name]) - timedelta(**by)).isoformat()
    return json.dumps(state)


@pytest.fixture
def begun(adapter: AndroidSms) -> str:
    """Return the cursor of a channel that began two days ago."""
    return earlier(drain(adapter)[1], days=2)


def test_webhook_and_list_become_the_same_message(fake: FakePhone, adapter: AndroidSms, begun: str) -> None:
    fake.send(CITIZEN, "Jalan rusak 😭\nparah", call=False)
    rows, _ = drain(adapter, begun)
    webhook = fake.signed(fake.body(fake.messages()[0]))
    (called,) = adapter.translate(stored(webhook))
    (listed,) = [event for _, event in rows if isinstance(event, CitizenMessage)]
    assert listed == called
    assert list(messages_in(rows)) == [called.external_id]
    assert adapter.verify(webhook).key == called.external_id


def test_every_page_is_read(fake: FakePhone, adapter: AndroidSms, begun: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.sms.android.adapter.PAGE_SIZE", 3)
    for number in range(7):
        fake.send(CITIZEN, f"pesan {number}", sent_at=NOON - timedelta(seconds=number), call=False)
    rows, cursor = drain(adapter, begun)
    assert sorted(messages_in(rows).values()) == [f"pesan {number}" for number in range(7)]
    assert json.loads(cursor)["offset"] == 0


def test_message_that_comes_between_pages_is_found_next_round(
    fake: FakePhone, adapter: AndroidSms, begun: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.sms.android.adapter.PAGE_SIZE", 2)
    old = NOON - timedelta(minutes=5)
    for number in range(4):
        fake.send(CITIZEN, f"{number}", sent_at=old - timedelta(seconds=number), call=False)
    batch = adapter.poll(begun)
    assert batch.more
    fake.send(CITIZEN, "antara", sent_at=old - timedelta(seconds=60), call=False)
    _, cursor = drain(adapter, batch.cursor)
    assert "antara" in messages_in(drain(adapter, cursor)[0]).values()


def test_message_that_the_network_held_back_is_found(fake: FakePhone, adapter: AndroidSms, begun: str) -> None:
    _, cursor = drain(adapter, begun)
    fake.send(CITIZEN, "terlambat", sent_at=NOON - timedelta(hours=20), call=False)
    assert "terlambat" in messages_in(drain(adapter, cursor)[0]).values()


def test_message_that_the_app_missed_is_found(fake: FakePhone, adapter: AndroidSms, begun: str) -> None:
    fake.send(CITIZEN, "aplikasi mati", seen=False)
    assert messages_in(drain(adapter, begun)[0]) != {}


def test_older_messages_of_the_phone_are_not_read(fake: FakePhone, adapter: AndroidSms) -> None:
    fake.send(CITIZEN, "kode OTP", sent_at=NOON - timedelta(hours=1), call=False)
    rows, cursor = drain(adapter)
    assert messages_in(rows) == {}
    assert messages_in(drain(adapter, cursor)[0]) == {}


def test_app_whose_list_cannot_be_trusted_is_still_watched(fake: FakePhone, adapter: AndroidSms, begun: str) -> None:
    fake.old = True
    fake.battery = 12
    fake.send(CITIZEN, "x", call=False)
    ((_, notice),) = drain(adapter, begun)[0]
    assert notice == Notice(well=False, text="the phone's battery is low, connect the charger")


@pytest.mark.parametrize(
    ("version", "trusted"),
    [("1.66.9", False), ("1.67.0", True), ("1.100", True), ("2.0", True), ("", False), ("next", False)],
)
def test_which_app_keeps_a_list(version: str, trusted: bool) -> None:
    assert keeps_a_list(json.dumps({"status": "pass", "version": version}).encode()) == trusted


def test_look_back_of_zero_reads_no_list(fake: FakePhone) -> None:
    drain(make(api_base=fake.url, local=True, look_back=0))
    assert [target for _, target, _ in fake.calls] == ["/health"]


def notices(rows: list[tuple[str, object]]) -> list[Notice]:
    return [event for _, event in rows if isinstance(event, Notice)]


def test_state_of_the_phone_is_stored_when_it_changes(fake: FakePhone, adapter: AndroidSms) -> None:
    rows, cursor = drain(adapter)
    assert notices(rows) == [Notice(well=True, text="the phone is ready")]
    rows, cursor = drain(adapter, cursor)
    assert notices(rows) == []
    fake.battery = 8  # the phone then answers 500
    rows, cursor = drain(adapter, cursor)
    assert [notice.well for notice in notices(rows)] == [False]
    fake.battery = 60
    assert [notice.well for notice in notices(drain(adapter, cursor)[0])] == [True]


def test_phone_that_is_off_is_unavailable(fake: FakePhone, adapter: AndroidSms) -> None:
    fake.go_offline()
    with pytest.raises(Unavailable, match="the phone cannot be reached"):
        adapter.poll(None)


def test_server_in_the_cloud_returns_the_time_when_the_phone_was_last_seen(cloud: FakePhone) -> None:
    adapter = make(api_base=cloud.url, offline_after=60)
    rows, cursor = drain(adapter)
    assert notices(rows) == [Notice(well=True, text="the phone is ready")]
    cloud.go_offline()
    cloud.last_seen = datetime(2026, 1, 1, 2, 3, 4, tzinfo=UTC)
    rows, cursor = drain(adapter, cursor)
    notice = "the phone has not been seen by its server since 2026-01-01 02:03 UTC"
    # Measured at the time of storing, so that a replay gives the same notice.
    assert notices(rows) == [Notice(well=False, text=notice)]
    assert notices(drain(adapter, cursor)[0]) == []


def test_silence_is_measured_at_the_time_of_storing() -> None:
    row = json.dumps({"id": "d", "lastSeen": MOMENT.isoformat()}).encode()
    raw = raw_message(row)
    assert make(offline_after=60).translate(raw) == [Notice(well=True, text="the phone is ready")]
    later = replace(raw, received_at=MOMENT + timedelta(seconds=61))
    assert make(offline_after=60).translate(later)[0].well is False


def test_account_without_the_phone_is_unavailable(cloud: FakePhone) -> None:
    with pytest.raises(Unavailable, match="no such phone"):
        make(api_base=cloud.url, device_id="another").poll(None)


def test_missed_messages_are_requested_every_six_hours(cloud: FakePhone) -> None:
    adapter = make(api_base=cloud.url, device_id=cloud.device_id, export_missed=True)
    _, cursor = drain(adapter)
    assert not [target for _, target, _ in cloud.calls if target.endswith("/export")]  # no message can be lost yet
    _, cursor = drain(adapter, earlier(cursor, hours=7))
    _, cursor = drain(adapter, cursor)
    drain(adapter, earlier(cursor, hours=7))
    exports = [json.loads(body) for _, target, body in cloud.calls if target.endswith("/export")]
    assert [set(period) for period in exports] == [{"deviceId", "since", "until"}] * 2
    assert exports[0]["deviceId"] == cloud.device_id


@pytest.mark.parametrize("how", ["not_json", "server_error", "unauthorized", "throttle", "redirect", "reject:phone"])
def test_poll_failures_are_all_for_later(fake: FakePhone, adapter: AndroidSms, how: str) -> None:
    fake.fail(how, on="read", next=3)
    with pytest.raises(Unavailable):
        adapter.poll(None)


@pytest.mark.parametrize("how", ["server_error", "not_json"])
def test_error_is_no_health_report(fake: FakePhone, how: str) -> None:
    fake.fail(how, on="read")
    with pytest.raises(Unavailable):
        make(api_base=fake.url, local=True, look_back=0).poll(None)


def test_unreadable_cursor_is_unavailable(adapter: AndroidSms) -> None:
    with pytest.raises(Unavailable, match="cursor"):
        adapter.poll("{}")
