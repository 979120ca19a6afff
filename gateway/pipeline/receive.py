"""Receive messages: verify, store durably, and only then accept. Webhooks are stored in groups, polls page by page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from gateway.domain.errors import Overloaded, Refused
from gateway.domain.ids import new_id
from gateway.observe.logs import log
from gateway.pipeline.commit import GroupCommit
from gateway.pipeline.tally import Tally
from gateway.ports import HTTP, Channel, FetchedMessage, Response
from gateway.ports.wire import WebhookRequest
from gateway.spool import Spool
from gateway.spool.inbox import Incoming

_POLL_LEASE = timedelta(seconds=120)
_RETRY_AFTER = 60.0  # seconds until the provider may try again, if an adapter has a fault that a person must repair
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})  # headers that are not stored


class Receiver:
    """Store verified messages of webhooks and polls in the inbox."""

    def __init__(self, spool: Spool, tally: Tally, commit: GroupCommit) -> None:
        self._spool = spool
        self._tally = tally
        self._commit = commit

    async def webhook(self, channel: Channel, request: WebhookRequest) -> tuple[UUID, Response]:
        """Store one webhook; return its correlation id and the answer. Raises a `Refused` if it is not stored."""
        message = self._incoming(channel, request)
        await self._commit.put(message)
        return message.id, channel.webhook.accepted(request)

    def take(
        self, channel: Channel, request: WebhookRequest, answer: Callable[[UUID, Response | Overloaded], None]
    ) -> None:
        """Verify and queue a webhook; call `answer` when it is durable, or when it cannot be stored.

        Raises a `Refused` if it is not queued. Does the same as `webhook`, for the express path, without a task and a
        future per request.
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
            # The adapter has a fault. With 503 the provider sends the message again later.
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
        """Fetch messages of a provider, page by page; return the number of new ones, `None` if another process polls.

        Each page is stored in the transaction that moves the cursor. Raises `Unavailable` or `Rejected`.
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
            sealed = [self._spool.inbox.seal(incoming(channel, message, now)) for message in page.messages]
            # A new message of a citizen counts as recovered: no webhook brought it. A device's report does not count.
            from_citizens = {
                row["id"] for row, message in zip(sealed, page.messages, strict=True) if message.from_citizen
            }
            with self._spool.database.begin() as transaction:
                if not leases.advance(transaction, region, name, holder, page.cursor):
                    break  # the lease was lost; the process that has it now will store this page
                new = self._spool.inbox.add(transaction, sealed)
            stored += len(new)
            recovered = len(new & from_citizens)
            self._tally.count(channel.id, recovered, len(from_citizens) - recovered, now)
            if recovered:
                log.warning("recovered", region=region, channel=name, count=recovered)
            if not page.more:
                break
        return stored


def incoming(channel: Channel, fetched: FetchedMessage, now: datetime) -> Incoming:
    """Return a fetched message in the form in which it is stored."""
    return Incoming(
        id=new_id(),
        region=channel.region,
        channel=channel.name,
        envelope=fetched.envelope,
        content_type=fetched.content_type,
        payload=fetched.payload,
        received_at=now,
    )
