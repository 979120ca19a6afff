"""The group commit and the polls: durable before accepted, a bad row alone, nobody waits for ever."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.domain.errors import ChannelBusy, GatewayError, Overloaded, Unavailable
from gateway.domain.ids import new_id
from gateway.observe.metrics import Metrics
from gateway.pipeline.commit import Committer, GroupCommit
from gateway.pipeline.receive import Receiver
from gateway.pipeline.tally import Tally
from gateway.ports import Batch, Channel, Envelope, FetchedMessage
from gateway.ports.wire import WebhookRequest
from gateway.spool import Spool
from gateway.spool.activity import ActivityLog
from gateway.spool.tables import inbox
from gateway.storage.database import Database
from tests.gateway.fixture_types import MakeIncoming, Refuse, Rows
from tests.gateway.site import Site
from tests.gateway.support import StillClock

FULL_SHARE = [f"full-{number}" for number in range(5)]  # of a queue of 10 of which a channel may fill a half


@pytest.fixture
def committer(spool: Spool) -> Committer:
    metrics = Metrics()
    channels = [Channel(region="00", name=name, adapter_key="toy", adapter=None) for name in ("sms", "lain", "ketiga")]
    return Committer(spool.inbox, Tally(channels, metrics, ActivityLog(spool.activity)), metrics)


@pytest.fixture
def group_commit(committer: Committer) -> Callable[..., GroupCommit]:
    def make(**changes: Any) -> GroupCommit:
        settings = {"group": 256, "queue": 4096, "share": 0.5, "timeout": 10}
        return GroupCommit(committer, **(settings | changes))

    return make


async def outcomes(commit: GroupCommit, messages: list[Any]) -> list[Any]:
    """Put all messages at once, and return what became of each."""
    found = await asyncio.wait_for(
        asyncio.gather(*[commit.put(message) for message in messages], return_exceptions=True), 20
    )
    await commit.close()
    return found


def test_what_is_put_is_durable_and_known_when_it_comes_again(
    group_commit: Callable[..., GroupCommit], incoming: MakeIncoming, rows: Rows
) -> None:
    messages = [incoming("SM1"), incoming("SM2"), incoming("SM1")]
    assert asyncio.run(outcomes(group_commit(), messages)) == [True, True, False]
    assert {row["id"] for row in rows(inbox)} == {messages[0].id, messages[1].id}


def test_groups_are_no_bigger_than_configured(
    group_commit: Callable[..., GroupCommit], incoming: MakeIncoming, rows: Rows
) -> None:
    commit = group_commit(group=3)
    assert asyncio.run(outcomes(commit, [incoming(f"SM{number}") for number in range(10)])) == [True] * 10
    assert len(rows(inbox)) == 10


def test_a_row_that_the_database_refuses_fails_alone(
    group_commit: Callable[..., GroupCommit], incoming: MakeIncoming, rows: Rows, refuse: Refuse
) -> None:
    refuse("inbox", "content_type = 'buruk'")
    messages = [incoming("SM1"), incoming("SM2", content_type="buruk"), incoming("SM3")]
    first, second, third = asyncio.run(outcomes(group_commit(), messages))
    assert first is True
    assert third is True
    assert isinstance(second, GatewayError)
    assert len(rows(inbox)) == 2


def test_a_row_that_fails_in_a_way_nobody_foresaw_fails_alone_too(
    group_commit: Callable[..., GroupCommit], incoming: MakeIncoming, rows: Rows
) -> None:
    """Else its group would wait for ever, and the channel's share of the queue would never be free again."""
    commit = group_commit(queue=10, share=0.5)
    messages = [incoming("SM1"), incoming("SM2", content_type="\ud800"), incoming("SM3")]

    async def work() -> None:
        found = await asyncio.wait_for(
            asyncio.gather(*[commit.put(message) for message in messages], return_exceptions=True), 10
        )
        assert [outcome is True for outcome in found] == [True, False, True]
        assert isinstance(found[1], GatewayError)
        assert await asyncio.gather(*[commit.put(incoming(key)) for key in FULL_SHARE]) == [True] * 5
        await commit.close()

    asyncio.run(work())
    assert len(rows(inbox)) == 2 + 5


def test_a_full_queue_and_a_greedy_channel_are_told_apart(
    group_commit: Callable[..., GroupCommit], incoming: MakeIncoming
) -> None:
    commit = group_commit(queue=4, share=0.5)

    async def work() -> None:
        waiting = [commit.put(incoming(f"a{number}")) for number in range(2)]
        with pytest.raises(ChannelBusy) as busy:
            commit.put(incoming("a3"))
        assert busy.value.status == 429
        waiting += [commit.put(incoming(f"b{number}", channel="lain")) for number in range(2)]
        with pytest.raises(Overloaded) as full:
            commit.put(incoming("c", channel="ketiga"))
        assert full.value.status == 503
        assert full.value.retry_after
        assert await asyncio.gather(*waiting) == [True] * 4
        assert await commit.put(incoming("a4")) is True, "what was written makes room"
        await commit.close()

    asyncio.run(work())


@pytest.fixture
def held(database: Database) -> Iterator[Callable[[], Any]]:
    """Return a function that keeps the inbox locked in another transaction until the test ends or says so."""
    let_go, holders = threading.Event(), []

    def hold() -> Any:
        ready = threading.Event()

        def run() -> None:
            with database.begin() as connection:
                if not database.is_sqlite:
                    connection.exec_driver_sql("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
                ready.set()
                let_go.wait(20)

        holders.append(threading.Thread(target=run))
        holders[-1].start()
        ready.wait(5)
        return let_go

    yield hold
    let_go.set()
    for holder in holders:
        holder.join(10)


def test_nobody_waits_longer_than_the_time_limit_for_a_database_that_hangs(
    group_commit: Callable[..., GroupCommit], incoming: MakeIncoming, held: Any, rows: Rows
) -> None:
    commit = group_commit(timeout=0.2, group=1, queue=10, share=0.5)
    let_go = held()

    async def work() -> None:
        waiting = [commit.put(incoming(f"SM{number}")) for number in range(3)]
        found = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
        assert [type(outcome) for outcome in found] == [Overloaded] * 3
        let_go.set()
        assert await asyncio.wait_for(commit.put(incoming("SM9")), 5) is True
        assert await asyncio.gather(*[commit.put(incoming(key)) for key in FULL_SHARE]) == [True] * 5
        await commit.close()

    asyncio.run(work())
    assert len(rows(inbox)) == 2 + 5, "what was under way was written after all, and a redelivery finds it"


def test_a_client_that_leaves_early_disturbs_nobody(
    group_commit: Callable[..., GroupCommit], incoming: MakeIncoming, held: Any, rows: Rows
) -> None:
    commit = group_commit()
    let_go = held()

    async def work() -> None:
        leaving, staying = commit.put(incoming("SM1")), commit.put(incoming("SM2"))
        leaving.cancel()
        let_go.set()
        assert await asyncio.wait_for(staying, 5) is True
        await commit.close()

    asyncio.run(work())
    assert len(rows(inbox)) == 2


def test_each_commit_wakes_the_worker(
    group_commit: Callable[..., GroupCommit], committer: Committer, incoming: MakeIncoming
) -> None:
    woken: list[int] = []
    committer.on_commit = lambda: woken.append(1)
    asyncio.run(outcomes(group_commit(), [incoming("SM1")]))
    assert woken == [1]


def test_an_outage_is_told_when_it_begins_and_when_it_ends(
    committer: Committer, incoming: MakeIncoming, logs: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, away = committer.inbox.commit, [Unavailable("the database is away")] * 10  # each group is tried twice

    def fail_at_first(rows: Rows) -> Any:
        if away:
            raise away.pop()
        return commit(rows)

    monkeypatch.setattr(committer.inbox, "commit", fail_at_first)
    for number in range(6):
        rows = [committer.inbox.seal(incoming(f"SM{number}"))]
        committer.count(rows, committer.write(rows))
    told = [json.loads(line) for line in logs.getvalue().splitlines()]
    assert [(one["event"], one.get("count")) for one in told if one["event"] != "accepted"] == [
        ("not committed", 1),
        ("committing again", 5),
    ]


# --- polls -------------------------------------------------------------------------------------------------------


class Pages:
    """A poller with prepared pages; a page may be an error."""

    poll_every = 60.0

    def __init__(self, *pages: Any) -> None:
        self.pages, self.cursors = list(pages), []

    def poll(self, cursor: str | None) -> Batch:
        self.cursors.append(cursor)
        page = self.pages.pop(0)
        if isinstance(page, Exception):
            raise page
        return page


def page(cursor: str, *keys: str, more: bool = False) -> Batch:
    return Batch(messages=[FetchedMessage(Envelope(key, key), b"{}") for key in keys], cursor=cursor, more=more)


@pytest.fixture
def poll(spool: Spool) -> Callable[..., int]:
    receivers: list[Receiver] = []

    def run(adapter: Any, holder: Any = None) -> int:
        channel = Channel(region="00", name="sms", adapter_key="toy", adapter=adapter)
        if not receivers:
            metrics = Metrics()
            tally = Tally([channel], metrics, ActivityLog(spool.activity))
            commit = GroupCommit(Committer(spool.inbox, tally, metrics), group=1, queue=1, share=1, timeout=1)
            receivers.append(Receiver(spool, tally, commit))
        return receivers[0].poll(channel, holder or new_id())

    return run


def test_a_poll_reads_page_after_page_and_remembers_where_it_ended(spool: Spool, poll: Any, rows: Rows) -> None:
    pages = Pages(page("p1", "a", "b", more=True), page("p2", "c"))
    assert poll(pages) == 3
    assert pages.cursors == [None, "p1"]
    assert spool.leases.position("00", "sms") == "p2"
    assert len(rows(inbox)) == 3
    again = Pages(page("p3", "c", "d"))
    assert poll(again) == 1, "the overlap is known"
    assert again.cursors == ["p2"]


def test_a_poll_that_fails_half_way_keeps_what_it_has_and_goes_on_from_there(
    spool: Spool, poll: Any, rows: Rows
) -> None:
    holder = new_id()
    with pytest.raises(Unavailable):
        poll(Pages(page("p1", "a", more=True), Unavailable("no answer")), holder)
    assert len(rows(inbox)) == 1
    assert spool.leases.position("00", "sms") == "p1"
    assert poll(Pages(page("p2", "b")), holder) == 1


def test_the_cursor_does_not_move_without_its_page(spool: Spool, poll: Any, rows: Rows, refuse: Refuse) -> None:
    refuse("inbox", "channel = 'sms'")
    with pytest.raises(GatewayError):
        poll(Pages(page("p1", "a")))
    assert rows(inbox) == []
    assert spool.leases.position("00", "sms") is None


def test_a_second_poller_does_nothing_while_the_first_is_at_it(spool: Spool, poll: Any, rows: Rows) -> None:
    class Nested(Pages):
        def poll(self, cursor: str | None) -> Batch:
            assert poll(Pages(page("stolen", "z"))) is None
            return super().poll(cursor)

    assert poll(Nested(page("p1", "a"))) == 1
    assert spool.leases.position("00", "sms") == "p1"


def test_a_page_fetched_with_a_lost_lease_is_not_stored(spool: Spool, poll: Any, rows: Rows, clock: StillClock) -> None:
    class Slow(Pages):
        def poll(self, cursor: str | None) -> Batch:
            clock.advance(seconds=121)
            assert poll(Pages(page("theirs", "a"))) == 1
            return super().poll(cursor)

    assert poll(Slow(page("mine", "a", "b"))) == 0
    assert spool.leases.position("00", "sms") == "theirs"
    assert len(rows(inbox)) == 1


def test_a_fault_in_verify_is_a_refusal_that_may_be_repeated(
    site: Site, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = site.gateway()
    channel = gateway.channels["00", "sms"]
    monkeypatch.setattr(type(channel.adapter), "verify", lambda *_: 1 / 0)
    request = WebhookRequest("POST", "http://127.0.0.1:8080/in/00/sms", {}, b"")
    with pytest.raises(Overloaded) as refused:
        asyncio.run(gateway.receiver.webhook(channel, request))
    assert refused.value.retry_after
    with pytest.raises(Overloaded):
        gateway.receiver.take(channel, request, lambda *_: None)
    assert rows(inbox) == []
