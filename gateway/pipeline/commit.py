"""Group commit: every webhook waits for the one transaction that holds its row.

While a commit is under way the next group gathers by itself, so a lone request waits for nobody, and under load one
commit serves many.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from queue import SimpleQueue
from typing import NamedTuple
from uuid import UUID

from gateway.domain.channel import ChannelId
from gateway.domain.errors import ChannelBusy, GatewayError, Overloaded, Rejected, Unavailable
from gateway.observe.logs import log
from gateway.observe.metrics import Metrics
from gateway.ports import Channel
from gateway.spool.activity import ActivityLog
from gateway.spool.inbox import Inbox, Incoming, SealedRow

_RETRY_AFTER = 5.0  # seconds; long enough for a database to restart

Done = Callable[[bool | Overloaded], None]  # whether the message was new, or why it is not durable


class Tally:
    """Counts what was accepted, by channel."""

    def __init__(self, channels: Iterable[Channel], metrics: Metrics, activity: ActivityLog) -> None:
        self._activity = activity
        ids = [channel.id for channel in channels]
        self._new = {channel: metrics.accepted.labels(*channel) for channel in ids}
        self._known = {channel: metrics.duplicates.labels(*channel) for channel in ids}

    def count(self, channel: ChannelId, new: int, known: int, at: datetime) -> None:
        """Add messages that are durable: new ones, and repeated ones."""
        if new:
            self._new[channel].inc(new)
        if known:
            self._known[channel].inc(known)
        if new or known:
            self._activity.note(*channel, "accepted", at)


class Committer:
    """Writes sealed rows into the inbox, and tells what became of each. Whoever calls it waits."""

    def __init__(self, inbox: Inbox, tally: Tally, metrics: Metrics) -> None:
        self.inbox, self._tally = inbox, tally
        self._batch = metrics.batch.labels("receive")
        self._turned_away = 0  # messages, since the database went away
        self.on_commit: Callable[[], None] = lambda: None  # wakes a worker in the same process

    def write(self, rows: Sequence[SealedRow]) -> list[bool | GatewayError]:
        """Commit sealed rows; where they cannot be written together, each alone, so that a bad one fails by itself.

        Returns for each row, in their order, whether it was new, or why it could not be written.
        """
        self._batch.observe(len(rows))
        try:
            new = self._commit(rows)
            return [True] * len(rows) if len(new) == len(rows) else [row["id"] in new for row in rows]
        except Unavailable as exc:
            return [exc] * len(rows)
        except Exception as exc:  # noqa: BLE001  whatever it is, each request of the group gets its answer
            if len(rows) == 1:
                return [exc if isinstance(exc, GatewayError) else _unforeseen(exc)]
        return [outcome for row in rows for outcome in self.write([row])]

    def _commit(self, rows: Sequence[SealedRow]) -> set[UUID]:
        try:
            return self.inbox.commit(rows)
        except Unavailable:
            # A restarted database leaves dead connections in the pool; the second attempt makes a fresh one.
            # Repeating is harmless: rows have dedupe keys.
            return self.inbox.commit(rows)

    def count(self, rows: Sequence[SealedRow], outcomes: Sequence[bool | GatewayError]) -> None:
        """Count, log and wake the worker once a group: once a message would cost more than the message."""
        stored = Counter(
            (row["region"], row["channel"], outcome)
            for row, outcome in zip(rows, outcomes, strict=True)
            if isinstance(outcome, bool)
        )
        at = rows[-1]["received_at"]
        for (region, channel, new), count in stored.items():
            self._tally.count(ChannelId(region, channel), count if new else 0, 0 if new else count, at)
        fresh = sum(count for (_, _, new), count in stored.items() if new)
        if fresh == 1:
            row = next(row for row, outcome in zip(rows, outcomes, strict=True) if outcome is True)
            log.info("accepted", region=row["region"], channel=row["channel"], correlation_id=row["id"].hex)
        elif fresh:
            log.info("accepted", count=fresh)
        self._tell_failures([outcome for outcome in outcomes if isinstance(outcome, GatewayError)])
        self.on_commit()

    def _tell_failures(self, errors: Sequence[GatewayError]) -> None:
        """Log an outage when it begins and when it is over: whoever repeats fast would fill the log meanwhile."""
        away = [error for error in errors if isinstance(error, Unavailable)]
        for error in errors:
            if not isinstance(error, Unavailable):
                log.error("not committed", count=1, reason=error.reason)
        if away and not self._turned_away:
            log.error("not committed", count=len(away), reason=away[0].reason)
        if not away and self._turned_away:
            log.warning("committing again", count=self._turned_away)
            self._turned_away = 0
        self._turned_away += len(away)


class _Waiting(NamedTuple):
    row: SealedRow
    channel: ChannelId
    done: Done
    since: float  # on the loop's clock


class GroupCommit:
    """Writes waiting rows in groups, one transaction at a time, on a thread of its own."""

    def __init__(self, committer: Committer, *, group: int, queue: int, share: float, timeout: float) -> None:
        self._committer = committer
        self._group, self._limit, self._timeout = group, queue, timeout
        self._channel_limit = max(1, int(queue * share))
        self._waiting: deque[_Waiting] = deque()
        self._in_flight: dict[int, _Waiting] = {}  # those of the group under way that have no answer yet
        self._per_channel: Counter[ChannelId] = Counter()
        self._idle: asyncio.Event | None = None  # set while no group is under way; made in the loop it serves
        self._watch: asyncio.TimerHandle | None = None
        self._groups: SimpleQueue[tuple[asyncio.AbstractEventLoop, list[SealedRow]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, message: Incoming) -> asyncio.Future[bool]:
        """As `submit`; the future fails with `Overloaded` where the commit fails or takes too long."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def done(outcome: bool | Overloaded) -> None:
            if future.done():  # its request gave up waiting; a redelivery will find it stored
                return
            if isinstance(outcome, Overloaded):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        self.submit(message, done)
        return future

    def submit(self, message: Incoming, done: Done) -> None:
        """Queue a message; `done` is called once, on the loop: when it is durable, or will not be in time.

        Raises `Overloaded` or `ChannelBusy` where too many wait already.
        """
        channel = ChannelId(message.region, message.channel)
        if len(self._waiting) >= self._limit:
            raise Overloaded("too many messages wait for their commit", retry_after=_RETRY_AFTER)
        if self._per_channel[channel] >= self._channel_limit:
            raise ChannelBusy("too many messages of this channel wait for their commit", retry_after=_RETRY_AFTER)
        loop = asyncio.get_running_loop()
        self._waiting.append(_Waiting(self._committer.inbox.seal(message), channel, done, loop.time()))
        self._per_channel[channel] += 1
        if self._idle is None:
            self._begin()
        if self._idle is not None and self._idle.is_set():
            self._idle.clear()
            loop.call_soon(self._next)  # not at once: what else arrived in this turn of the loop joins the group

    def _begin(self) -> None:
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._write_groups, name="commit", daemon=True)
        self._thread.start()

    def _next(self) -> None:
        """Send the next group on its way."""
        loop = asyncio.get_running_loop()
        count = min(self._group, len(self._waiting))
        self._in_flight = {number: self._waiting.popleft() for number in range(count)}
        if self._watch is None:
            self._watch = loop.call_later(self._timeout, self._give_up_on_old)
        self._groups.put((loop, [waiting.row for waiting in self._in_flight.values()]))

    def _write_groups(self) -> None:
        while (group := self._groups.get()) is not None:
            loop, rows = group
            outcomes = self._committer.write(rows)
            loop.call_soon_threadsafe(self._finish, rows, outcomes)

    def _finish(self, rows: Sequence[SealedRow], outcomes: Sequence[bool | GatewayError]) -> None:
        """Answer a group, and begin the next."""
        answered, self._in_flight = self._in_flight, {}
        for row in rows:
            self._per_channel[ChannelId(row["region"], row["channel"])] -= 1
        if self._waiting:
            self._next()  # before the answers: the database need not wait for them
        else:
            assert self._idle is not None  # noqa: S101  a group was under way
            self._idle.set()
            if self._watch is not None:
                self._watch.cancel()
                self._watch = None
        self._committer.count(rows, outcomes)
        for number, waiting in answered.items():
            outcome = outcomes[number]
            if isinstance(outcome, GatewayError):
                outcome = Overloaded(outcome.reason, retry_after=_RETRY_AFTER)
            waiting.done(outcome)

    def _give_up_on_old(self) -> None:
        """Answer those who have waited too long for a database that hangs. One timer for all: they are many."""
        loop = asyncio.get_running_loop()
        latest = loop.time() - self._timeout
        late = [number for number, waiting in self._in_flight.items() if waiting.since <= latest]
        told = [self._in_flight.pop(number) for number in late]
        while self._waiting and self._waiting[0].since <= latest:
            # It is not written at all, and its provider is told so: nothing that was refused is stored in secret.
            told.append(self._waiting.popleft())
            self._per_channel[told[-1].channel] -= 1
        self._watch = loop.call_later(self._timeout / 4, self._give_up_on_old)
        for waiting in told:
            waiting.done(Overloaded("the commit took too long", retry_after=_RETRY_AFTER))

    async def close(self) -> None:
        """Wait for what is under way, then end the thread."""
        if self._idle is None or self._thread is None:
            return
        await self._idle.wait()
        self._groups.put(None)
        self._thread.join()
        self._idle = self._thread = None


def _unforeseen(error: Exception) -> Rejected:
    log.error("commit failed", exc_info=error)
    return Rejected(f"it cannot be written ({type(error).__name__})")
