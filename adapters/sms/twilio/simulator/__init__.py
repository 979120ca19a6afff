"""Simulate Twilio."""

from adapters.sms.twilio.simulator.account import FakeTwilio
from adapters.sms.twilio.simulator.messages import Message
from adapters.sms.twilio.simulator.webhooks import sign, signed_request

__all__ = ["FakeTwilio", "Message", "sign", "signed_request"]
