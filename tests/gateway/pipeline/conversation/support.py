"""Helpers of the tests of conversations."""

from __future__ import annotations

import json
from typing import Any

from gateway.central.tables import complaints
from tests.gateway.fixture_types import Rows

CITIZEN, STRANGER = "+6281200000001", "+6281200000002"
WINDOW = 600
RULES = """
[[categories]]
code = "penerangan"
words = ["lampu"]

[[categories]]
code = "persampahan"
words = ["sampah"]
"""


def reasons(row: Any) -> Any:
    return json.loads(row["reasons"]).get("apart")


def ticket_of(rows: Rows, index: int = -1) -> str:
    """Return the ticket of a complaint, by the order of delivery."""
    found: str = sorted(row["ticket"] for row in rows(complaints))[index]
    return found
