"""Claims, leases, order and settling: what keeps a message from being lost, doubled or overtaken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.spool import Spool
from gateway.spool.queue import ABANDONED, backoff
from gateway.spool.tables import State, inbox
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database
from tests.gateway.fixture_types import Rows
from tests.gateway.support import StillClock

LEASE = timedelta(seconds=30)


@pytest.fixture
def put(spool: Spool, incoming: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that stores one message for each sender named, and returns the ids."""

    def store(*senders: str, **changes: Any) -> list[Any]:
        messages = [incoming(f"{number} {sender}", sender, **changes) for number, sender in enumerate(senders)]
        # One commit each: on PostgreSQL rows of one statement could be returned in any order, which is no matter here.
        for message in messages:
            spool.inbox.commit([spool.inbox.seal(message)])
        return [message.id for message in messages]

    return store


def claimed(spool: Spool, limit: int = 100) -> list[Any]:
    return [row.id for row in spool.inbox.claim(limit, LEASE).rows]


def test_a_claim_has_the_messages_in_the_order_they_came(spool: Spool, put: Any) -> None:
    ids = put("a", "b", "a", "c", "a")
    assert claimed(spool) == ids
    assert claimed(spool) == []


def test_a_claim_takes_no_more_than_asked(spool: Spool, put: Any) -> None:
    ids = put("a", "b", "c")
    assert claimed(spool, 2) == ids[:2]
    assert claimed(spool, 2) == ids[2:]


def test_a_lane_waits_for_its_claimed_message_and_other_lanes_do_not(spool: Spool, put: Any, clock: StillClock) -> None:
    first, _, other = put("a", "a", "b")
    assert claimed(spool, 1) == [first]
    assert claimed(spool) == [other]
    clock.advance(seconds=2)
    assert claimed(spool) == [], "the second message must wait as long as the first is being worked on"


def test_a_lane_goes_on_once_its_earlier_message_is_done(spool: Spool, put: Any, clock: StillClock) -> None:
    first, second = put("a", "a")
    claim = spool.inbox.claim(1, LEASE)
    assert claimed(spool) == []
    with spool.database.begin() as connection:
        assert spool.inbox.finish(connection, claim.id, [first]) == {first}
    clock.advance(seconds=2)
    assert claimed(spool) == [second]


def test_a_lane_waits_while_its_earlier_message_is_in_backoff(spool: Spool, put: Any, clock: StillClock) -> None:
    first, _, other = put("a", "a", "b")
    claim = spool.inbox.claim(1, LEASE)
    with spool.database.begin() as connection:
        spool.inbox.retry(connection, claim.id, {first: (timedelta(seconds=60), "unavailable")})
    assert claimed(spool) == [other]
    clock.advance(seconds=20)
    assert claimed(spool) == []
    clock.advance(seconds=41)
    again = spool.inbox.claim(10, LEASE)
    assert [row.id for row in again.rows][:1] == [first]


def test_a_dead_letter_does_not_hold_up_its_lane(spool: Spool, put: Any) -> None:
    first, second = put("a", "a")
    claim = spool.inbox.claim(1, LEASE)
    with spool.database.begin() as connection:
        spool.inbox.bury(connection, claim.id, {first: "untranslatable"})
    assert claimed(spool) == [second]


def test_waiting_for_a_lane_is_no_attempt(spool: Spool, put: Any, clock: StillClock) -> None:
    _, second = put("a", "a")
    spool.inbox.claim(1, timedelta(hours=1))
    for _ in range(5):
        assert claimed(spool) == []
        clock.advance(seconds=2)
    row = spool.inbox.get(second)
    assert row is not None
    assert (row.attempts, row.state, row.claim) == (0, State.PENDING, None)


def test_an_ended_lease_is_taken_over_and_the_late_worker_is_refused(spool: Spool, put: Any, clock: StillClock) -> None:
    (row_id,) = put("a")
    late = spool.inbox.claim(10, LEASE)
    clock.advance(seconds=31)
    (row,) = (takeover := spool.inbox.claim(10, LEASE)).rows
    assert (row.id, row.attempts, row.reason) == (row_id, 2, ABANDONED)
    with spool.database.begin() as connection:
        assert spool.inbox.finish(connection, late.id, [row_id]) == set()
        spool.inbox.retry(connection, late.id, {row_id: (timedelta(0), "late")})
        spool.inbox.bury(connection, late.id, {row_id: "late"})
    row = spool.inbox.get(row_id)
    assert row is not None
    assert (row.state, row.claim) == (State.CLAIMED, takeover.id)
    with spool.database.begin() as connection:
        assert spool.inbox.finish(connection, takeover.id, [row_id]) == {row_id}
        assert spool.inbox.finish(connection, takeover.id, [row_id]) == set(), "a row is finished once"


def test_a_lease_that_has_not_ended_is_left_alone(spool: Spool, put: Any, clock: StillClock) -> None:
    put("a")
    spool.inbox.claim(10, LEASE)
    clock.advance(seconds=29)
    assert claimed(spool) == []


def test_rows_that_may_kill_their_worker_are_worked_on_alone(spool: Spool, put: Any, clock: StillClock) -> None:
    ids = put("a", "b", "c")
    for _ in range(3):
        assert claimed(spool) == ids
        clock.advance(seconds=31)
    alone = spool.inbox.claim(10, LEASE)
    assert [row.id for row in alone.rows] == ids[:1]
    with spool.database.begin() as connection:
        spool.inbox.finish(connection, alone.id, ids[:1])
    clock.advance(seconds=2)
    assert claimed(spool) == ids[1:2], "the next suspect, again alone"


def test_a_suspect_behind_a_waiting_message_does_not_hold_up_other_lanes(
    spool: Spool, put: Any, clock: StillClock
) -> None:
    first, _suspect = put("a", "a")
    for _ in range(4):
        claim = spool.inbox.claim(10, LEASE)
        clock.advance(seconds=31)
    claim = spool.inbox.claim(10, LEASE)
    assert [row.id for row in claim.rows] == [first]
    with spool.database.begin() as connection:
        spool.inbox.retry(connection, claim.id, {first: (timedelta(minutes=10), "unexpected")})
    (other,) = put("b")
    clock.advance(seconds=2)
    assert claimed(spool) == [other]


def test_retry_waits_as_long_as_it_is_told(spool: Spool, put: Any, clock: StillClock) -> None:
    (row_id,) = put("a")
    claim = spool.inbox.claim(1, LEASE)
    with spool.database.begin() as connection:
        spool.inbox.retry(connection, claim.id, {row_id: (timedelta(seconds=10), "unavailable: no answer")})
    row = spool.inbox.get(row_id)
    assert row is not None
    assert (row.state, row.reason, row.attempts, row.claim) == (State.PENDING, "unavailable: no answer", 1, None)
    clock.advance(seconds=9)
    assert claimed(spool) == []
    clock.advance(seconds=2)
    assert claimed(spool) == [row_id]


@pytest.mark.parametrize(("attempts", "longest"), [(1, 2), (2, 4), (3, 8), (9, 512), (10, 600), (1000, 600)])
def test_backoff_doubles_is_capped_and_jittered(attempts: int, longest: float) -> None:
    waits = [backoff(attempts).total_seconds() for _ in range(200)]
    assert longest / 2 <= min(waits)
    assert max(waits) <= longest
    assert len(set(waits)) > 100


def test_bury_and_reopen(spool: Spool, put: Any, clock: StillClock) -> None:
    first, second = put("a", "b")
    claim = spool.inbox.claim(10, LEASE)
    with spool.database.begin() as connection:
        spool.inbox.bury(connection, claim.id, {first: "untranslatable: field From is missing"})
        spool.inbox.finish(connection, claim.id, [second])
    (dead,) = spool.inbox.dead(10)
    assert (dead.id, dead.reason, dead.finished_at) == (first, "untranslatable: field From is missing", clock())
    assert spool.inbox.dead_counts() == {("00", "sms"): 1}
    with spool.database.begin() as connection:
        assert spool.inbox.reopen(connection, [first]) == 1
        assert spool.inbox.reopen(connection, [first]) == 0, "what is pending is not reopened again"
    row = spool.inbox.get(first)
    assert row is not None
    assert (row.state, row.reason, row.finished_at) == (State.PENDING, None, None)
    assert row.attempts == 1, "it was tried before: a reply is then looked up before it is sent again"
    assert claimed(spool) == [first]


def test_backlog_tells_what_waits_by_channel(spool: Spool, put: Any, clock: StillClock) -> None:
    began = clock()
    ids = put("a", "b")
    clock.advance(seconds=60)
    put("c", region="18.10")
    claim = spool.inbox.claim(1, LEASE)
    with spool.database.begin() as connection:
        spool.inbox.retry(connection, claim.id, {ids[0]: (timedelta(seconds=5), "unavailable")})
    found = {(b.region, b.channel): b for b in spool.inbox.backlog()}
    assert (found["00", "sms"].waiting, found["00", "sms"].oldest, found["00", "sms"].reason) == (
        2,
        began,
        "unavailable",
    )
    assert (found["18.10", "sms"].waiting, found["18.10", "sms"].reason) == (1, None)
    assert spool.inbox.dead_counts() == {}


def test_an_embedded_database_frees_its_claims_at_the_start(spool: Spool, put: Any) -> None:
    ids = put("a", "b")
    spool.inbox.claim(1, timedelta(hours=1))
    assert spool.inbox.abandon_all() == 1
    assert claimed(spool) == ids


def test_racing_workers_get_disjoint_rows(
    postgres: str, keyring: Keyring, clock: StillClock, incoming: Callable[..., Any]
) -> None:
    databases = [Database(postgres) for _ in range(4)]
    spools = [Spool(database, keyring, clock) for database in databases]
    messages = [incoming(f"m{number}", f"sender {number % 40}") for number in range(400)]
    spools[0].inbox.commit([spools[0].inbox.seal(message) for message in messages])
    taken: list[list[Any]] = [[] for _ in spools]
    start, empty = threading.Barrier(len(spools)), threading.Event()

    def work(number: int) -> None:
        start.wait()
        idle = 0
        while idle < 5 and not empty.is_set():
            claim = spools[number].inbox.claim(7, LEASE)
            idle = 0 if claim.rows else idle + 1
            taken[number] += claim.rows
            with spools[number].database.begin() as connection:
                spools[number].inbox.finish(connection, claim.id, [row.id for row in claim.rows])
            if number == 0:
                clock.advance(milliseconds=400)  # rows that had to wait for their lane come due again
            if sum(len(part) for part in taken) >= len(messages):
                empty.set()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(spools))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    # Workers that found nothing a few times in a row have ended; what waits for its lane is taken by one of them.
    for _ in messages:
        clock.advance(seconds=5)
        claim = spools[0].inbox.claim(100, LEASE)
        taken[0] += claim.rows
        with databases[0].begin() as transaction:
            spools[0].inbox.finish(transaction, claim.id, [row.id for row in claim.rows])
        if sum(len(part) for part in taken) >= len(messages):
            break
    for database in databases:
        database.close()
    ids = [row.id for part in taken for row in part]
    assert len(ids) == len(set(ids)) == len(messages)


def test_a_lane_is_never_overtaken_by_racing_workers(
    postgres: str, keyring: Keyring, incoming: Callable[..., Any]
) -> None:
    began = time.monotonic()

    def now() -> datetime:  # a hurried clock, so that rows that wait for their lane come due again at once
        return datetime.now(UTC) + timedelta(seconds=50 * (time.monotonic() - began))

    databases = [Database(postgres) for _ in range(3)]
    spools = [Spool(database, keyring, now) for database in databases]
    messages = [incoming(f"m{number}", f"sender {number % 3}", received_at=now()) for number in range(60)]
    spools[0].inbox.commit([spools[0].inbox.seal(message) for message in messages])
    order: list[Any] = []
    lock, ended = threading.Lock(), threading.Event()

    def work(number: int) -> None:
        while not ended.wait(0.005):
            claim = spools[number].inbox.claim(5, timedelta(days=1))
            with lock:
                order.extend((row.lane, row.id) for row in claim.rows)
            with spools[number].database.begin() as connection:
                spools[number].inbox.finish(connection, claim.id, [row.id for row in claim.rows])
            if len(order) >= len(messages):
                ended.set()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    for database in databases:
        database.close()
    assert len(order) == len(messages)
    for lane in {lane for lane, _ in order}:
        ids = [row_id for found, row_id in order if found == lane]
        assert ids == sorted(ids)


def test_a_queue_with_nothing_in_it_has_no_backlog(spool: Spool, rows: Rows) -> None:
    assert spool.inbox.backlog() == []
    assert spool.inbox.dead(10) == []
    assert rows(inbox) == []
