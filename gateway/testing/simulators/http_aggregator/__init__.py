"""A simulated aggregator, whatever its language."""

from gateway.testing.simulators.http_aggregator.aggregator import FakeAggregator

__all__ = ["FakeAggregator"]
