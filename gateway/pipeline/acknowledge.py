"""To the citizen, on the channel they used.

At least once: where an attempt's answer was lost, the provider is asked first whether the message went out. Only where
it cannot tell, and the crash fell between its answer and our commit, may a citizen read the same reply twice.
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
    """Empties the part of the outbox that is meant for citizens."""

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
        """Send one batch; return how many replies it had. Replies to one citizen keep their order."""
        # Small claims: all of a claim must be sent before its lease ends, whatever the provider's time-out.
        # What goes over a connection that another process holds is that process's to send.
        claim = self._spool.outbox.claim(self._threads * 4, self._lease, kinds=[Kind.REPLY], leaving=self._elsewhere())
        if not claim.rows:
            return 0
        self._metrics.batch.labels(self.name).observe(len(claim.rows))
        lanes: dict[UUID, list[OutboxRow]] = {}
        for row in claim.rows:
            lanes.setdefault(row.lane, []).append(row)
        # list(): an exception of a thread must reach the caller.
        list(self._pool.map(lambda rows: self._send_lane(claim.id, rows), lanes.values()))
        return len(claim.rows)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _send_lane(self, claim: UUID, rows: Sequence[OutboxRow]) -> None:
        """Send one citizen's replies until one is to be tried again; those behind it wait for it."""
        for position, row in enumerate(rows):
            # The replies before it may have taken long: one that another worker has taken over is theirs to send.
            if not self._spool.outbox.hold(claim, row.id, self._lease):
                continue
            try:
                receipt, outcome = self._send(row)
            except Exception as exc:  # noqa: BLE001  decided by the settler: retry or dead letter
                self._metrics.replies.labels(row.region, row.channel, "failed").inc()
                self._settler.settle(claim, [Failure(row, exc)])
                if self._settler.gives_up(row, exc):
                    continue
                with self._spool.database.begin() as connection:
                    self._spool.outbox.give_back(connection, claim, [other.id for other in rows[position + 1 :]])
                return
            with self._spool.database.begin() as connection:
                if self._spool.outbox.finish(connection, claim, [row.id]):
                    self._spool.receipts.refer(connection, row, receipt)
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
        if row.attempts > 1:  # an earlier attempt's answer may have been lost on the way
            found: Receipt | None = adapter.find(reply)
            if found is not None:
                return found, "found"
        return adapter.reply(reply), "sent"
