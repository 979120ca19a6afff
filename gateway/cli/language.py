"""Translate the command line: help pages and the messages of click."""

from __future__ import annotations

import copy
import gettext
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from gateway.i18n import Language, localize, preferred
from gateway.i18n.catalogue import DOMAIN, LOCALE

_OPTION = "--lang"


class Program(click.Group):
    """The program's command group. It finds the language first, because click prints `--help` while it parses."""

    # Any: click declares main() with it; all values except the arguments are passed on unchanged.
    def main(self, args: Sequence[str] | None = None, *positional: Any, **options: Any) -> Any:
        """Run a command line in its language; `--lang` may stand anywhere on the line."""
        option, arguments = take_language(sys.argv[1:] if args is None else args)
        if option is not None:
            arguments = [_OPTION, option, *arguments]
        language = language_of(option, os.environ)
        with click_language(language):
            return click.Group.main(localized(self, language), arguments, *positional, **options)


def take_language(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the value of the last `--lang` before a `--` (`None` if there is none) and the other arguments."""
    option = None
    others: list[str] = []
    remaining = list(arguments)
    while remaining and remaining[0] != "--":
        argument = remaining.pop(0)
        name, equals, value = argument.partition("=")
        if name != _OPTION or not (equals or remaining):
            others.append(argument)
        else:
            option = value if equals else remaining.pop(0)
    return option, others + remaining


def language_of(option: str | None, environment: Mapping[str, str]) -> Language:
    """Return the language of the option, of $LAPOR_LANG, or of the locale; an unknown language is left out.

    click refuses an unknown language later, when it parses the options; that message must have a language too.
    """
    known = {language.value for language in Language}
    usable = {name: value for name, value in environment.items() if name != "LAPOR_LANG" or value in known}
    return preferred(option if option in known else None, usable)


@contextmanager
def click_language(language: Language) -> Iterator[None]:
    """Show click's own texts in a language: click uses gettext's default domain and the language of $LANGUAGE."""
    domain, previous = gettext.textdomain(), os.environ.get("LANGUAGE")
    gettext.bindtextdomain(DOMAIN, LOCALE)
    gettext.textdomain(DOMAIN)
    os.environ["LANGUAGE"] = language.value
    try:
        yield
    finally:
        gettext.textdomain(domain)
        if previous is None:
            del os.environ["LANGUAGE"]
        else:
            os.environ["LANGUAGE"] = previous


def localized(command: click.Command, language: Language) -> click.Command:
    """Return a copy of a command, its options and its subcommands, with all help in the language."""
    copied = copy.copy(command)
    copied.help = command.help and localize(command.help, language)
    copied.epilog = command.epilog and localize(command.epilog, language)
    copied.options_metavar = command.options_metavar and localize(command.options_metavar, language)
    copied.params = [_localized_option(param, language) for param in command.params]
    if isinstance(command, click.Group) and isinstance(copied, click.Group):
        copied.subcommand_metavar = localize(command.subcommand_metavar, language)
        copied.commands = {name: localized(inner, language) for name, inner in command.commands.items()}
    return copied


def _localized_option(param: click.Parameter, language: Language) -> click.Parameter:
    if not isinstance(param, click.Option) or param.help is None:
        return param
    copied = copy.copy(param)
    copied.help = localize(param.help, language)
    return copied
