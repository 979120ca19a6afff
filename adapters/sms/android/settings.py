"""Define the settings of a channel with `adapter = "sms.android"`."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from adapters.common.addresses import PlainHttp, check_private
from gateway.domain.texts import text
from gateway.ports import ChannelSettings, Secret

CLOUD = "https://api.sms-gate.app/3rdparty/v1"


class AndroidSettings(ChannelSettings):
    """The keys of `[channels.<name>]` in a region file."""

    user: str = Field(min_length=1, description=text("User name of the API, as the app shows it."))
    password: Secret = Field(description=text("Password of the API, as the app shows it."))
    signing_key: Secret = Field(description=text("Signing key of the app's webhooks (Settings, Webhooks)."))
    previous_signing_key: Secret | None = Field(
        default=None, description=text("The key before a change; webhooks signed with it are still accepted.")
    )
    sender: str = Field(
        pattern=r"^(\+[1-9][0-9]{6,14}|[0-9]{3,8})$", description=text("Number of the phone's SIM card, such as +62...")
    )
    api_base: str = Field(
        default=CLOUD, description=text("Address of the API: the cloud, a private server, or the phone itself.")
    )
    local: bool = Field(
        default=False,
        description=text("Whether api_base is the phone itself, in the same network; http:// to it is then allowed."),
    )
    device_id: str | None = Field(
        default=None, pattern=r"^[\w-]{1,64}$", description=text("The phone to use, if the account has several.")
    )
    sim_number: int | None = Field(default=None, ge=1, le=3, description=text("SIM card for sending replies."))
    receipts: bool = Field(default=True, description=text("Ask the operator to report whether a reply was delivered."))
    ttl: int = Field(
        default=43_200, ge=60, le=604_800, description=text("Seconds after which the phone gives up an unsent reply.")
    )
    timeout: float = Field(default=10, gt=0, le=60, description=text("Seconds to wait for the API."))
    poll_every: float = Field(default=300, ge=5, description=text("Seconds between two polls of the phone."))
    look_back: float = Field(
        default=86_400,
        ge=0,
        le=604_800,
        description=text("Each poll reads again the SMS received in so many seconds; 0 turns this off."),
    )
    export_missed: bool = Field(
        default=False,
        description=text(
            "Only without local: every 6 hours the phone sends the webhooks of the last look_back seconds again."
        ),
    )
    offline_after: float = Field(
        default=3600,
        ge=60,
        description=text("Only without local: seconds after which a phone that its server has not seen counts as off."),
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_address()
        if self.local and self.api_base == CLOUD:
            raise ValueError(text("local = true needs api_base, the phone's own address"))
        if self.export_missed and (self.local or not self.device_id):
            raise ValueError(
                text("export_missed needs device_id, and is not for local = true, which reads the phone's list")
            )
        return self

    def _check_address(self) -> None:
        url = urlsplit(self.api_base)
        if url.scheme not in ("https", "http") or not url.hostname or url.query or url.fragment or url.username:
            raise ValueError(text("api_base must be an address like https://sms.example/api/3rdparty/v1"))
        # The app's own server has no https, so plain http to it can be allowed in a private network.
        plain_http = PlainHttp.PRIVATE if self.local else PlainHttp.LOOPBACK
        check_private(
            self.api_base,
            plain_http,
            text(
                "api_base must begin with https://, because the password goes there; http:// is for the phone itself, "
                "by its IP address in your own network, with local = true"
            ),
        )
