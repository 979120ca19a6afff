"""What `config/` may say: `gateway.toml`, and one file a region.

These classes are the reference: their descriptions are the documentation, and the JSON Schemas for editors are made
from them. `gateway.settings.reader` fills them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, field_validator

from gateway.domain.complaint import Classification, Status
from gateway.ports import ChannelContext, ChannelSettings
from gateway.ports.secret import Secret
from gateway.storage.crypto import parse_key

NATIONAL = "00"
COMMANDS = frozenset({"STATUS", "BANTUAN", "HELP", "ANONIM", "RAHASIA", "BATAL", "BARU", "SETUJU", "STOP"})
_CODE = r"^\d{2}(\.\d{2}(\.\d{2}(\.\d{4})?)?)?$"
_CHANNEL = r"^[a-z][a-z0-9-]{0,31}$"
_KEYWORD = r"^[A-Z0-9]{2,20}$"
_PUBLIC_URL = r"^https?://[^/\s]+(/[^\s?#]*)?$"
PATTERNS = {  # the same in words, for whoever wrote something else
    _CODE: 'must be a Kemendagri code: two digits, then parts after a dot, as "18", "18.10" or "18.10.01"',
    _CHANNEL: "a channel's name is small letters, digits and hyphens, and starts with a letter",
    _KEYWORD: "a keyword is 2 to 20 capital letters and digits, without spaces",
    _PUBLIC_URL: 'must start with https:// or http://, then a host, as "https://lapor.example.go.id"; no ? and no #',
}
RegionCode = Annotated[str, Field(pattern=_CODE)]
ChannelName = Annotated[str, Field(pattern=_CHANNEL)]
Keyword = Annotated[str, Field(pattern=_KEYWORD)]
Whole = Annotated[int, Strict()]  # "8080" in quotes is a mistake, and is told as one
Number = Annotated[float, Strict()]
IPAddress = Annotated[str, AfterValidator(lambda text: str(ip_address(text)))]
Seconds = Annotated[float, Strict(), Field(gt=0, le=86_400)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Server(_Section):
    """`[server]`: where the gateway listens, and what it refuses."""

    public_url: str = Field(
        pattern=_PUBLIC_URL,
        description="How the providers reach this gateway; signatures are checked against it, whatever a proxy says.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Whole = Field(8080, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    max_body_bytes: Whole = Field(1_048_576, ge=1024, le=64_000_000, description="Largest body of a webhook, in bytes.")
    max_header_bytes: Whole = Field(32_768, ge=1024, le=1_000_000, description="Largest request head, in bytes.")
    header_timeout: Seconds = Field(10, description="Seconds until a request's head must be complete.")
    body_timeout: Seconds = Field(10, description="Seconds until a webhook's body must be complete.")
    keep_alive: Seconds = Field(75, description="Seconds an idle connection is kept open.")
    commit_timeout: Seconds = Field(10, description="Seconds a webhook waits for its commit before it is answered 503.")
    queue: Whole = Field(
        4096, ge=1, description="Webhooks that may wait for their commit at once; more are answered 503."
    )
    channel_share: Number = Field(
        0.5, gt=0, le=1, description="Share of the queue that one channel may fill; more is answered 429."
    )
    group: Whole = Field(256, ge=1, le=10_000, description="Most messages written by one commit.")
    shutdown_timeout: Seconds = Field(20, description="Seconds that requests in flight have to end after SIGTERM.")
    trusted_proxies: tuple[IPAddress, ...] = Field(
        (),
        description="Addresses whose X-Forwarded-For is believed: our own nginx. For channels that know a sender's IP.",
    )


def _usable_url(given: str | Secret | None) -> str | Secret | None:
    """Refuse what the gateway's databases cannot be; the URL may hold a password, so it is never quoted."""
    if given is None:
        return None
    url = _reveal(given)
    if not re.match(r"sqlite:///.|postgresql\+psycopg://.", url):
        raise ValueError("must be sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST:5432/DATABASE")
    try:
        _ = urlsplit(url).port
    except ValueError as exc:
        raise ValueError("has no port that is a number; in a password write @ : / as %40 %3A %2F") from exc
    return given


class DatabaseSection(_Section):
    """`[database]`: the gateway's own tables."""

    url: str | Secret = Field(
        "sqlite:///var/gateway.db",
        description='SQLAlchemy URL: "sqlite:///path" or "postgresql+psycopg://…"; or a reference to a secret.',
    )
    pool: Whole = Field(
        10, ge=2, le=200, description="Connections kept open by one process; in a rush it opens up to 10 more."
    )

    _usable = field_validator("url")(_usable_url)


class Central(_Section):
    """`[central]`: the central LAPOR store."""

    driver: Literal["sql"] = Field("sql", description="How the store is reached.")
    url: str | Secret | None = Field(None, description="Its database; left out, it shares the gateway's own.")

    _usable = field_validator("url")(_usable_url)


class Encryption(_Section):
    """`[encryption]`: the keys of what is stored."""

    keys: list[Secret] = Field(min_length=1, description="The first encrypts, all decrypt: rotate by adding in front.")
    lookup_key: Secret = Field(description="Key of the hashes by which senders are found. It does not rotate.")

    @field_validator("keys", "lookup_key")
    @classmethod
    def _are_keys(cls, given: list[Secret] | Secret) -> list[Secret] | Secret:
        for secret in given if isinstance(given, list) else [given]:
            parse_key(secret.reveal())
        return given


class Work(_Section):
    """`[work]`: the stages after the accept."""

    batch: Whole = Field(500, ge=1, le=5_000, description="Most messages translated, or delivered, in one transaction.")
    lease: Seconds = Field(30, description="Seconds after which a batch of a worker that died is taken over.")
    idle: Seconds = Field(0.25, description="Seconds between two looks into an empty queue.")
    attempts: Whole = Field(
        8, ge=1, le=100, description="Attempts at a message that fails unexpectedly, before it is dead."
    )
    retry_base: Seconds = Field(2, description="Seconds before the second attempt; doubles with each.")
    retry_cap: Seconds = Field(600, description="Most seconds between two attempts.")
    reply_threads: Whole = Field(4, ge=1, le=64, description="Replies sent at the same time by one process.")
    reply_lease: Seconds = Field(120, description="Seconds after which replies of a worker that died are taken over.")
    line_lease: Number = Field(
        30,
        ge=1,
        le=3600,
        description="Seconds after which a connection (SMPP) held by a process that died is taken over.",
    )
    reply_hours: Number = Field(24, gt=0, le=720, description="Hours after which an unsent reply is given up.")


class Retention(_Section):
    """`[retention]`: how long what is kept."""

    raw_days: Number = Field(
        30,
        gt=0,
        description="Days until a finished message, its replies, and our copy of a delivered complaint are deleted.",
    )


class Conversation(_Section):
    """`[conversation]`: which messages of one sender belong together."""

    window: Number = Field(
        600,
        ge=0,
        le=86_400,
        description="Seconds within which a further message joins the sender's last report, unless it reads like a new "
        "one; 0: every message is a report of its own.",
    )
    parts_wait: Seconds = Field(
        600, description="Seconds to wait for the missing parts of a long message before it is sent on without them."
    )


class Replies(_Section):
    """`[replies]`: what keeps us from talking to machines."""

    per_hour: Whole = Field(10, ge=0, le=1000, description="Most replies to one address in any 60 minutes; 0: none.")


_PLACEHOLDERS: dict[str, frozenset[str]] = {
    "ticket": frozenset({"ticket", "agency", "region"}),
    "status": frozenset({"ticket", "status", "agency", "date"}),
    "status_unknown": frozenset({"ticket"}),
    "status_format": frozenset(),
    "added": frozenset({"ticket"}),
    "withdrawn": frozenset({"ticket"}),
    "stopped": frozenset(),
    "agreed": frozenset(),
    "help": frozenset(),
}

REPLIES = tuple(_PLACEHOLDERS)  # what citizens are answered, by template

_STATUS_WORDS: dict[Status, str] = {
    Status.RECEIVED: "diterima, menunggu verifikasi",
    Status.VERIFIED: "terverifikasi",
    Status.FORWARDED: "diteruskan ke instansi",
    Status.IN_PROGRESS: "dalam proses",
    Status.RESOLVED: "selesai ditangani",
    Status.CLOSED: "ditutup",
    Status.NEEDS_INFORMATION: "menunggu keterangan Anda",
    Status.REJECTED: "tidak dapat diproses",
    Status.ARCHIVED: "diarsipkan",
}


class Templates(_Section):
    """`[templates]`: what citizens are answered, in Bahasa Indonesia; GSM-7 keeps a text of 160 in one SMS."""

    ticket: str = Field(
        "Laporan Anda kami terima. No. tiket: {ticket}. Cek perkembangan: balas STATUS {ticket}. SP4N-LAPOR!",
        description="After delivery. May use {ticket}, {agency}, {region}; must use {ticket}.",
    )
    status: str = Field(
        "Tiket {ticket}: {status} ({date}). Instansi: {agency}. SP4N-LAPOR!",
        description="To STATUS from the owner. May use {ticket}, {status}, {agency}, {date}; must use the first two.",
    )
    status_unknown: str = Field(
        "Tiket {ticket} tidak ditemukan untuk nomor ini. Periksa lagi nomornya, dan kirim dari nomor yang melapor.",
        description="To STATUS of a ticket that is not this sender's, whether or not it exists. May use {ticket}.",
    )
    status_format: str = Field(
        "Nomor tiket tidak dikenali, mungkin salah ketik. Contoh: STATUS 12345671",
        description="To STATUS or BATAL with a number whose check digit is wrong.",
    )
    added: str = Field(
        "Tambahan Anda kami catat pada laporan {ticket}. Laporan lain? Awali dengan BARU. SP4N-LAPOR!",
        description="After a message joined the sender's open report. May use {ticket}.",
    )
    withdrawn: str = Field(
        "Laporan {ticket} kami batalkan atas permintaan Anda. SP4N-LAPOR!",
        description="After BATAL from the owner. May use {ticket}.",
    )
    stopped: str = Field(
        "Baik, kami tidak akan mengirim pesan lagi kecuali Anda bertanya. Balas SETUJU untuk menerima lagi. SP4N-LAPOR!",
        description="To STOP: from then on only what somebody asks is answered.",
    )
    agreed: str = Field(
        "Terima kasih. Persetujuan Anda kami catat; kabar laporan dikirim ke nomor ini. Balas STOP untuk berhenti.",
        description="To SETUJU, which undoes STOP.",
    )
    help: str = Field(
        "Tulis laporan Anda: apa, di mana, kapan. Tanpa nama: ANONIM <isi>. Rahasia: RAHASIA <isi>. "
        "Cek: STATUS <tiket>. Batal: BATAL <tiket>.",
        description="To BANTUAN.",
    )
    status_words: dict[Status, str] = Field(
        default={},
        validate_default=True,
        description="The words for {status}; what is left out keeps its default.",
    )

    @field_validator("status_words", mode="after")
    @classmethod
    def _fill_up(cls, given: dict[Status, str]) -> dict[Status, str]:
        """Let a file change one word without losing the others."""
        return _STATUS_WORDS | given

    @field_validator(*_PLACEHOLDERS)
    @classmethod
    def _placeholders(cls, text: str, info: Any) -> str:
        allowed = _PLACEHOLDERS[info.field_name]
        try:
            used = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
        except ValueError as exc:
            raise ValueError("braces must be in pairs, as in {ticket}") from exc
        if unknown := used - allowed:
            listed = ", ".join("{" + name + "}" for name in sorted(allowed)) or "no placeholder"
            raise ValueError(f"unknown placeholder {{{min(unknown)}}}; this text may use {listed}")
        required = {"ticket": {"ticket"}, "status": {"ticket", "status"}}.get(info.field_name, set())
        if missing := required - used:
            raise ValueError(f"the text must contain {{{min(missing)}}}")
        try:
            text.format(**dict.fromkeys(allowed, "x"))
        except (ValueError, LookupError) as exc:
            raise ValueError("the text cannot be filled in: use plain placeholders, as in {ticket}") from exc
        return text


class CategoryRule(_Section):
    """`[[categories]]`: the first rule of which a word occurs gives the category."""

    code: str = Field(min_length=1, description="The category's code at the centre.")
    words: list[str] = Field(min_length=1, description="Words or phrases, whole words, case does not matter.")


class ClassificationRule(_Section):
    """`[[classifications]]`: the first rule of which a word occurs gives the class; else it is a complaint."""

    classification: Classification = Field(description="pengaduan, aspirasi, permintaan_informasi or belum_diketahui.")
    words: list[str] = Field(min_length=1, description="Words or phrases, whole words, case does not matter.")


class Route(_Section):
    """`[[routes]]`: the first rule that matches gives the responsible agency."""

    agency: str = Field(min_length=1, max_length=120, description="The responsible office (instansi tujuan).")
    region: RegionCode | None = Field(None, description="Only complaints about this region or a part of it.")
    category: str | None = Field(None, description="Only complaints of this category.")
    words: list[str] = Field(default=[], description="Only complaints in which one of these occurs.")


class Logging(_Section):
    """`[logging]`: what is written to standard error."""

    format: Literal["auto", "json", "pretty"] = Field(
        "auto", description="auto: pretty on a terminal, else JSON lines."
    )
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least level written.")


class Api(_Section):
    """`[api]`: the read-only API for operators."""

    token: Secret | None = Field(None, description="Bearer token; left out, the API is off.")


class GatewayFile(_Section):
    """`gateway.toml`."""

    server: Server
    database: DatabaseSection = DatabaseSection()
    central: Central = Central()
    encryption: Encryption
    work: Work = Work()
    retention: Retention = Retention()
    conversation: Conversation = Conversation()
    replies: Replies = Replies()
    templates: Templates = Templates()
    logging: Logging = Logging()
    api: Api = Api()
    national_desk: str = Field(
        "Meja Nasional SP4N-LAPOR!",
        max_length=120,
        description="Who gets what no rule claims. Nothing falls on the floor.",
    )
    categories: list[CategoryRule] = Field(default=[], description="Tried in their order.")
    classifications: list[ClassificationRule] = Field(default=[], description="Tried in their order.")
    routes: list[Route] = Field(default=[], description="Tried after the region's own.")
    adapters: dict[str, dict[str, Any]] = Field(
        default={}, description="Settings shared by all channels of an adapter."
    )


class RegionFile(_Section):
    """`regions/<code>-<name>.toml`."""

    code: RegionCode = Field(description='Kemendagri code, as "18.10"; "00" is the nation.')
    name: str = Field(min_length=1, max_length=80, description="The region's name.")
    agency: str | None = Field(None, max_length=120, description="Who gets what the region's routes do not claim.")
    keywords: list[Keyword] = Field(
        default=[], description="Words that, at the start of a message to a national channel, mean this region."
    )
    routes: list[Route] = Field(default=[], description="Tried in their order, before the gateway's.")
    channels: dict[ChannelName, dict[str, Any]] = Field(default={}, description="The region's channels, by name.")


class ChannelFile(BaseModel):
    """What every `[channels.<name>]` may say, whatever its adapter; the rest is the adapter's own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    adapter: str = Field(description='Which code serves it, as "sms.twilio".')
    replies: bool = Field(True, strict=True, description="Whether citizens are answered on it.")


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
        return _absolute(_reveal(self.gateway.database.url), self.root)

    def central_url(self) -> str:
        """Return the URL of the central store's database."""
        given = self.gateway.central.url
        return self.database_url() if given is None else _absolute(_reveal(given), self.root)


def _reveal(given: str | Secret) -> str:
    return given.reveal() if isinstance(given, Secret) else given


def _absolute(url: str, root: Path) -> str:
    """Make the path of an SQLite URL independent of where the program was started."""
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        return f"{prefix}{root / url.removeprefix(prefix)}"
    return url
