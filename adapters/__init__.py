"""The channel adapters that come with the gateway, one folder per channel and one module per provider.

The keys are what a region file's `adapter = "..."` may say. A target is imported on first use only.
"""

from __future__ import annotations

from gateway.registry import Spec

BUILTIN: dict[str, Spec] = {
    "sms.android": Spec("adapters.sms.android:AndroidSms", "", "gateway.testing.simulators.android:FakePhone"),
    "sms.http": Spec("adapters.sms.http:HttpSms", "", "gateway.testing.simulators.http_aggregator:FakeAggregator"),
    "sms.smpp": Spec("adapters.sms.smpp:SmppSms", "sms-smpp", "gateway.testing.simulators.smsc:FakeSmsc"),
    "sms.twilio": Spec("adapters.sms.twilio:TwilioSms", "sms-twilio", "gateway.testing.simulators.twilio:FakeTwilio"),
}
