"""Helpers of the tests of the configuration."""

from __future__ import annotations

from gateway.settings.faults import Fault


def only(found: list[Fault]) -> tuple[str, str, str, str]:
    (fault,) = found
    return fault.file, fault.key, fault.found, fault.problem
