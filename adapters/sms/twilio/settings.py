"""Settings of the Twilio channel."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from gateway.ports import (
    ChannelSettings,
    Secret,
)

if TYPE_CHECKING:
    pass

API = "https://api.twilio.com"


class TwilioSettings(ChannelSettings):
    """What `[channels.<name>]` with `adapter = "sms.twilio"` may say."""

    account_sid: str = Field(pattern=r"^AC[0-9a-fA-F]{32}$", description="Account SID from the Twilio console.")
    auth_token: Secret = Field(description="Auth token of the account: signs webhooks, opens the API.")
    previous_auth_token: Secret | None = Field(
        default=None, description="The token before a rotation; webhooks signed with it are still accepted."
    )
    webhook_keys: dict[str, Secret] = Field(
        default_factory=dict, description="Shared keys of SHA-256 signatures, by the key name that Twilio sends."
    )
    sender: str = Field(
        pattern=r"^(\+[1-9][0-9]{6,14}|[0-9]{3,8})$", description="Our number: +62... or a short code like 1708."
    )
    api_base: str = Field(default=API, description="Where Twilio's API is; another value is for the simulator.")
    timeout: float = Field(default=10, gt=0, le=60, description="Seconds to wait for Twilio's API.")
    poll_every: float = Field(default=300, ge=5, description="Seconds between looks for webhooks that never came.")
    poll_overlap: float = Field(default=3600, ge=0, le=604800, description="Seconds that each look goes back again.")
    receipts: bool = Field(default=True, description="Ask Twilio to report whether a reply was delivered.")

    @field_validator("api_base")
    @classmethod
    def _keep_token_private(cls, value: str) -> str:
        url = urlsplit(value)
        local = url.scheme == "http" and url.hostname in ("127.0.0.1", "::1", "localhost")
        if url.scheme != "https" and not local:
            raise ValueError("must begin with https:// (http:// only on this machine): the auth token goes there")
        if not url.hostname or url.path.strip("/") or url.query or url.fragment:
            raise ValueError("must be scheme and host only, like https://api.twilio.com")
        return value.rstrip("/")
