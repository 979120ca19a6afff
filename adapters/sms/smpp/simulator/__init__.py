"""Simulate an operator's SMSC."""

from adapters.sms.smpp.simulator.smsc import FakeSmsc

__all__ = ["FakeSmsc"]
