"""Settings of the phone channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from adapters.sms.android import payloads
from gateway.ports import (
    ChannelSettings,
    Secret,
)

if TYPE_CHECKING:
    pass

CLOUD = "https://api.sms-gate.app/3rdparty/v1"


class AndroidSettings(ChannelSettings):
    """What `[channels.<name>]` with `adapter = "sms.android"` may say."""

    user: str = Field(min_length=1, description="User name that the app shows for this API.")
    password: Secret = Field(description="Password that the app shows for this API.")
    signing_key: Secret = Field(description="Signing key of the app's webhooks (Settings, Webhooks).")
    previous_signing_key: Secret | None = Field(
        default=None, description="The key before a change; webhooks signed with it are still accepted."
    )
    sender: str = Field(
        pattern=r"^(\+[1-9][0-9]{6,14}|[0-9]{3,8})$", description="Number of the phone's SIM card, as +62..."
    )
    api_base: str = Field(
        default=CLOUD, description="Where the API is: the cloud, a private server, or the phone's own address."
    )
    local: bool = Field(
        default=False, description="api_base is the phone itself, in the same network; allows http:// to it."
    )
    device_id: str | None = Field(
        default=None, pattern=r"^[\w-]{1,64}$", description="The phone to use, where the account has several."
    )
    sim_number: int | None = Field(default=None, ge=1, le=3, description="SIM card that replies are sent with.")
    receipts: bool = Field(default=True, description="Ask the operator to report whether a reply was delivered.")
    ttl: int = Field(
        default=43_200, ge=60, le=604_800, description="Seconds after which an unsent reply is given up by the phone."
    )
    timeout: float = Field(default=10, gt=0, le=60, description="Seconds to wait for the API.")
    poll_every: float = Field(default=300, ge=5, description="Seconds between looks at the phone.")
    look_back: float = Field(
        default=86_400,
        ge=0,
        le=604_800,
        description="Seconds of received SMS that a look goes through again; 0 is off.",
    )
    export_missed: bool = Field(
        default=False, description="Not local: let the phone send its webhooks of look_back again every 6 hours."
    )
    offline_after: float = Field(
        default=3600, ge=60, description="Not local: seconds unseen by its server until the phone counts as off."
    )

    @model_validator(mode="after")
    def _fit(self) -> Self:
        payloads.check_base(self.api_base, self.local)
        if self.local and self.api_base == CLOUD:
            raise ValueError("local = true needs api_base, the phone's own address")
        if self.export_missed and (self.local or not self.device_id):
            raise ValueError("export_missed needs device_id, and is not for local = true, where the phone is read")
        return self
