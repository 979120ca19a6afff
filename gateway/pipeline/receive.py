"""Verify, store durably, only then accept.

Webhooks commit in groups: each request waits until the one transaction that holds its row has committed. While a
commit is under way the next group gathers by itself, so a lone request waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from gateway.errors import ChannelBusy, GatewayError, Overloaded, Rejected, Unavailable
from gateway.ids import new_id
from gateway.observe import Metrics, log
from gateway.ports import HTTP, Channel, Response
from gateway.recent import Recent
from gateway.spool import Spool
from gateway.spool.inbox import Inbox, Incoming
from gateway.wire import WebhookRequest

_RETRY_AFTER = 5.0  # seconds; long enough for a database to restart
_POLL_LEASE = timedelta(seconds=120)
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})  # not kept with a message


class _Waiting(NamedTuple):
    row: dict[str, Any]
    future: asyncio.Future[bool]
    since: float  # on the loop's clock


class GroupCommit:
    """Writes waiting rows in groups, one transaction at a time, on a thread of its own."""

    def __init__(self, inbox: Inbox, metrics: Metrics, *, group: int, queue: int, share: float, timeout: float) -> None:
        self._inbox, self._group, self._limit, self._timeout = inbox, group, queue, timeout
        self._channel_limit = max(1, int(queue * share))
        self._waiting: deque[_Waiting] = deque()
        self._in_flight: list[_Waiting] = []
        self._per_channel: Counter[tuple[str, str]] = Counter()
        self._thread = ThreadPoolExecutor(1, "commit")
        self._writer: asyncio.Task[None] | None = None
        self._batch = metrics.batch.labels("receive")
        self.on_commit: Callable[[], None] = lambda: None  # wakes a worker in the same process

    def put(self, message: Incoming) -> asyncio.Future[bool]:
        """Queue a message; the future is done when it is durable, and says whether it was new.

        Raises `Overloaded` or `ChannelBusy` where too many wait already; the future fails with `Overloaded` where
        the commit fails or takes too long.
        """
        address = (message.region, message.channel)
        if len(self._waiting) >= self._limit:
            raise Overloaded("too many messages wait for their commit", retry_after=_RETRY_AFTER)
        if self._per_channel[address] >= self._channel_limit:
            raise ChannelBusy("too many messages of this channel wait for their commit", retry_after=_RETRY_AFTER)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        self._waiting.append(_Waiting(self._inbox.seal(message), future, loop.time()))
        self._per_channel[address] += 1
        if self._writer is None:
            self._writer = loop.create_task(self._drain())
        return future

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(self._timeout, self._give_up_on_old)
        try:
            while self._waiting:
                self._in_flight = [self._waiting.popleft() for _ in range(min(self._group, len(self._waiting)))]
                rows = [waiting.row for waiting in self._in_flight]
                outcomes = await loop.run_in_executor(self._thread, self._write, rows)
                for (row, future, _), outcome in zip(self._in_flight, outcomes, strict=True):
                    self._per_channel[row["region"], row["channel"]] -= 1
                    if future.done():  # its request gave up waiting; a redelivery will find it stored
                        continue
                    if isinstance(outcome, GatewayError):
                        future.set_exception(Overloaded(outcome.reason, retry_after=_RETRY_AFTER))
                    else:
                        future.set_result(outcome)
                self.on_commit()
                _tell(rows, outcomes)
        finally:
            self._watch.cancel()
            self._in_flight, self._writer = [], None

    def _give_up_on_old(self) -> None:
        """Answer those who have waited too long for a database that hangs. One timer for all: they are many."""
        loop = asyncio.get_running_loop()
        latest = loop.time() - self._timeout
        for _, future, since in (*self._in_flight, *self._waiting):
            if since <= latest and not future.done():
                future.set_exception(Overloaded("the commit took too long", retry_after=_RETRY_AFTER))
        if self._writer is not None:
            self._watch = loop.call_later(self._timeout / 4, self._give_up_on_old)

    def _write(self, rows: Sequence[dict[str, Any]]) -> list[bool | GatewayError]:
        """Commit a group; where it cannot be written, each row alone, so that a bad one fails by itself.

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
        return [outcome for row in rows for outcome in self._write([row])]

    def _commit(self, rows: Sequence[dict[str, Any]]) -> set[UUID]:
        try:
            return self._inbox.commit(rows)
        except Unavailable:
            # A restarted database leaves dead connections in the pool; the second attempt makes a fresh one.
            # Repeating is harmless: rows have dedupe keys.
            return self._inbox.commit(rows)

    async def close(self) -> None:
        """Wait for what is under way, then end the thread."""
        if self._writer is not None:
            await self._writer
        self._thread.shutdown()


def _unforeseen(error: Exception) -> Rejected:
    log.error("commit failed", exc_info=error)
    return Rejected(f"it cannot be written ({type(error).__name__})")


def _tell(rows: Sequence[dict[str, Any]], outcomes: Sequence[bool | GatewayError]) -> None:
    """Log one line a group: a line a message would cost more than the message."""
    stored = [row for row, outcome in zip(rows, outcomes, strict=True) if outcome is True]
    if len(stored) == 1:
        row = stored[0]
        log.info("accepted", region=row["region"], channel=row["channel"], correlation_id=row["id"].hex)
    elif stored:
        log.info("accepted", count=len(stored))
    if failed := next((outcome for outcome in outcomes if isinstance(outcome, GatewayError)), None):
        log.error("not committed", count=len(rows) - len(stored), reason=failed.reason)


class Receiver:
    """Takes verified messages into the inbox, from webhooks and polls alike."""

    def __init__(
        self, spool: Spool, channels: Iterable[Channel], metrics: Metrics, recent: Recent, commit: GroupCommit
    ) -> None:
        self._spool, self._recent, self._commit = spool, recent, commit
        addresses = [(channel.region, channel.name) for channel in channels]
        self._accepted = {address: metrics.accepted.labels(*address) for address in addresses}
        self._duplicates = {address: metrics.duplicates.labels(*address) for address in addresses}

    async def webhook(self, channel: Channel, request: WebhookRequest) -> tuple[UUID, Response]:
        """Store one webhook and return its correlation id and the answer; raises a `Refused` otherwise."""
        message, stored = self.begin(channel, request)
        return message.id, self.end(channel, request, message, await stored)

    def begin(self, channel: Channel, request: WebhookRequest) -> tuple[Incoming, asyncio.Future[bool]]:
        """Verify a webhook and queue it; when the future is done, it is durable. Raises a `Refused`, as it may."""
        envelope = channel.adapter.verify(request)
        message = Incoming(
            id=new_id(),
            region=channel.region,
            channel=channel.name,
            envelope=envelope,
            content_type=HTTP,
            payload=request.dump(without=_CREDENTIALS),
            received_at=self._spool.clock(),
        )
        return message, self._commit.put(message)

    def end(self, channel: Channel, request: WebhookRequest, message: Incoming, new: bool) -> Response:
        """Count a webhook that is durable, and return what its provider takes for "stored"."""
        (self._accepted if new else self._duplicates)[message.region, message.channel].inc()
        self._recent.note(message.region, message.channel, "accepted", message.received_at)
        response: Response = channel.adapter.accepted(request)
        return response

    def poll(self, channel: Channel, holder: UUID) -> int | None:
        """Ask a provider for what is new, page by page; return how many messages were not known yet.

        Each page is stored in the transaction that moves the cursor. `None`: another poller holds the lease.
        """
        cursors = self._spool.cursors
        if not cursors.lease(channel.region, channel.name, holder, _POLL_LEASE):
            return None
        try:
            return self._pages(channel, holder)
        finally:
            cursors.release(channel.region, channel.name, holder)

    def _pages(self, channel: Channel, holder: UUID) -> int:
        region, name, cursors = channel.region, channel.name, self._spool.cursors
        stored = 0
        while cursors.lease(region, name, holder, _POLL_LEASE):
            page = channel.adapter.poll(cursors.position(region, name))
            now = self._spool.clock()
            sealed = [
                self._spool.inbox.seal(
                    Incoming(
                        id=new_id(),
                        region=region,
                        channel=name,
                        envelope=found.envelope,
                        content_type=found.content_type,
                        payload=found.payload,
                        received_at=now,
                    )
                )
                for found in page.found
            ]
            with self._spool.database.begin() as connection:
                if not cursors.advance(connection, region, name, holder, page.cursor):
                    break  # the lease was lost meanwhile; whoever has it will read this page
                new = len(self._spool.inbox.add(connection, sealed))
            stored += new
            self._accepted[region, name].inc(new)
            self._duplicates[region, name].inc(len(sealed) - new)
            if new:
                self._recent.note(region, name, "accepted", now)
                log.warning("recovered", region=region, channel=name, count=new)
            if not page.more:
                break
        return stored
