"""A simulated telephone with the app SMSGate."""

from gateway.testing.simulators.android.events import Incoming, received_payload
from gateway.testing.simulators.android.phone import FakePhone
from gateway.testing.simulators.android.webhooks import sign

__all__ = ["FakePhone", "Incoming", "received_payload", "sign"]
