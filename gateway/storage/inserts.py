"""The options of an insert, and the protocol of a prepared insert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class InsertOptions(NamedTuple):
    """Options of `Database.insert`."""

    ignore_conflicts: bool = False
    add_up: str | None = None  # column
    returning: str | None = None  # column


class PreparedInsert(Protocol):
    """An insert into one table with given columns and options."""

    def prepare(self, rows: Sequence[Mapping[str, object]]) -> tuple[str, tuple[object, ...]]:
        """Return the statement and its parameters."""
