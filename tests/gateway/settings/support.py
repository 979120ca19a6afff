"""Helpers of the tests of the configuration."""

from __future__ import annotations

from gateway.settings.faults import Fault


def only(faults: list[Fault]) -> tuple[str, str, str, str]:
    """Return file, key, value and problem of the only fault."""
    (fault,) = faults
    return fault.file, fault.key, fault.found, fault.problem
