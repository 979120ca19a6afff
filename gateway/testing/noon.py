"""A clock that stands at noon, for modules that ask `datetime.now`."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

import pytest

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


class Noon(datetime):
    """A `datetime` whose `now` is always `NOON`."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain one: so are its sums
        """Return noon in a time zone."""
        return NOON.astimezone(tz)


def stop_clocks(monkeypatch: pytest.MonkeyPatch, package: str, *modules: str) -> None:
    """Let modules of a package read `NOON` from their `datetime`."""
    for module in modules:
        monkeypatch.setattr(f"{package}.{module}.datetime", Noon)
