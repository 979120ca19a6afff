"""The files of a configuration: their models, the settings made from them, and the function that reads TOML."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from gateway.domain.texts import text
from gateway.ports import ChannelContext, ChannelSettings
from gateway.settings.faults import Fault, Faults, toml_problem
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
    adapters: dict[str, dict[str, object]] = Field(
        default={}, description=text("Settings shared by all channels of an adapter.")
    )


class RegionFile(RegionRules):
    """`regions/<code>-<name>.toml`."""

    channels: dict[ChannelName, dict[str, object]] = Field(
        default={}, description=text("The region's channels, by name.")
    )


class ChannelFile(BaseModel):
    """The settings of every `[channels.<name>]`; all others are those of its adapter."""

    model_config = ConfigDict(extra="allow", frozen=True)

    adapter: str = Field(description=text('The adapter that serves the channel, such as "sms.twilio".'))
    replies: bool = Field(True, strict=True, description=text("Whether citizens are answered on this channel."))


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelConfig:
    """One configured channel, with the checked settings of its adapter."""

    region: str
    name: str
    adapter_key: str
    replies: bool
    settings: ChannelSettings
    context: ChannelContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """One region file and its channels."""

    file: RegionFile
    channels: tuple[ChannelConfig, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The whole checked configuration."""

    root: Path  # relative paths in the configuration are relative to it
    gateway: GatewayFile
    regions: tuple[Region, ...]

    @property
    def channels(self) -> list[ChannelConfig]:
        """Return all channels of all regions."""
        return [channel for region in self.regions for channel in region.channels]

    def database_url(self) -> str:
        """Return the URL of the gateway's own database."""
        return _absolute(reveal(self.gateway.database.url), self.root)

    def central_url(self) -> str:
        """Return the URL of the central store's database."""
        url = self.gateway.central.url
        return self.database_url() if url is None else _absolute(reveal(url), self.root)


def region_files(directory: Path) -> list[Path]:
    """Return the region files of a configuration directory, sorted by name."""
    return sorted((directory / "regions").glob("*.toml"))


def read_toml(path: Path, name: str) -> dict[str, object]:
    """Return the tables of a TOML file (UTF-8). Raises `Faults` with the reason if it cannot be read.

    `name` is the file's name in the fault.
    """
    content = ""
    try:
        content = path.read_text("utf-8-sig")  # some editors begin a file with a byte order mark
        return tomllib.loads(content)
    except FileNotFoundError as exc:
        problem = text("{path} does not exist; use --config DIRECTORY", path=path.resolve())
        raise Faults([Fault(name, "", "", problem)]) from exc
    except OSError as exc:
        raise Faults([Fault(name, "", "", text("cannot be read: {cause}", cause=exc.strerror))]) from exc
    except UnicodeDecodeError as exc:
        raise Faults([Fault(name, "", "", text("is not UTF-8 text"))]) from exc
    except tomllib.TOMLDecodeError as exc:
        raise Faults([Fault(name, "", "", toml_problem(exc, content))]) from exc


def _absolute(url: str, root: Path) -> str:
    """Return the URL, with an absolute path if it is SQLite's: it then does not depend on the working directory."""
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        return f"{prefix}{root / url.removeprefix(prefix)}"
    return url
