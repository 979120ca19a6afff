"""A simulated aggregator, whatever its language."""

from adapters.sms.http.simulator.aggregator import FakeAggregator

__all__ = ["FakeAggregator"]
