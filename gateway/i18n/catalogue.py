"""Show texts in the reader's language, by the gettext catalogue in `locale/`.

Code and database hold plain English. A `Text` keeps its pattern and values. A stored reason is a plain string: its
pattern is found by matching it with all patterns of the catalogue.
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from string import Formatter

from gateway.domain.texts import Localizable, Text
from gateway.i18n.click_texts import CLICK_TEXTS

DOMAIN = "lapor"
LOCALE = Path(__file__).parent / "locale"
_REASON = re.compile(r"([a-z_]+: )(.+)", re.DOTALL)  # a stored reason: an error's code, which stays, and its message
_LONGEST = 500  # characters of a plain text that is matched against the patterns
_DEEPEST = 4  # levels of texts within texts
_ONE_WORD = {"code", "filename", "key", "name", "path", "place"}  # placeholders whose values never have spaces


class Language(StrEnum):
    """A language that users may choose."""

    INDONESIAN = "id"
    ENGLISH = "en"


def preferred(option: str | None, environment: Mapping[str, str]) -> Language:
    """Return the language of the option, of LAPOR_LANG, or of the locale: English if that is English, else Indonesian.

    Raises `ValueError` for a language that the gateway does not have.
    """
    choice = option or environment.get("LAPOR_LANG")
    if choice:
        return Language(choice)
    names = (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    locale = next((name for name in names if name), "")
    return Language.ENGLISH if re.match(r"en([_.@]|$)", locale) else Language.INDONESIAN


def localize(english: str, language: Language) -> str:
    """Return a text in a language; a text that is not in the catalogue stays English."""
    if isinstance(english, Localizable):
        return english.localized(language.value)
    if language is Language.ENGLISH:
        return str(english)
    if isinstance(english, Text):
        values = {
            name: localize(value, language) if isinstance(value, str) else value
            for name, value in english.values.items()
        }
        translated = _translations().gettext(english.pattern)
        return translated.format(**values) if english.values else translated
    return _localized_plain(english, _DEEPEST)


def _localized_plain(english: str, depth: int) -> str:
    """Return a plain string in Indonesian by the patterns of the catalogue; unchanged if none matches.

    A value in a match may itself be a translatable text, up to `depth` levels. Long and deep texts are left alone: a
    provider could otherwise make one that takes minutes.
    """
    if not english or depth == 0 or len(english) > _LONGEST:
        return str(english)
    if (matched := _match(english, depth)) is not None:
        return matched
    reason = _REASON.fullmatch(english)
    return reason[1] + _localized_plain(reason[2], depth - 1) if reason else str(english)


@cache
def _translations() -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, LOCALE, languages=[Language.INDONESIAN.value])


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Return the catalogue's patterns that have placeholders, each as a regular expression and as text.

    The pattern with the most fixed characters comes first, because it is the most specific. The patterns of click, such
    as "{value!r} is not {choice}.", are left out, because they would match reasons.
    """
    catalogue = getattr(_translations(), "_catalog", {})  # gettext has no public way to list its messages
    messages = [
        pattern
        for pattern in catalogue
        if isinstance(pattern, str)  # a text with a plural form has a tuple; reasons have none
        and "{" in pattern
        and pattern not in CLICK_TEXTS
        and re.search("[a-z]", _fixed(pattern))  # a pattern that has only placeholders would match any text
    ]
    messages.sort(key=lambda pattern: len(_fixed(pattern)), reverse=True)
    return [(_expression(pattern), pattern) for pattern in messages]


def _fixed(pattern: str) -> str:
    """Return a pattern without its placeholders."""
    return re.sub(r"{.*?}", "", pattern)


def _expression(pattern: str) -> re.Pattern[str]:
    """Return the expression that matches the filled pattern; a placeholder that occurs twice must have equal values."""
    seen: set[str] = set()
    parts = []
    for literal, name, _, _ in Formatter().parse(pattern):
        parts.append(re.escape(literal))
        if name is not None:
            value = r"\S+?" if name in _ONE_WORD else ".*?"
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>{value})")
            seen.add(name)
    return re.compile("".join(parts), re.DOTALL)


def _match(english: str, depth: int) -> str | None:
    """Return the translation of a plain English string, or `None` if no pattern of the catalogue matches it."""
    translated = _translations().gettext(english)
    if translated != english:
        return translated
    for expression, pattern in _patterns():
        if match := expression.fullmatch(english):
            values = {name: _localized_plain(value, depth - 1) for name, value in match.groupdict().items()}
            return _translations().gettext(pattern).format_map(values)
    return None
