"""The init command: write missing key and secret files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from gateway.cli.context import App, clear_errors, pass_app
from gateway.domain.texts import text
from gateway.settings.files import read_toml, region_files
from gateway.storage.crypto import new_key


@click.command(
    help=text(
        "Make missing key and secret files.\n\n"
        "Only files that the configuration refers to and that do not exist yet. Safe to run again.\n\n"
        "Storage keys are random. Tokens of providers are invented and work only with the simulator: replace them with "
        "the real ones before you go live."
    )
)
@pass_app
def init(app: App) -> None:
    """Write each missing file that the configuration refers to, readable by its owner only."""
    root = app.config.resolve().parent
    with clear_errors(app.language):
        count = 0
        for path, kind in _referred_files(app.config):
            target = root / path
            if target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(_INVENTED.get(kind, _token)() + "\n")
            app.say(text("made {path}", path=path))
            count += 1
        if count:
            app.say(text("keep a copy of the storage keys apart from the database: without them nothing can be read"))


def _token() -> str:
    return secrets.token_hex(16)


# Functions that invent a value, by the setting that refers to the file. A password has 8 characters, the most that SMPP
# allows. Only a simulator accepts an invented password or token.
_INVENTED: dict[str, Callable[[], str]] = {"encryption": new_key, "password": lambda: secrets.token_hex(4)}


def _referred_files(config: Path) -> Iterator[tuple[str, str]]:
    """Yield the path of every `{ file = … }` in the configuration, and its kind: "encryption" or the setting's name.

    Raises `Faults` if a file of the configuration cannot be read.
    """
    for path in [config / "gateway.toml", *region_files(config)]:
        yield from _files_in(read_toml(path, str(path)), "")


def _files_in(value: object, kind: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        path = value.get("file")
        if len(value) == 1 and isinstance(path, str):
            yield path, kind
            return
        for name, inner in value.items():
            yield from _files_in(inner, kind if kind == "encryption" else name)
    elif isinstance(value, list):
        for inner in value:
            yield from _files_in(inner, kind)
