"""Texts for people: an English sentence and the values in it, kept apart so that it can be shown in another language."""

from __future__ import annotations

from typing import Self


class Text(str):
    """A filled English sentence that remembers its pattern; logs and the database keep the plain English."""

    __slots__ = ("pattern", "values")
    pattern: str
    values: dict[str, object]

    def __new__(cls, pattern: str, /, **values: object) -> Self:
        """Fill the pattern's `{placeholders}`; without values the pattern is taken as it stands."""
        made = super().__new__(cls, pattern.format(**values) if values else pattern)
        made.pattern, made.values = pattern, values
        return made


def text(pattern: str, /, **values: object) -> Text:
    """Return a text for people. The pattern is a literal: the catalogue is extracted from the calls of this function."""
    return Text(pattern, **values)
