"""Simulate an aggregator with any wire format."""

from adapters.sms.http.simulator.aggregator import FakeAggregator

__all__ = ["FakeAggregator"]
