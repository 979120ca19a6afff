"""Programs that none of us wrote, which ours must get on with."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

REQUIRE = "LAPOR_TEST_REQUIRE_PEERS"  # set in CI: a foreign program that cannot run is then a failure, no quiet skip
CACHE = "LAPOR_TEST_PEERS"  # a folder that keeps them from run to run


class Absent(Exception):
    """The foreign program cannot be had here."""


def absent(exc: Exception) -> NoReturn:
    """Fail where foreign programs are required, else skip."""
    if os.environ.get(REQUIRE):
        pytest.fail(f"{REQUIRE} is set, but {exc}")
    pytest.skip(f"a foreign program is not here: {exc}")
