"""Group commit: store the rows of many webhooks in one transaction, and answer each webhook after it.

While one group is being committed, new messages form the next group. So a single request never waits for others, and
under load one commit serves many requests.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import NamedTuple
from uuid import UUID

from gateway.domain.channel import ChannelId
from gateway.domain.errors import ChannelBusy, GatewayError, Overloaded, Rejected, Unavailable
from gateway.domain.texts import text
from gateway.observe.logs import log
from gateway.observe.metrics import Metrics
from gateway.pipeline.tally import Tally
from gateway.spool.inbox import Inbox, Incoming, SealedRow

_RETRY_AFTER = 5.0  # seconds; long enough for a database to restart

Done = Callable[[bool | Overloaded], None]  # argument: True if the message is new, False if known, or the error


class Committer:
    """Write sealed rows into the inbox, and return the outcome of each. Blocks the calling thread."""

    def __init__(self, inbox: Inbox, tally: Tally, metrics: Metrics) -> None:
        self.inbox = inbox
        self._tally = tally
        self._batch = metrics.batch.labels("receive")
        self._uncommitted = 0  # messages refused since the database stopped answering
        self.on_commit: Callable[[], None] = lambda: None  # called after each group; the process wakes its worker

    def write(self, rows: Sequence[SealedRow]) -> list[bool | GatewayError]:
        """Commit sealed rows; if they cannot be written together, write each alone, so that only the bad row fails.

        Returns one outcome per row, in the order of the rows: True if it was new, False if known, or the error.
        """
        self._batch.observe(len(rows))
        try:
            new = self._commit(rows)
            return [True] * len(rows) if len(new) == len(rows) else [row["id"] in new for row in rows]
        except Unavailable as exc:
            return [exc] * len(rows)
        except Exception as exc:  # noqa: BLE001  each request of the group must get an answer
            if len(rows) == 1:
                return [exc if isinstance(exc, GatewayError) else _unexpected(exc)]
        return [outcome for row in rows for outcome in self.write([row])]

    def _commit(self, rows: Sequence[SealedRow]) -> set[UUID]:
        try:
            return self.inbox.commit(rows)
        except Unavailable:
            # After a restart of the database the pool has dead connections; the second attempt opens a new one.
            # A second attempt stores no row twice, because the rows have dedupe keys.
            return self.inbox.commit(rows)

    def count(self, rows: Sequence[SealedRow], outcomes: Sequence[bool | GatewayError]) -> None:
        """Update metrics, log and wake the worker once per group; per message would cost more than storing it."""
        stored = Counter(
            (row["region"], row["channel"], outcome)
            for row, outcome in zip(rows, outcomes, strict=True)
            if isinstance(outcome, bool)
        )
        at = rows[-1]["received_at"]
        for (region, channel, new), count in stored.items():
            self._tally.count(ChannelId(region, channel), count if new else 0, 0 if new else count, at)
        new_count = sum(count for (_, _, new), count in stored.items() if new)
        if new_count == 1:
            row = next(row for row, outcome in zip(rows, outcomes, strict=True) if outcome is True)
            log.info("accepted", region=row["region"], channel=row["channel"], correlation_id=row["id"].hex)
        elif new_count:
            log.info("accepted", count=new_count)
        self._log_failures([outcome for outcome in outcomes if isinstance(outcome, GatewayError)])
        self.on_commit()

    def _log_failures(self, errors: Sequence[GatewayError]) -> None:
        """Log an outage once when it begins and once when it ends: providers that retry fast would fill the log."""
        unavailable = [error for error in errors if isinstance(error, Unavailable)]
        for error in errors:
            if not isinstance(error, Unavailable):
                log.error("not committed", count=1, reason=error.reason)
        if unavailable and not self._uncommitted:
            log.error("not committed", count=len(unavailable), reason=unavailable[0].reason)
        if not unavailable and self._uncommitted:
            log.warning("committing again", count=self._uncommitted)
            self._uncommitted = 0
        self._uncommitted += len(unavailable)


class _Waiting(NamedTuple):
    row: SealedRow
    channel: ChannelId
    done: Done
    since: float  # time of the event loop, seconds


class GroupCommit:
    """Commit waiting messages in groups, one transaction at a time, on its own thread."""

    def __init__(self, committer: Committer, *, group: int, queue: int, share: float, timeout: float) -> None:
        """Prepare; `group` and `queue` are limits in messages, `timeout` is in seconds.

        `share` is the part of the queue that one channel may fill (above 0, at most 1).
        """
        self._committer = committer
        self._group = group
        self._limit = queue
        self._timeout = timeout
        self._channel_limit = max(1, int(queue * share))
        self._waiting: deque[_Waiting] = deque()
        self._in_flight: dict[int, _Waiting] = {}  # unanswered messages of the current group, by position
        self._per_channel: Counter[ChannelId] = Counter()
        self._idle: asyncio.Event | None = None  # set while no group is being committed; belongs to one event loop
        self._watch: asyncio.TimerHandle | None = None
        self._groups: SimpleQueue[tuple[asyncio.AbstractEventLoop, list[SealedRow]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, message: Incoming) -> asyncio.Future[bool]:
        """Queue a message; return a future: True if it is new, False if known, or `Overloaded` as its exception.

        Raises `Overloaded` or `ChannelBusy` if too many messages wait already.
        """
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def done(outcome: bool | Overloaded) -> None:
            if future.done():  # the request was cancelled; the provider sends the message again, and it is then known
                return
            if isinstance(outcome, Overloaded):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        self.submit(message, done)
        return future

    def submit(self, message: Incoming, done: Done) -> None:
        """Queue a message; call `done` once, in the event loop, when it is durable or cannot be stored in time.

        Raises `Overloaded` or `ChannelBusy` if too many messages wait already.
        """
        channel = ChannelId(message.region, message.channel)
        if len(self._waiting) >= self._limit:
            raise Overloaded(text("too many messages wait for their commit"), retry_after=_RETRY_AFTER)
        if self._per_channel[channel] >= self._channel_limit:
            raise ChannelBusy(text("too many messages of this channel wait for their commit"), retry_after=_RETRY_AFTER)
        loop = asyncio.get_running_loop()
        self._waiting.append(_Waiting(self._committer.inbox.seal(message), channel, done, loop.time()))
        self._per_channel[channel] += 1
        if self._idle is None:
            self._begin()
        if self._idle is not None and self._idle.is_set():
            self._idle.clear()
            loop.call_soon(self._next)  # not at once, so that all messages of this turn of the loop are in the group

    def _begin(self) -> None:
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._write_groups, name="commit", daemon=True)
        self._thread.start()

    def _next(self) -> None:
        """Pass the next group to the thread."""
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
        """Begin the next group, then answer the requests of this one."""
        answered, self._in_flight = self._in_flight, {}
        for row in rows:
            self._per_channel[ChannelId(row["region"], row["channel"])] -= 1
        if self._waiting:
            self._next()  # before the answers, so that the database does not wait for them
        else:
            assert self._idle is not None  # noqa: S101  `submit` made it before the first group
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
        """Answer the requests that wait longer than the timeout, if the database hangs. One timer serves all."""
        loop = asyncio.get_running_loop()
        latest = loop.time() - self._timeout
        late = [number for number, waiting in self._in_flight.items() if waiting.since <= latest]
        given_up = [self._in_flight.pop(number) for number in late]
        while self._waiting and self._waiting[0].since <= latest:
            # Remove it from the queue: a message that was refused must not be stored.
            given_up.append(self._waiting.popleft())
            self._per_channel[given_up[-1].channel] -= 1
        self._watch = loop.call_later(self._timeout / 4, self._give_up_on_old)
        for waiting in given_up:
            waiting.done(Overloaded(text("the commit took too long"), retry_after=_RETRY_AFTER))

    async def close(self) -> None:
        """Wait until no group is being committed, then end the thread."""
        if self._idle is None or self._thread is None:
            return
        await self._idle.wait()
        self._groups.put(None)
        self._thread.join()
        self._idle = None
        self._thread = None


def _unexpected(error: Exception) -> Rejected:
    log.error("commit failed", exc_info=error)
    return Rejected(f"the message cannot be stored ({type(error).__name__})")
