"""Values and the clock that the tests of the core share."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parents[2]


ACCOUNT = "AC" + "0" * 28 + "1708"


TOKEN = "twilio-token-for-tests-only"


API_TOKEN = "api-token-for-tests-only"


# Phones as they come and as we write them, identity numbers, the secrets above; not digits inside an id.
LEAKS = re.compile(
    r"(?<![0-9a-f])(?:\+?62[ -]?|0)8\d{2}[ .-]?\d{3,4}[ .-]?\d{3,}(?![0-9a-f])"
    r"|(?<![0-9a-f])\d{16}(?![0-9a-f])|for-tests-only"
)


class StillClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)
