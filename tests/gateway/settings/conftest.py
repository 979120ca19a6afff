"""Fixtures of the tests of the configuration."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.settings.faults import Fault, Faults
from tests.gateway.site import Site


@pytest.fixture
def faults(sqlite_site: Site) -> Any:
    """Return a function that writes a configuration and returns its faults."""

    def find(*, replace: tuple[str, str] = ("", ""), **files: Any) -> list[Fault]:
        sqlite_site.write(**files)
        main = sqlite_site.config / "gateway.toml"
        main.write_text(main.read_text().replace(*replace))
        try:
            sqlite_site.settings()
        except Faults as exc:
            told = exc
        else:
            return []
        assert all(str(fault) in told.message for fault in told.faults)
        return told.faults

    return find
