"""A simulated SMSC of an operator."""

from gateway.testing.simulators.smsc.smsc import FakeSmsc

__all__ = ["FakeSmsc"]
