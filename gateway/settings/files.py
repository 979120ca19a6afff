"""The files of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from gateway.domain.texts import text
from gateway.ports import ChannelContext, ChannelSettings
from gateway.settings.rules import RegionRules, RoutingRules
from gateway.settings.sections import (
    Api,
    Central,
    Conversation,
    DatabaseSection,
    Encryption,
    Logging,
    Replies,
    Retention,
    Server,
    Work,
    reveal,
)
from gateway.settings.templates import Templates
from gateway.settings.types import (
    ChannelName,
)


class GatewayFile(RoutingRules):
    """`gateway.toml`."""

    server: Server = Field(description=text("The gateway's address and its limits for requests."))
    database: DatabaseSection = Field(DatabaseSection(), description=text("The gateway's own tables."))
    central: Central = Field(Central(), description=text("The central LAPOR store."))
    encryption: Encryption = Field(description=text("The keys of everything that is stored."))
    work: Work = Field(Work(), description=text("The stages after a message was accepted."))
    retention: Retention = Field(Retention(), description=text("How long messages and replies are kept."))
    conversation: Conversation = Field(
        Conversation(), description=text("Which messages of one sender belong to one report.")
    )
    replies: Replies = Field(Replies(), description=text("Limits that keep us from exchanging messages with machines."))
    templates: Templates = Field(
        Templates(),
        description=text(
            "The replies to citizens, in Bahasa Indonesia. A text of at most 160 GSM-7 characters fits into one SMS."
        ),
    )
    logging: Logging = Field(Logging(), description=text("The log lines on standard error."))
    api: Api = Field(Api(), description=text("The read-only API for operators."))
    adapters: dict[str, dict[str, Any]] = Field(
        default={}, description=text("Settings shared by all channels of an adapter.")
    )


class RegionFile(RegionRules):
    """`regions/<code>-<name>.toml`."""

    channels: dict[ChannelName, dict[str, Any]] = Field(default={}, description=text("The region's channels, by name."))


class ChannelFile(BaseModel):
    """What every `[channels.<name>]` may say, whatever its adapter; the rest is the adapter's own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    adapter: str = Field(description=text('The adapter that serves the channel, such as "sms.twilio".'))
    replies: bool = Field(True, strict=True, description=text("Whether citizens are answered on this channel."))


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelConfig:
    """One configured channel, its adapter's settings checked."""

    region: str
    name: str
    adapter_key: str
    replies: bool
    settings: ChannelSettings
    context: ChannelContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """One region file, and the channels made from it."""

    file: RegionFile
    channels: tuple[ChannelConfig, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything configured."""

    root: Path  # what relative paths are relative to
    gateway: GatewayFile
    regions: tuple[Region, ...]

    @property
    def channels(self) -> list[ChannelConfig]:
        """All channels of all regions."""
        return [channel for region in self.regions for channel in region.channels]

    def database_url(self) -> str:
        """Return the URL of the gateway's own database."""
        return _absolute(reveal(self.gateway.database.url), self.root)

    def central_url(self) -> str:
        """Return the URL of the central store's database."""
        given = self.gateway.central.url
        return self.database_url() if given is None else _absolute(reveal(given), self.root)


def _absolute(url: str, root: Path) -> str:
    """Make the path of an SQLite URL independent of where the program was started."""
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        return f"{prefix}{root / url.removeprefix(prefix)}"
    return url
