"""Define the settings of a channel with `adapter = "sms.twilio"`."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, field_validator

from adapters.common.addresses import PlainHttp, check_private
from gateway.domain.texts import text
from gateway.ports import ChannelSettings, Secret

API = "https://api.twilio.com"


class TwilioSettings(ChannelSettings):
    """The keys of `[channels.<name>]` in a region file."""

    account_sid: str = Field(pattern=r"^AC[0-9a-fA-F]{32}$", description=text("Account SID from the Twilio console."))
    auth_token: Secret = Field(
        description=text("Auth token of the account, for the API and for the signatures of webhooks.")
    )
    previous_auth_token: Secret | None = Field(
        default=None, description=text("The token before a change; webhooks signed with it are still accepted.")
    )
    webhook_keys: dict[str, Secret] = Field(
        default_factory=dict, description=text("Shared keys of SHA-256 signatures, by the key name that Twilio sends.")
    )
    sender: str = Field(
        pattern=r"^(\+[1-9][0-9]{6,14}|[0-9]{3,8})$",
        description=text("Our number: +62... or a short code such as 1708."),
    )
    api_base: str = Field(default=API, description=text("Address of Twilio's API; another value is for the simulator."))
    timeout: float = Field(default=10, gt=0, le=60, description=text("Seconds to wait for Twilio's API."))
    poll_every: float = Field(
        default=300, ge=5, description=text("Seconds between two polls for webhooks that never came.")
    )
    poll_overlap: float = Field(
        default=3600, ge=0, le=604800, description=text("Seconds before the last poll that each poll reads again.")
    )
    receipts: bool = Field(default=True, description=text("Ask Twilio to report whether a reply was delivered."))

    @field_validator("api_base")
    @classmethod
    def _keep_token_private(cls, value: str) -> str:
        error_text = text("must begin with https:// (http:// only on this machine): the auth token goes there")
        check_private(value, PlainHttp.THIS_MACHINE, error_text)
        url = urlsplit(value)
        if not url.hostname or url.path.strip("/") or url.query or url.fragment:
            raise ValueError(text("must be scheme and host only, like https://api.twilio.com"))
        return value.rstrip("/")
