"""Who polls a channel and how far; when a channel last did what."""

from __future__ import annotations

from datetime import timedelta

from gateway.domain.ids import new_id
from gateway.spool import Spool
from tests.gateway.support import StillClock

LEASE = timedelta(seconds=120)


def test_one_poller_at_a_time(spool: Spool, clock: StillClock) -> None:
    mine, theirs = new_id(), new_id()
    assert spool.leases.lease("00", "sms", mine, LEASE)
    assert spool.leases.lease("00", "sms", mine, LEASE), "the holder may extend it"
    assert not spool.leases.lease("00", "sms", theirs, LEASE)
    assert spool.leases.lease("18.10", "sms", theirs, LEASE), "another channel is another lease"
    clock.advance(seconds=121)
    assert spool.leases.lease("00", "sms", theirs, LEASE), "a poller that died is taken over"


def test_a_released_lease_is_free(spool: Spool) -> None:
    mine, theirs = new_id(), new_id()
    spool.leases.lease("00", "sms", mine, LEASE)
    spool.leases.release("00", "sms", theirs)
    assert not spool.leases.lease("00", "sms", theirs, LEASE), "only the holder gives it back"
    spool.leases.release("00", "sms", mine)
    assert spool.leases.lease("00", "sms", theirs, LEASE)


def test_a_poller_that_lost_its_lease_cannot_move_the_cursor(spool: Spool, clock: StillClock) -> None:
    mine, theirs = new_id(), new_id()
    spool.leases.lease("00", "sms", mine, LEASE)
    clock.advance(seconds=121)
    spool.leases.lease("00", "sms", theirs, LEASE)
    with spool.database.begin() as connection:
        assert not spool.leases.advance(connection, "00", "sms", mine, "page 2")
        assert spool.leases.advance(connection, "00", "sms", theirs, "page 1")
    assert spool.leases.position("00", "sms") == "page 1"


def test_failures_are_remembered_since_the_first_until_one_succeeds(spool: Spool, clock: StillClock) -> None:
    mine, began = new_id(), clock()
    spool.leases.fail("00", "sms", "unavailable: no answer")
    clock.advance(minutes=5)
    spool.leases.fail("00", "sms", "unavailable: 401")
    (row,) = spool.leases.all()
    assert (row.failing_since, row.failed_at, row.reason) == (began, clock(), "unavailable: 401")
    spool.leases.lease("00", "sms", mine, LEASE)
    with spool.database.begin() as connection:
        spool.leases.advance(connection, "00", "sms", mine, "1")
    (row,) = spool.leases.all()
    assert (row.failing_since, row.reason, row.succeeded_at) == (None, None, clock())


def test_a_channel_never_polled_has_no_position(spool: Spool) -> None:
    assert spool.leases.position("00", "sms") is None


def test_a_later_moment_never_gives_way_to_an_earlier_one(spool: Spool, clock: StillClock) -> None:
    key, now = ("00", "sms", "accepted"), clock()
    spool.activity.record({key: (now, None), ("00", "sms", "refused"): (now, "unverified")})
    spool.activity.record({key: (now - timedelta(minutes=5), "older")})
    spool.activity.record({})
    assert spool.activity.all() == {key: (now, None), ("00", "sms", "refused"): (now, "unverified")}
