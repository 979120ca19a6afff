"""A simulated SMSC of an operator."""

from adapters.sms.smpp.simulator.smsc import FakeSmsc

__all__ = ["FakeSmsc"]
