"""init, migrate, keys: what an installation needs now and then."""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from gateway.bootstrap import build
from gateway.cli.context import App, clear_errors, pass_app
from gateway.domain.errors import Misconfigured
from gateway.operations.rekey import rekey
from gateway.operations.status import ALIVE_FOR
from gateway.storage.crypto import new_key
from gateway.storage.migrate import migrate as run_migrations


@click.command()
@pass_app
def init(app: App) -> None:
    """Make missing key and secret files.

    Those that the configuration refers to and that do not exist yet. Safe to run again.

    Storage keys are random; tokens of providers are invented, good for the simulator: put the real ones in before
    you go live.
    """
    root = app.config.resolve().parent
    with clear_errors():
        made = 0
        for path, kind in _referred_files(app.config):
            target = root / path
            if target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(_INVENTED.get(kind, _token)() + "\n")
            click.echo(f"made {path}")
            made += 1
        if made:
            click.echo("keep a copy of the storage keys apart from the database: without them nothing can be read")


def _token() -> str:
    return secrets.token_hex(16)


# By the setting that refers to it. A password has 8 characters, the most that SMPP knows; it opens a simulator only.
_INVENTED: dict[str, Callable[[], str]] = {"encryption": new_key, "password": lambda: secrets.token_hex(4)}


def _referred_files(config: Path) -> Iterator[tuple[str, str]]:
    """Yield every `{ file = … }` of the configuration, and what it is: "encryption", or the setting's name."""
    for path in [config / "gateway.toml", *sorted((config / "regions").glob("*.toml"))]:
        try:
            content = tomllib.loads(path.read_text("utf-8-sig"))
        except FileNotFoundError as exc:
            raise Misconfigured(f"{path.resolve()} does not exist; use --config DIRECTORY") from exc
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            raise Misconfigured(f"{path} is not TOML: {exc}") from exc
        yield from _files_in(content, "")


def _files_in(value: Any, kind: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if list(value) == ["file"] and isinstance(value["file"], str):
            yield value["file"], kind
            return
        for name, inner in value.items():
            yield from _files_in(inner, kind if kind == "encryption" else name)
    elif isinstance(value, list):
        for inner in value:
            yield from _files_in(inner, kind)


@click.command()
@pass_app
def migrate(app: App) -> None:
    """Bring the tables to the newest version.

    Those of the gateway and of the central store. Safe to run again.
    """
    with clear_errors():
        gateway = build(app.settings(), app.registry)
        try:
            for database, part in gateway.tables:
                version = run_migrations(database, [part])[part]
                click.echo(f"{part}: version {version}")
        finally:
            gateway.close()


@click.group()
def keys() -> None:
    """Keys of what is stored."""


@keys.command("new")
def keys_new() -> None:
    """Print a new random key, for a key file or an environment variable."""
    click.echo(new_key())


@keys.command("rotate")
@click.option("--batch", default=500, show_default=True, help="Rows in one transaction.")
@click.option("--yes", is_flag=True, help="Do not ask whether every process was restarted.")
@pass_app
def keys_rotate(app: App, batch: int, yes: bool) -> None:
    """Encrypt everything stored with the first key of [encryption] keys.

    In this order: 1. put the new key in front of the list, 2. restart every process, 3. rotate, 4. remove the old key
    and restart every process again.

    A process that was not restarted cannot read what is encrypted anew. Where several run, add the new key as the
    second first, and restart all: see docs/production.md. May be interrupted and run again.
    """
    with clear_errors():
        gateway = build(app.settings(), app.registry)
        try:
            alive = gateway.spool.activity.alive()
            if not yes and alive is not None and gateway.spool.clock() - alive <= ALIVE_FOR:
                click.confirm(
                    "The gateway runs. 1. The new key is in front of [encryption] keys, and 2. every process was "
                    "restarted since?",
                    abort=True,
                    err=True,
                )
            for column, total in rekey(gateway.spool, gateway.central_database, batch):
                click.echo(f"{column}: {total} values encrypted anew")
            click.echo("4. now remove the old keys from [encryption] keys, and restart every process")
        finally:
            gateway.close()
