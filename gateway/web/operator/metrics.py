"""Metrics that are read from the database at each scrape."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.bootstrap import Gateway
from gateway.domain.errors import GatewayError
from gateway.ports import Listener
from gateway.spool.leases import stands


class QueueDepth(Collector):
    """What waits and what is dead, read from the database at each scrape: true whichever process answers."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def describe(self) -> Iterable[Metric]:
        """Name the families without asking the database."""
        return self._families()

    def collect(self) -> Iterable[Metric]:
        """Ask the database; where it fails the gauges are absent and `lapor_database_up` is 0."""
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
        for address, configured in self._gateway.channels.items():
            if isinstance(configured.adapter, Listener):
                lines.add_metric(list(address), int(stands(rows.get(address), now)))
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
                "lapor_line_up", "Whether a held connection stands, in some process.", labels=["region", "channel"]
            ),
            GaugeMetricFamily("lapor_database_up", "Whether the database answered this scrape.", labels=[]),
        )
