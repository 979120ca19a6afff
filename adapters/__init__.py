"""List the channel adapters: one folder per provider, inside the folder of its channel.

A key is the value of `adapter = "..."` in a region file. An adapter is imported if a configured channel uses it.
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
