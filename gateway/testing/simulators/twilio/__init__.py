"""A simulated Twilio."""

from gateway.testing.simulators.twilio.account import FakeTwilio
from gateway.testing.simulators.twilio.messages import Message
from gateway.testing.simulators.twilio.webhooks import sign, signed_request

__all__ = ["FakeTwilio", "Message", "sign", "signed_request"]
