"""Texts for people: an English sentence and its values, kept apart so that it can be shown in another language."""

from __future__ import annotations

from typing import Self


class Localizable(str):
    """A value inside a text that each language writes differently, such as a time; the string itself is English."""

    __slots__ = ()

    def localized(self, language: str) -> str:
        """Return the value as the language ("id", "en") writes it."""
        raise NotImplementedError


class Text(str):
    """A filled English sentence that keeps its pattern and values; logs and the database store the plain English."""

    __slots__ = ("pattern", "values")
    pattern: str
    values: dict[str, object]

    def __new__(cls, pattern: str, /, **values: object) -> Self:
        """Fill the pattern's `{placeholders}`; a pattern without values is not formatted."""
        filled = super().__new__(cls, pattern.format(**values) if values else pattern)
        filled.pattern = pattern
        filled.values = values
        return filled


def text(pattern: str, /, **values: object) -> Text:
    """Return a text for people. Write the pattern as a literal: the catalogue is extracted from the calls of `text`."""
    return Text(pattern, **values)
