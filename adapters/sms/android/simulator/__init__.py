"""Simulate a telephone with the app SMSGate."""

from adapters.sms.android.simulator.events import Incoming, received_payload
from adapters.sms.android.simulator.phone import FakePhone
from adapters.sms.android.simulator.webhooks import sign

__all__ = ["FakePhone", "Incoming", "received_payload", "sign"]
