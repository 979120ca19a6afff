"""Count events per process, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.process_collector import ProcessCollector


class Metrics:
    """The counters of one process. `web.operator.metrics` reads the queues' depth from the database at each scrape."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        channel = ["region", "channel"]
        outcome = [*channel, "outcome"]

        def counter(name: str, text: str, labels: list[str]) -> Counter:
            return Counter(f"lapor_{name}", text, labels, registry=self.registry)

        self.accepted = counter("accepted", "Messages stored durably and accepted.", channel)
        self.duplicates = counter("duplicates", "Repeated deliveries, accepted and not stored again.", channel)
        self.refused = counter("refused", "Requests refused, by reason.", ["reason"])
        self.translated = counter("translated", "Events translated from messages, by kind.", [*channel, "kind"])
        self.delivered = counter("delivered", "Complaints that the central store accepted.", channel)
        self.replies = counter(
            "replies", "Replies, by outcome: sent, found (sent before), suppressed (per_hour or STOP), failed.", outcome
        )
        self.receipts = counter("receipts", "Delivery receipts of replies, by state.", [*channel, "state"])
        self.retries = counter("retries", "Failed attempts after which the row is tried again.", ["stage", "reason"])
        self.dead = counter("dead", "Rows that became dead letters.", ["stage", "reason"])
        self.provider_errors = counter("provider_errors", "Errors of providers and the centre.", [*channel, "reason"])
        self.polls = counter("polls", "Polls, by outcome: done, failed, elsewhere (another process polls).", outcome)
        self.batch = Histogram(
            "lapor_batch_size",
            "Rows in one batch (a claim or a group of webhooks), by stage.",
            ["stage"],
            buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000),
            registry=self.registry,
        )
