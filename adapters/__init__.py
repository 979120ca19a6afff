"""The channel adapters that come with the gateway, one folder per channel and one module per provider.

The keys are what a region file's `adapter = "..."` may say. A target is imported on first use only.
"""

from __future__ import annotations

from gateway.ports.registry import Spec

BUILTIN: dict[str, Spec] = {
    "sms.android": Spec("adapters.sms.android.adapter:AndroidSms", "", "adapters.sms.android.simulator:FakePhone"),
    "sms.http": Spec("adapters.sms.http.adapter:HttpSms", "", "adapters.sms.http.simulator:FakeAggregator"),
    "sms.smpp": Spec("adapters.sms.smpp.adapter:SmppSms", "sms-smpp", "adapters.sms.smpp.simulator:FakeSmsc"),
    "sms.twilio": Spec(
        "adapters.sms.twilio.adapter:TwilioSms", "sms-twilio", "adapters.sms.twilio.simulator:FakeTwilio"
    ),
}
