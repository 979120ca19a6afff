"""Verify, store durably, only then accept: webhooks by group commit, polls page by page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from gateway.domain.errors import Overloaded, Refused
from gateway.domain.ids import new_id
from gateway.observe.logs import log
from gateway.pipeline.commit import GroupCommit, Tally
from gateway.ports import HTTP, Channel, FetchedMessage, Response
from gateway.ports.wire import WebhookRequest
from gateway.spool import Spool
from gateway.spool.inbox import Incoming

_POLL_LEASE = timedelta(seconds=120)
_RETRY_AFTER = 60.0  # seconds, after a fault of an adapter: somebody has to mend it
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})  # not kept with a message


class Receiver:
    """Takes verified messages into the inbox, from webhooks and polls alike."""

    def __init__(self, spool: Spool, tally: Tally, commit: GroupCommit) -> None:
        self._spool, self._tally, self._commit = spool, tally, commit

    async def webhook(self, channel: Channel, request: WebhookRequest) -> tuple[UUID, Response]:
        """Store one webhook and return its correlation id and the answer; raises a `Refused` otherwise."""
        message = self._incoming(channel, request)
        await self._commit.put(message)
        return message.id, channel.webhook.accepted(request)

    def take(
        self, channel: Channel, request: WebhookRequest, answer: Callable[[UUID, Response | Overloaded], None]
    ) -> None:
        """Verify and queue a webhook; `answer` is called once it is durable, or cannot be. Raises a `Refused` at once.

        As `webhook`, for the express lane: without a task and a future for each request.
        """
        message = self._incoming(channel, request)

        def done(outcome: bool | Overloaded) -> None:
            answer(message.id, outcome if isinstance(outcome, Overloaded) else channel.webhook.accepted(request))

        self._commit.submit(message, done)

    def _incoming(self, channel: Channel, request: WebhookRequest) -> Incoming:
        try:
            envelope = channel.webhook.verify(request)
        except Refused:
            raise
        except Exception as exc:
            # A fault of the adapter: the provider is told to come again, and has its answer all the same.
            log.error("verify failed", region=channel.region, channel=channel.name, exc_info=exc)
            raise Overloaded("the channel's adapter failed; see the log", retry_after=_RETRY_AFTER) from exc
        return Incoming(
            id=new_id(),
            region=channel.region,
            channel=channel.name,
            envelope=envelope,
            content_type=HTTP,
            payload=request.dump(without=_CREDENTIALS),
            received_at=self._spool.clock(),
        )

    def poll(self, channel: Channel, holder: UUID) -> int | None:
        """Ask a provider for what is new, page by page; return how many messages were not known yet.

        Each page is stored in the transaction that moves the cursor. `None`: another poller holds the lease.
        """
        leases = self._spool.leases
        if not leases.lease(channel.region, channel.name, holder, _POLL_LEASE):
            return None
        try:
            return self._pages(channel, holder)
        finally:
            leases.release(channel.region, channel.name, holder)

    def _pages(self, channel: Channel, holder: UUID) -> int:
        region, name, leases = channel.region, channel.name, self._spool.leases
        stored = 0
        while leases.lease(region, name, holder, _POLL_LEASE):
            page = channel.poller.poll(leases.position(region, name))
            now = self._spool.clock()
            sealed = [self._spool.inbox.seal(incoming(channel, found, now)) for found in page.found]
            spoken = {row["id"] for row, found in zip(sealed, page.found, strict=True) if found.spoken}
            with self._spool.database.begin() as connection:
                if not leases.advance(connection, region, name, holder, page.cursor):
                    break  # the lease was lost meanwhile; whoever has it will read this page
                new = self._spool.inbox.add(connection, sealed)
            stored += len(new)
            recovered = len(new & spoken)
            self._tally.count(channel.id, recovered, len(spoken) - recovered, now)
            if recovered:
                log.warning("recovered", region=region, channel=name, count=recovered)
            if not page.more:
                break
        return stored


def incoming(channel: Channel, found: FetchedMessage, now: datetime) -> Incoming:
    """Return what a poll or a held connection found as a message to be stored."""
    return Incoming(
        id=new_id(),
        region=channel.region,
        channel=channel.name,
        envelope=found.envelope,
        content_type=found.content_type,
        payload=found.payload,
        received_at=now,
    )
