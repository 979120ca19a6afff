"""The scheduled jobs: polls and their record, the purge, the record of activity."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest

from adapters.sms.twilio.simulator import FakeTwilio
from gateway.bootstrap import Gateway
from gateway.domain.channel import ChannelId
from gateway.domain.errors import Unavailable
from gateway.spool.tables import cases, inbox, outbox, tickets
from tests.gateway.fixture_types import Drain, Eventually, MakeIncoming, Receive, Rows
from tests.gateway.site import Site
from tests.gateway.support import StillClock


def poll(gateway: Gateway) -> None:
    gateway.jobs.poll(gateway.channels[ChannelId("00", "sms")])


def polls(gateway: Gateway, outcome: str) -> float:
    """Return the number of polls with an outcome."""
    labels = {"region": "00", "channel": "sms", "outcome": outcome}
    return gateway.metrics.registry.get_sample_value("lapor_polls_total", labels) or 0


def test_a_webhook_that_never_came_is_found_by_the_poll(
    site: Site, twilio: FakeTwilio, rows: Rows, drain: Drain
) -> None:
    gateway = site.gateway()
    twilio.send("+6281200000001", "PRINGSEWU jalan berlubang", call=False)
    poll(gateway)
    poll(gateway)
    drain(gateway)
    assert (len(rows(inbox)), len(rows(cases))) == (1, 1)
    assert polls(gateway, "done") == 2
    assert len(twilio.replies_to("+6281200000001")) == 1


def test_a_message_that_came_by_webhook_is_known_to_the_poll(
    site: Site, twilio: FakeTwilio, receive: Receive, rows: Rows
) -> None:
    gateway = site.gateway()
    sent = twilio.send("+6281200000001", "jalan berlubang", call=False)
    receive(gateway, "jalan berlubang", sent.sid)
    poll(gateway)
    assert len(rows(inbox)) == 1


def test_a_failing_poll_is_written_down_and_the_next_goes_on(site: Site, twilio: FakeTwilio, rows: Rows) -> None:
    gateway = site.gateway()
    twilio.send("+6281200000001", "jalan berlubang", call=False)
    twilio.fail("server_error", on="list")
    poll(gateway)
    (row,) = gateway.spool.leases.all()
    assert str(row.reason).startswith("unavailable: ")
    assert polls(gateway, "failed") == 1
    poll(gateway)
    (row,) = gateway.spool.leases.all()
    assert (row.reason, row.failing_since) == (None, None)
    assert len(rows(inbox)) == 1


def test_an_unexpected_error_of_a_poll_is_written_down_without_its_text(
    site: Site, twilio: FakeTwilio, monkeypatch: pytest.MonkeyPatch, logs: io.StringIO
) -> None:
    gateway = site.gateway()
    adapter = gateway.channels[ChannelId("00", "sms")].adapter
    numbers: dict[str, int] = {}
    monkeypatch.setattr(adapter, "poll", lambda cursor: numbers["+6281234567890"])
    poll(gateway)
    (row,) = gateway.spool.leases.all()
    assert row.reason == "KeyError"


def test_the_purge_leaves_what_is_young_dead_or_undelivered(
    site: Site,
    twilio: FakeTwilio,
    receive: Receive,
    drain: Drain,
    rows: Rows,
    clock: StillClock,
    incoming: MakeIncoming,
) -> None:
    gateway = site.gateway(extra="[retention]\nraw_days = 7\n")
    receive(gateway, "PRINGSEWU jalan berlubang", "SM1")
    gateway.spool.inbox.commit([gateway.spool.inbox.seal(incoming("bad", payload=b"x"))])
    drain(gateway)
    gateway.jobs.purge()
    assert (len(rows(inbox)), len(rows(outbox)), rows(cases)[0]["complaint"] is None) == (2, 2, False)
    clock.advance(days=8)
    gateway.jobs.purge()
    assert [row["state"] for row in rows(inbox)] == ["dead"]
    assert rows(outbox) == []
    assert rows(cases)[0]["complaint"] is None
    ticket = rows(tickets)[0]["number"]
    receive(gateway, f"STATUS {ticket}", "SM2")
    drain(gateway)
    assert twilio.replies_to("+6281200000001")[-1].startswith(f"Tiket {ticket}: ")


def test_what_happened_is_written_down_and_not_forgotten_when_that_fails(
    site: Site, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = site.gateway()
    gateway.activity.note("00", "sms", "accepted", clock())
    with monkeypatch.context() as patch:
        patch.setattr(gateway.spool.activity, "record", lambda seen: (_ for _ in ()).throw(Unavailable("away")))
        gateway.jobs.flush()
    later = clock() + timedelta(seconds=1)
    gateway.activity.note("00", "sms", "refused", later, "unverified")
    gateway.jobs.flush()
    assert gateway.spool.activity.all() == {
        ("00", "sms", "accepted"): (clock(), None),
        ("00", "sms", "refused"): (later, "unverified"),
    }
    gateway.jobs.flush()


def test_the_clock_starts_and_stops(site: Site, twilio: FakeTwilio) -> None:
    gateway = site.gateway()
    gateway.jobs.start(gateway.polled)
    assert gateway.jobs.scheduled == {"beat", "purge", "poll 00/sms"}
    gateway.jobs.stop()


def test_a_process_without_polls_still_writes_down_that_it_runs_and_what_it_saw(
    site: Site, clock: StillClock, eventually: Eventually
) -> None:
    gateway = site.gateway()
    gateway.activity.note("00", "sms", "accepted", clock())
    gateway.jobs.start([], purge=False)
    assert gateway.jobs.scheduled == {"beat"}
    assert eventually(gateway.spool.activity.alive) == clock()
    gateway.jobs.stop()
    assert gateway.spool.activity.all()["00", "sms", "accepted"] == (clock(), None)
