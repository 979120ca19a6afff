"""Fixtures of the tests of the configuration."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.settings.faults import Fault, Faults
from tests.gateway.fixture_types import FindFaults
from tests.gateway.site import Site


@pytest.fixture
def faults(sqlite_site: Site) -> FindFaults:
    """Return a function that writes a configuration and returns its faults."""

    def find(*, replace: tuple[str, str] = ("", ""), **files: Any) -> list[Fault]:  # the arguments of Site.write
        sqlite_site.write(**files)
        main = sqlite_site.config / "gateway.toml"
        main.write_text(main.read_text().replace(*replace))
        try:
            sqlite_site.settings()
        except Faults as exc:
            raised = exc
        else:
            return []
        assert all(str(fault) in raised.message for fault in raised.faults)
        return raised.faults

    return find
