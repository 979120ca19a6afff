"""Helpers for all commands: the configuration, exit codes, errors in plain words, text and JSON output."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import click

from gateway.bootstrap import Gateway, build
from gateway.domain.errors import GatewayError, Misconfigured, Unavailable
from gateway.domain.texts import Text, text
from gateway.i18n import Language, localize
from gateway.observe import logs
from gateway.ports.registry import Registry
from gateway.settings.faults import Fault, Faults
from gateway.settings.files import Settings
from gateway.settings.reader import load

EXIT_FOUND = 1  # the command found something that needs action, or failed with an error that has no other code
EXIT_USAGE = 2  # click's own
EXIT_CONFIGURATION = 3
EXIT_UNAVAILABLE = 4

_F = TypeVar("_F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class App:
    """The values that every command gets: the adapters, the configuration directory, the user's language."""

    registry: Registry
    config: Path
    language: Language = Language.INDONESIAN

    def settings(self) -> Settings:
        """Read the configuration. Raises `Faults`."""
        return load(self.config, self.registry)

    def say(self, message: Text, *, err: bool = False) -> None:
        """Print a text in the user's language."""
        click.echo(localize(message, self.language), err=err)

    def gateway(self, *, runs: bool = False) -> Gateway:
        """Return a gateway whose tables can be used, and set up its logs.

        With `runs` an SQLite file is locked and its tables are migrated. Raises `Misconfigured` if tables are not of
        the newest version, and `Unavailable` if the database does not answer or the SQLite file is locked.
        """
        settings = self.settings()
        logs.configure(settings.gateway.logging.format, settings.gateway.logging.level)
        gateway = build(settings, self.registry)
        try:
            if runs:
                gateway.prepare()
            else:
                gateway.require_tables()
        except GatewayError:
            gateway.close()
            raise
        return gateway


pass_app = click.make_pass_decorator(App)


def json_option(function: _F) -> _F:
    """Add the option `--json`, as the parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=text("Print JSON, for machines."))(function)


def print_json(content: object) -> None:
    """Print one JSON document; moments in ISO 8601."""
    click.echo(json.dumps(content, ensure_ascii=False, default=_plain, indent=None))


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(type(value).__name__)


def echo_faults(faults: list[Fault], language: Language, *, err: bool = False) -> None:
    """Print the faults of a configuration in a language, one line per fault."""
    click.echo(localize(Faults.headline(faults), language), err=err)
    word_before_value = localize(text("found"), language)
    for fault in faults:
        shown = replace(fault, problem=localize(fault.problem, language))
        click.echo(f"  {shown.in_words(word_before_value)}", err=err)


@contextmanager
def clear_errors(language: Language = Language.ENGLISH) -> Iterator[None]:
    """End the program with a plain message and the error's exit code instead of a traceback.

    Exit codes: 3 for a wrong configuration, 4 if something is unavailable or a file cannot be used, 1 for any other
    error of the gateway.
    """
    try:
        yield
    except Faults as exc:
        echo_faults(exc.faults, language, err=True)
        raise SystemExit(EXIT_CONFIGURATION) from exc
    except Misconfigured as exc:
        click.echo(localize(exc.message, language), err=True)
        raise SystemExit(EXIT_CONFIGURATION) from exc
    except Unavailable as exc:
        click.echo(localize(exc.message, language), err=True)
        raise SystemExit(EXIT_UNAVAILABLE) from exc
    except GatewayError as exc:
        click.echo(localize(exc.reason, language), err=True)
        raise SystemExit(EXIT_FOUND) from exc
    except OSError as exc:
        click.echo(f"{exc.filename}: {exc.strerror}" if exc.filename else exc.strerror or str(exc), err=True)
        raise SystemExit(EXIT_UNAVAILABLE) from exc
