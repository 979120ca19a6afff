"""The tables of `gateway.toml`.

The descriptions of the settings are their documentation: docs/configuration.md and the JSON Schemas for editors are made
from them, and the catalogue has their Indonesian. `gateway.settings.reader` reads the files.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from gateway.domain.texts import text
from gateway.ports.secret import Secret
from gateway.settings.types import (
    PUBLIC_URL_PATTERN,
    IPAddress,
    Number,
    Seconds,
    Section,
    Whole,
)
from gateway.storage.crypto import parse_key


class Server(Section):
    """`[server]`: the gateway's address and its limits for requests."""

    public_url: str = Field(
        pattern=PUBLIC_URL_PATTERN,
        description=text(
            "Address at which providers reach this gateway. Signatures are checked against it, also behind a proxy."
        ),
    )
    host: str = Field("127.0.0.1", description=text("Address to listen on."))
    port: Whole = Field(8080, ge=0, le=65_535, description=text("Port to listen on; 0 takes a free one."))
    max_body_bytes: Whole = Field(
        1_048_576, ge=1024, le=64_000_000, description=text("Largest body of a webhook, in bytes.")
    )
    max_header_bytes: Whole = Field(32_768, ge=1024, le=1_000_000, description=text("Largest request head, in bytes."))
    header_timeout: Seconds = Field(10, description=text("Seconds until a request's head must be complete."))
    body_timeout: Seconds = Field(10, description=text("Seconds until a webhook's body must be complete."))
    keep_alive: Seconds = Field(75, description=text("Seconds an idle connection is kept open."))
    commit_timeout: Seconds = Field(
        10, description=text("Seconds a webhook waits for its commit before it is answered 503.")
    )
    queue: Whole = Field(
        4096, ge=1, description=text("Webhooks that may wait for their commit at once; more are answered 503.")
    )
    channel_share: Number = Field(
        0.5, gt=0, le=1, description=text("Share of the queue that one channel may fill; more is answered 429.")
    )
    group: Whole = Field(256, ge=1, le=10_000, description=text("Most messages written by one commit."))
    shutdown_timeout: Seconds = Field(
        20, description=text("Seconds that requests in flight have to end after SIGTERM.")
    )
    trusted_proxies: tuple[IPAddress, ...] = Field(
        (),
        description=text(
            "Addresses whose X-Forwarded-For is trusted: our own nginx. For channels that check the sender's IP address."
        ),
    )


def _usable_url(value: str | Secret | None) -> str | Secret | None:
    """Return a database's URL unchanged; raises `ValueError`, without the URL in its text: it may hold a password."""
    if value is None:
        return None
    url = reveal(value)
    if not re.match(r"sqlite:///.|postgresql\+psycopg://.", url):
        raise ValueError(text("must be sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST:5432/DATABASE"))
    try:
        _ = urlsplit(url).port
    except ValueError as exc:
        raise ValueError(text("has no port that is a number; in a password write @ : / as %40 %3A %2F")) from exc
    return value


class DatabaseSection(Section):
    """`[database]`: the gateway's own tables."""

    url: str | Secret = Field(
        "sqlite:///var/gateway.db",
        description=text('SQLAlchemy URL: "sqlite:///path" or "postgresql+psycopg://…"; or a reference to a secret.'),
    )
    pool: Whole = Field(
        10, ge=2, le=200, description=text("Connections kept open by one process; in a rush it opens up to 10 more.")
    )

    _usable = field_validator("url")(_usable_url)


class Central(Section):
    """`[central]`: the central LAPOR store."""

    driver: Literal["sql"] = Field("sql", description=text("How the store is reached."))
    url: str | Secret | None = Field(
        None, description=text("Database of the store; without it, the gateway's own database.")
    )

    _usable = field_validator("url")(_usable_url)


class Encryption(Section):
    """`[encryption]`: the keys of stored values."""

    keys: list[Secret] = Field(
        min_length=1, description=text("The first key encrypts, all keys decrypt: add a new key in front.")
    )
    lookup_key: Secret = Field(description=text("Key of the hashes by which senders are found. It cannot be rotated."))

    @field_validator("keys", "lookup_key")
    @classmethod
    def _are_keys(cls, value: list[Secret] | Secret) -> list[Secret] | Secret:
        for secret in value if isinstance(value, list) else [value]:
            parse_key(secret.reveal())
        return value


class Work(Section):
    """`[work]`: the stages after a message was accepted."""

    batch: Whole = Field(
        500, ge=1, le=5_000, description=text("Most messages translated, or delivered, in one transaction.")
    )
    lease: Seconds = Field(30, description=text("Seconds after which a batch of a worker that died is taken over."))
    idle: Seconds = Field(0.25, description=text("Seconds between two queries of an empty queue."))
    attempts: Whole = Field(
        8,
        ge=1,
        le=100,
        description=text("Attempts at a message that fails unexpectedly, before it becomes a dead letter."),
    )
    retry_base: Seconds = Field(2, description=text("Seconds before the second attempt; doubles with each."))
    retry_cap: Seconds = Field(600, description=text("Most seconds between two attempts."))
    reply_threads: Whole = Field(4, ge=1, le=64, description=text("Replies sent at the same time by one process."))
    reply_lease: Seconds = Field(
        120, description=text("Seconds after which replies of a worker that died are taken over.")
    )
    line_lease: Number = Field(
        30,
        ge=1,
        le=3600,
        description=text("Seconds after which a connection (SMPP) held by a process that died is taken over."),
    )
    reply_hours: Number = Field(24, gt=0, le=720, description=text("Hours after which an unsent reply is given up."))


class Retention(Section):
    """`[retention]`: how long messages and replies are kept."""

    raw_days: Number = Field(
        30,
        gt=0,
        description=text(
            "Days until a finished message, its replies and the local copy of a delivered complaint are deleted."
        ),
    )


class Conversation(Section):
    """`[conversation]`: how messages of one sender are joined to one report."""

    window: Number = Field(
        600,
        ge=0,
        le=86_400,
        description=text(
            "Seconds within which a further message joins the sender's last report, unless it reads like a new "
            "one; 0: every message is a report of its own."
        ),
    )
    parts_wait: Seconds = Field(
        600,
        description=text("Seconds to wait for the missing parts of a long message before it is sent on without them."),
    )


class Replies(Section):
    """`[replies]`: limits against an exchange of messages with machines."""

    per_hour: Whole = Field(
        10, ge=0, le=1000, description=text("Most replies to one address in any 60 minutes; 0: no replies.")
    )


class Logging(Section):
    """`[logging]`: the log lines on standard error."""

    format: Literal["auto", "json", "pretty"] = Field(
        "auto", description=text("Form of the lines; auto is pretty on a terminal, else JSON.")
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description=text("The lowest level that is written.")
    )


class Api(Section):
    """`[api]`: the read-only API for operators."""

    token: Secret | None = Field(None, description=text("Bearer token; without it, the API is off."))


def reveal(value: str | Secret) -> str:
    """Return the text of a setting that may be a secret."""
    return value.reveal() if isinstance(value, Secret) else value
