"""What a poll of Twilio finds."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from adapters.sms.twilio.adapter import TwilioSms
from adapters.sms.twilio.simulator import FakeTwilio
from adapters.sms.twilio.tests.support import CITIZEN, a_reply, make
from gateway.domain.errors import Rejected, Throttled, Unavailable


def drain(adapter: TwilioSms, cursor: str | None = None) -> tuple[list[str], str]:
    """Poll until there is no more."""
    keys: list[str] = []
    for _ in range(50):
        batch = adapter.poll(cursor)
        keys += [found.envelope.key for found in batch.found]
        cursor = batch.cursor
        if not batch.more:
            return keys, cursor
    pytest.fail("the poll never ends")


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("adapters.sms.twilio.adapter.PAGE_SIZE", 3)


def since_of(cursor: str) -> datetime:
    return datetime.fromisoformat(json.loads(cursor)["since"])


def test_poll_reads_every_page(adapter: TwilioSms, fake: FakeTwilio, small_pages: None) -> None:
    sent = [fake.send(CITIZEN, f"pesan {n}", call=False).sid for n in range(10)]
    adapter.reply(a_reply())  # outbound: not for the inbox
    keys, cursor = drain(adapter)
    assert sorted(keys) == sorted(sent)
    late = fake.send(CITIZEN, "pesan lain", call=False).sid
    assert late in drain(adapter, cursor)[0]


def test_high_water_mark_moves_only_at_the_end(adapter: TwilioSms, fake: FakeTwilio, small_pages: None) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=5)
    for number in range(7):
        fake.send(CITIZEN, "x", sent_at=soon + timedelta(seconds=number), call=False)
    first = adapter.poll(None)
    second = adapter.poll(first.cursor)
    assert first.more
    assert second.more
    assert since_of(first.cursor) == since_of(second.cursor) < soon
    third = adapter.poll(second.cursor)
    assert not third.more
    # The mark moved, but not past our own clock: times ahead of it must not make the next round skip anything.
    assert since_of(second.cursor) < since_of(third.cursor) <= datetime.now(UTC)


def test_message_that_comes_between_pages_is_found_next_round(
    adapter: TwilioSms, fake: FakeTwilio, small_pages: None
) -> None:
    first_ones = [fake.send(CITIZEN, f"{n}", call=False).sid for n in range(4)]
    batch = adapter.poll(None)
    between = fake.send(CITIZEN, "antara", call=False).sid
    rest, cursor = drain(adapter, batch.cursor)
    assert set(first_ones) <= {found.envelope.key for found in batch.found} | set(rest)
    assert between in drain(adapter, cursor)[0]


def test_first_poll_and_every_round_go_back_by_the_overlap(fake: FakeTwilio) -> None:
    adapter = make(api_base=fake.url, poll_overlap=600)
    now = datetime.now(UTC)
    old, recent = (fake.send(CITIZEN, "x", sent_at=now - timedelta(minutes=m), call=False).sid for m in (15, 9))
    keys, cursor = drain(adapter)
    assert keys == [recent]
    assert drain(adapter, cursor)[0] == [recent]  # again: the core knows its key
    assert old not in keys


def test_days_instead_of_moments(fake: FakeTwilio, small_pages: None) -> None:
    fake._book._whole_days = True  # the list then begins at midnight, whatever time is asked for
    adapter = make(api_base=fake.url, poll_overlap=60)
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    old = [fake.send(CITIZEN, "x", sent_at=midnight + timedelta(milliseconds=n), call=False).sid for n in range(20)]
    recent = fake.send(CITIZEN, "x", call=False).sid
    keys, _ = drain(adapter)
    assert recent in keys
    if now - midnight > timedelta(minutes=2):
        assert len(set(keys) & set(old)) <= 6, "the rest of the day is not read again and again"


def test_place_in_the_list_that_twilio_forgot(adapter: TwilioSms, fake: FakeTwilio, small_pages: None) -> None:
    sent = [fake.send(CITIZEN, f"{n}", call=False).sid for n in range(7)]
    first = adapter.poll(None)
    fake.fail("reject:20006", on="list")
    lost = adapter.poll(first.cursor)
    assert not lost.more
    assert not lost.found
    assert sorted(drain(adapter, lost.cursor)[0]) == sorted(sent)


def test_half_read_list_is_begun_again_after_an_hour(adapter: TwilioSms, fake: FakeTwilio, small_pages: None) -> None:
    sent = [fake.send(CITIZEN, f"{n}", call=False).sid for n in range(7)]
    stale = json.loads(adapter.poll(None).cursor)
    stale["began"] = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    assert sorted(drain(adapter, json.dumps(stale))[0]) == sorted(sent)


def test_message_still_arriving_waits(adapter: TwilioSms, fake: FakeTwilio) -> None:
    fake.send(CITIZEN, "bagian pertama", call=False)
    fake.messages()[0].status = "receiving"
    assert adapter.poll(None).found == []


@pytest.mark.parametrize(
    ("how", "error"),
    [("throttle", Throttled), ("server_error", Unavailable), ("unauthorized", Unavailable), ("reject:20001", Rejected)],
)
def test_poll_failures_leave_the_cursor(adapter: TwilioSms, fake: FakeTwilio, how: str, error: type[Exception]) -> None:
    fake.fail(how, on="list")
    with pytest.raises(error):
        adapter.poll(None)


def test_unreadable_cursor_is_said(adapter: TwilioSms) -> None:
    with pytest.raises(Unavailable, match="cursor"):
        adapter.poll('{"since": 1}')
