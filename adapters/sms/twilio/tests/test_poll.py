"""Test the poll of Twilio's list of messages."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from adapters.sms.twilio.adapter import TwilioSms
from adapters.sms.twilio.simulator import FakeTwilio
from adapters.sms.twilio.tests.support import CITIZEN, SID, TOKEN, a_reply, make
from gateway.domain.errors import Rejected, Throttled, Unavailable
from gateway.ports import Batch
from gateway.testing.noon import NOON, stop_clocks


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_clocks(monkeypatch, "adapters.sms.twilio", "adapter", "simulator.account")


def keys_of(batch: Batch) -> list[str]:
    return [message.envelope.key for message in batch.messages]


def drain(adapter: TwilioSms, cursor: str | None = None) -> tuple[list[str], str]:
    """Poll until no more pages follow; return the keys of the messages, and the cursor."""
    keys: list[str] = []
    for _ in range(50):
        batch = adapter.poll(cursor)
        keys += keys_of(batch)
        cursor = batch.cursor
        if not batch.more:
            return keys, cursor
    pytest.fail("the poll never ends")


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.sms.twilio.adapter.PAGE_SIZE", 3)


def since_of(cursor: str) -> datetime:
    return datetime.fromisoformat(json.loads(cursor)["since"])


def test_poll_reads_every_page(adapter: TwilioSms, fake: FakeTwilio, small_pages: None) -> None:
    sent = [fake.send(CITIZEN, f"pesan {n}", call=False).sid for n in range(10)]
    adapter.reply(a_reply())  # outbound, so not for the inbox
    keys, cursor = drain(adapter)
    assert sorted(keys) == sorted(sent)
    late = fake.send(CITIZEN, "pesan lain", call=False).sid
    assert late in drain(adapter, cursor)[0]


def test_high_water_mark_moves_only_at_the_end(adapter: TwilioSms, fake: FakeTwilio, small_pages: None) -> None:
    soon = NOON + timedelta(minutes=5)
    for number in range(7):
        fake.send(CITIZEN, "x", sent_at=soon + timedelta(seconds=number), call=False)
    first = adapter.poll(None)
    second = adapter.poll(first.cursor)
    assert first.more
    assert second.more
    assert since_of(first.cursor) == NOON
    assert since_of(second.cursor) == NOON
    third = adapter.poll(second.cursor)
    assert not third.more
    # Not to the messages' times, which are ahead of our clock: the next round must not skip a message.
    assert since_of(third.cursor) == NOON


def test_message_that_comes_between_pages_is_found_next_round(
    adapter: TwilioSms, fake: FakeTwilio, small_pages: None
) -> None:
    before = [fake.send(CITIZEN, f"{n}", call=False).sid for n in range(4)]
    batch = adapter.poll(None)
    between = fake.send(CITIZEN, "antara", call=False).sid
    rest, cursor = drain(adapter, batch.cursor)
    assert set(before) <= {*keys_of(batch), *rest}
    assert between in drain(adapter, cursor)[0]


def test_first_poll_and_every_round_go_back_by_the_overlap(fake: FakeTwilio) -> None:
    adapter = make(api_base=fake.url, poll_overlap=600)
    fake.send(CITIZEN, "x", sent_at=NOON - timedelta(minutes=15), call=False)
    recent = fake.send(CITIZEN, "x", sent_at=NOON - timedelta(minutes=9), call=False).sid
    keys, cursor = drain(adapter)
    assert keys == [recent]
    assert drain(adapter, cursor)[0] == [recent]  # again: the core recognises its key


def test_days_instead_of_moments(small_pages: None) -> None:
    midnight = NOON.replace(hour=0)
    with FakeTwilio(account_sid=SID, auth_token=TOKEN, sender="1708", whole_days=True) as fake:
        old = [fake.send(CITIZEN, "x", sent_at=midnight + timedelta(milliseconds=n), call=False).sid for n in range(20)]
        recent = fake.send(CITIZEN, "x", call=False).sid
        keys, _ = drain(make(api_base=fake.url, poll_overlap=60))
    assert recent in keys
    assert len(set(keys) & set(old)) <= 6, "the whole day is not read in every round"


def test_a_page_that_twilio_no_longer_has(adapter: TwilioSms, fake: FakeTwilio, small_pages: None) -> None:
    sent = [fake.send(CITIZEN, f"{n}", call=False).sid for n in range(7)]
    first = adapter.poll(None)
    fake.fail("reject:20006", on="list")
    lost = adapter.poll(first.cursor)
    assert not lost.more
    assert not lost.messages
    assert sorted(drain(adapter, lost.cursor)[0]) == sorted(sent)


def test_half_read_list_is_begun_again_after_an_hour(adapter: TwilioSms, fake: FakeTwilio, small_pages: None) -> None:
    sent = [fake.send(CITIZEN, f"{n}", call=False).sid for n in range(7)]
    stale = json.loads(adapter.poll(None).cursor)
    stale["began"] = (NOON - timedelta(hours=2)).isoformat()
    assert sorted(drain(adapter, json.dumps(stale))[0]) == sorted(sent)


def test_message_still_arriving_waits(adapter: TwilioSms, fake: FakeTwilio) -> None:
    fake.send(CITIZEN, "bagian pertama", call=False)
    fake.messages()[0].status = "receiving"
    assert adapter.poll(None).messages == []


@pytest.mark.parametrize(
    ("how", "error"),
    [("throttle", Throttled), ("server_error", Unavailable), ("unauthorized", Unavailable), ("reject:20001", Rejected)],
)
def test_poll_failures_leave_the_cursor(
    adapter: TwilioSms, fake: FakeTwilio, how: str, error: type[Throttled | Unavailable | Rejected]
) -> None:
    fake.fail(how, on="list")
    with pytest.raises(error):
        adapter.poll(None)


def test_unreadable_cursor_is_reported(adapter: TwilioSms) -> None:
    with pytest.raises(Unavailable, match="cursor"):
        adapter.poll('{"since": 1}')
