"""Open connections: one process holds each, messages are durable, failures are recorded and tried again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import cast

import pytest
import sqlalchemy as sa

from gateway.domain.channel import ChannelId
from gateway.domain.errors import GatewayError, Unavailable
from gateway.domain.ids import new_id
from gateway.observe.metrics import Metrics
from gateway.pipeline.commit import Committer
from gateway.pipeline.tally import Tally
from gateway.ports import Adapter, Channel, Envelope, FetchedMessage, Line
from gateway.runtime import lines
from gateway.runtime.lines import Lines
from gateway.spool import Spool
from gateway.spool.activity import ActivityLog
from gateway.spool.leases import stands
from gateway.spool.outbox import NewReply
from gateway.spool.rows import LeaseRow
from gateway.spool.tables import Kind, cursors, inbox
from tests.gateway.fixture_types import Eventually, Refuse, Rows
from tests.gateway.support import StillClock

ADDRESS = ChannelId("00", "smpp")
LEASE = timedelta(seconds=1)


class Radio:
    """A listener whose calls run the given steps; after them it is up until it must end."""

    line: Line

    def __init__(self, *steps: Callable[[Line], object]) -> None:
        self.steps = list(steps)
        self.calls = 0
        self.listening = threading.Event()
        self.ended = threading.Event()

    def listen(self, line: Line) -> None:
        self.calls += 1
        self.line = line
        step = self.steps.pop(0) if self.steps else None
        if step is not None:
            step(line)
        line.up()
        self.listening.set()
        while not line.ending:
            self.ended.wait(0.02)
        self.ended.set()


Hold = Callable[[Radio], Lines]


def fail(_line: Line) -> None:
    raise Unavailable("the operator does not answer")


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten what a test would wait for."""
    monkeypatch.setattr(lines, "_LONGEST_WAIT", 0.1)


@pytest.fixture
def hold(spool: Spool) -> Iterator[Hold]:
    """Return a function that starts the connections of one more process on the same database."""
    started: list[Lines] = []

    def start(radio: Radio) -> Lines:
        channel = Channel(region=ADDRESS[0], name=ADDRESS[1], adapter_key="toy", adapter=cast("Adapter", radio))
        metrics = Metrics()
        tally = Tally([channel], metrics, ActivityLog(spool.activity))
        started.append(Lines(spool, Committer(spool.inbox, tally, metrics), [channel], LEASE))
        started[-1].start()
        return started[-1]

    yield start
    for connections in started:
        assert connections.stop(5), "every connection ends when told to"


def message(key: str, sender: str = "+6281200000001", former: str | None = None) -> FetchedMessage:
    return FetchedMessage(Envelope(key, sender, former), f"isi {key}".encode(), "application/toy")


def cursor(spool: Spool) -> LeaseRow:
    """Return the record of the only channel."""
    (row,) = spool.leases.all()
    return row


def test_what_a_connection_brings_is_durable_when_it_is_told_so(hold: Hold, rows: Rows) -> None:
    radio = Radio()
    hold(radio)
    assert radio.listening.wait(5)
    outcomes = [*radio.line.accept([message("a"), message("b")]), *radio.line.accept([message("b"), message("c")])]
    assert outcomes == [None] * 4, "a repeated one is durable too"
    assert sorted(row["content_type"] for row in rows(inbox)) == ["application/toy"] * 3
    assert radio.line.accept([]) == []


def test_a_message_without_an_id_is_known_by_its_former_key(hold: Hold, rows: Rows) -> None:
    radio = Radio()
    hold(radio)
    assert radio.listening.wait(5)
    radio.line.accept([message("text minute 7", former="text minute 6")])
    outcomes = radio.line.accept(
        [message("text minute 8", former="text minute 7"), message("other minute 8", former="x")]
    )
    assert list(outcomes) == [None, None]
    assert len(rows(inbox)) == 2, "the repeated one came a minute later and is the same message"


def test_a_row_that_cannot_be_written_fails_alone(hold: Hold, rows: Rows, refuse: Refuse) -> None:
    refuse("inbox", "content_type = 'buruk'")
    radio = Radio()
    hold(radio)
    assert radio.listening.wait(5)
    bad = FetchedMessage(Envelope("bad"), b"x", "buruk")
    first, second, third = radio.line.accept([message("a"), bad, message("b")])
    assert (first, third) == (None, None)
    assert isinstance(second, GatewayError)
    assert len(rows(inbox)) == 2


def test_a_failure_is_written_down_and_tried_again(
    hold: Hold, spool: Spool, clock: StillClock, eventually: Eventually
) -> None:
    radio = Radio(fail, fail)
    hold(radio)
    assert radio.listening.wait(10)
    assert radio.calls == 3
    eventually(lambda: cursor(spool).failing_since is None)
    assert stands(cursor(spool), clock())


def test_while_it_fails_the_reason_stands_in_the_database(
    hold: Hold, spool: Spool, clock: StillClock, eventually: Eventually
) -> None:
    radio = Radio(*[fail] * 1000)
    hold(radio)
    eventually(lambda: radio.calls > 3, 10)
    row = cursor(spool)
    assert (row.reason, row.failing_since is not None) == ("unavailable: the operator does not answer", True)
    assert not stands(row, clock())


def test_a_fault_of_the_adapter_is_no_end_either(hold: Hold) -> None:
    radio = Radio(lambda _line: 1 / 0)
    hold(radio)
    assert radio.listening.wait(10)
    assert radio.calls == 2


def test_a_second_process_stands_by_and_takes_over(hold: Hold, eventually: Eventually) -> None:
    first, second = Radio(), Radio()
    holding = hold(first)
    assert first.listening.wait(5)
    waiting = hold(second)
    assert not second.listening.wait(0.5), "one bind account, one connection"
    assert (holding.elsewhere(), waiting.elsewhere()) == (frozenset(), frozenset({ADDRESS}))
    assert holding.stop(5)
    assert second.listening.wait(5), "at a graceful end the other takes over at once"
    assert waiting.elsewhere() == frozenset()
    eventually(lambda: holding.elsewhere() == frozenset({ADDRESS}))


def test_a_process_that_lost_its_lease_stops_listening(hold: Hold, spool: Spool, clock: StillClock) -> None:
    radio = Radio()
    holding = hold(radio)
    assert radio.listening.wait(5)
    with spool.database.begin() as connection:  # as if it had slept longer than its lease, and another came
        other_lease = {"lease_holder": new_id(), "lease_until": clock() + timedelta(hours=1)}
        connection.execute(sa.update(cursors).values(other_lease))
    assert radio.ended.wait(5)
    assert holding.elsewhere() == frozenset({ADDRESS})
    assert spool.leases.all()[0].lease_holder == other_lease["lease_holder"], "and it does not take it back"


def test_without_its_own_connection_a_process_leaves_the_replies_alone(
    spool: Spool, rows: Rows, clock: StillClock
) -> None:
    with spool.database.begin() as connection:
        for name in ("smpp", "sms"):
            draft = NewReply(region="00", channel=name, to="+6281200000001", text="halo", correlation_id=new_id())
            spool.outbox.add_replies(connection, [draft], 10)
    lease = timedelta(seconds=30)
    claim = spool.outbox.claim(10, lease, kinds=[Kind.REPLY], leaving=frozenset({ADDRESS}))
    assert [row.channel for row in claim.rows] == ["sms"]
    assert [row.channel for row in spool.outbox.claim(10, lease, kinds=[Kind.REPLY]).rows] == ["smpp"]
