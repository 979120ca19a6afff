"""Send replies to citizens, each on the channel that the citizen used.

At least once: if the provider's answer to an attempt may be lost, the adapter first looks the reply up at the provider.
A citizen gets a reply twice only if the answer was lost and the provider has no such look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

from gateway.domain.channel import ChannelId
from gateway.observe.logs import log
from gateway.observe.metrics import Metrics
from gateway.pipeline.interpret.translate import Channels, channel_of
from gateway.pipeline.settle import Failure, Settler
from gateway.ports import Receipt
from gateway.spool import Spool
from gateway.spool.activity import ActivityLog
from gateway.spool.rows import OutboxRow
from gateway.spool.tables import Kind


class Acknowledger:
    """The stage that empties the outbox of replies."""

    name = "acknowledge"

    def __init__(
        self,
        spool: Spool,
        channels: Channels,
        metrics: Metrics,
        activity: ActivityLog,
        settler: Settler,
        *,
        threads: int,
        lease: timedelta,
        elsewhere: Callable[[], frozenset[ChannelId]],
    ) -> None:
        """Prepare; `elsewhere` returns the channels on which this process cannot send: another holds the connection."""
        self._spool = spool
        self._channels = channels
        self._metrics = metrics
        self._activity = activity
        self._settler = settler
        self._lease = lease
        self._threads = threads
        self._elsewhere = elsewhere
        self._pool = ThreadPoolExecutor(threads, "reply")

    def run_once(self) -> int:
        """Send one batch; return the number of claimed replies. Replies to one citizen keep their order."""
        # Small claims, because calls may be slow, and another worker may claim replies whose lease has ended.
        claim = self._spool.outbox.claim(self._threads * 4, self._lease, kinds=[Kind.REPLY], leaving=self._elsewhere())
        if not claim.rows:
            return 0
        self._metrics.batch.labels(self.name).observe(len(claim.rows))
        lanes: dict[UUID, list[OutboxRow]] = {}
        for row in claim.rows:
            lanes.setdefault(row.lane, []).append(row)
        # list() raises the exceptions of the threads.
        list(self._pool.map(lambda rows: self._send_lane(claim.id, rows), lanes.values()))
        return len(claim.rows)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _send_lane(self, claim: UUID, rows: Sequence[OutboxRow]) -> None:
        """Send the replies of one lane in their order; if one must be tried again, give back the replies after it."""
        for position, row in enumerate(rows):
            # The replies before it may have taken longer than the lease; another worker may then have claimed this one.
            if not self._spool.outbox.extend_lease(claim, row.id, self._lease):
                continue
            try:
                receipt, outcome = self._send(row)
            except Exception as exc:  # noqa: BLE001  decided by the settler: retry or dead letter
                self._metrics.replies.labels(row.region, row.channel, "failed").inc()
                self._settler.settle(claim, [Failure(row, exc)])
                if self._settler.gives_up(row, exc):
                    continue
                with self._spool.database.begin() as transaction:
                    self._spool.outbox.give_back(transaction, claim, [other.id for other in rows[position + 1 :]])
                return
            with self._spool.database.begin() as transaction:
                if self._spool.outbox.finish(transaction, claim, [row.id]):
                    self._spool.receipts.refer(transaction, row, receipt)
            self._metrics.replies.labels(row.region, row.channel, outcome).inc()
            self._activity.note(row.region, row.channel, "replied", self._spool.clock())
            log.info(
                "acknowledged",
                region=row.region,
                channel=row.channel,
                action=outcome,
                correlation_id=row.correlation_id.hex,
            )

    def _send(self, row: OutboxRow) -> tuple[Receipt, str]:
        adapter = channel_of(self._channels, row.region, row.channel).replier
        reply = self._spool.outbox.unseal(row)
        if row.attempts > 1:  # the answer to an earlier attempt may have been lost
            receipt: Receipt | None = adapter.find(reply)
            if receipt is not None:
                return receipt, "found"
        return adapter.reply(reply), "sent"
