"""Read the queues' depth and the connections' state from the database at each scrape."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.bootstrap import Gateway
from gateway.domain.errors import GatewayError
from gateway.ports import Listener
from gateway.spool.leases import stands


class QueueDepth(Collector):
    """Count the waiting and dead rows of all channels in the database, so that all processes report the same."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def describe(self) -> Iterable[Metric]:
        """Return the metric families without reading the database."""
        return self._families()

    def collect(self) -> Iterable[Metric]:
        """Read the database; if it fails, return only `lapor_database_up` with 0."""
        waiting, oldest, dead, lines, up = self._families()
        spool = self._gateway.spool
        now = spool.clock()
        try:
            for name, queue in (("inbox", spool.inbox), ("outbox", spool.outbox)):
                for backlog in queue.backlog():
                    labels = [name, backlog.region, backlog.channel]
                    waiting.add_metric(labels, backlog.waiting)
                    age = (now - backlog.oldest).total_seconds() if backlog.oldest else 0.0
                    oldest.add_metric(labels, max(0.0, age))
                for (region, channel), count in queue.dead_counts().items():
                    dead.add_metric([name, region, channel], count)
            rows = {(row.region, row.channel): row for row in spool.leases.all()}
        except GatewayError:
            up.add_metric([], 0)
            return [up]
        for channel_id, configured in self._gateway.channels.items():
            if isinstance(configured.adapter, Listener):
                lines.add_metric(list(channel_id), int(stands(rows.get(channel_id), now)))
        up.add_metric([], 1)
        return [waiting, oldest, dead, lines, up]

    @staticmethod
    def _families() -> tuple[GaugeMetricFamily, ...]:
        labels = ["queue", "region", "channel"]
        return (
            GaugeMetricFamily("lapor_waiting", "Unfinished rows.", labels=labels),
            GaugeMetricFamily("lapor_oldest_waiting_seconds", "Age of the oldest unfinished row.", labels=labels),
            GaugeMetricFamily("lapor_dead_letters", "Dead letters.", labels=labels),
            GaugeMetricFamily(
                "lapor_line_up", "Whether a held connection works, in any process.", labels=["region", "channel"]
            ),
            GaugeMetricFamily("lapor_database_up", "Whether the database answered this scrape.", labels=[]),
        )
