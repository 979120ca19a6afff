"""What a fault test may ask for, and where its counts are shown."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from rig.installation import Installation

from gateway.storage import migrate
from gateway.storage.database import Database
from gateway.testing.fixtures import started_postgres
from gateway.testing.postgres import PostgresServer

SEED = int(os.environ.get("LAPOR_FAULT_SEED") or random.SystemRandom().randrange(1_000_000))
# How many times the usual number of rounds: for a night's soak.
SCALE = float(os.environ.get("LAPOR_FAULT_SCALE") or 1)

_SHOWN = 80  # lines of each log, where a test failed
_counts: list[str] = []
_installations = pytest.StashKey[list[Installation]]()


@pytest.fixture
def seed() -> int:
    """Return the seed of this run; `LAPOR_FAULT_SEED` repeats one, as far as the moment of a crash can be repeated."""
    return SEED


@pytest.fixture
def rounds() -> Callable[[int], int]:
    """Scale a number of rounds by `LAPOR_FAULT_SCALE`."""
    return lambda usual: max(1, round(usual * SCALE))


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Iterator[Callable[[object], None]]:
    """Write down what a test counted; shown at the end of the run, passed or failed."""
    began, lines = time.monotonic(), []
    yield lambda line: lines.append(str(line))
    _counts.append(f"{request.node.name}  ({time.monotonic() - began:.0f} s)")
    _counts.extend(f"    {line}" for line in lines)


@pytest.fixture(scope="session")
def fault_server() -> Iterator[PostgresServer]:
    """Start a PostgreSQL that is durable as in production, and may be crashed."""
    with started_postgres(durable=True) as server:
        yield server


@pytest.fixture(scope="session")
def migrated(fault_server: PostgresServer) -> str:
    """Name a database with all tables, to copy."""
    database = Database(fault_server.create_database("fault_template"))
    migrate.migrate(database)
    database.close()
    return "fault_template"


@pytest.fixture
def new_database(fault_server: PostgresServer, migrated: str) -> Iterator[Callable[[], str]]:
    """Make databases with all tables; the call returns the URL."""
    made: list[str] = []

    def make() -> str:
        made.append(f"fault_{time.time_ns()}")
        return fault_server.create_database(made[-1], template=migrated)

    fault_server.start()  # in case a test left it dead
    yield make
    fault_server.start()
    for name in made:
        fault_server.drop_database(name)


@pytest.fixture
def install(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Installation]]:
    """Make installations; their logs are shown where the test fails, and what they run is ended."""
    made = request.node.stash.setdefault(_installations, [])

    def make(database_url: str, kind: type[Installation] = Installation, **options: Any) -> Installation:
        folder = tmp_path / f"installation-{len(made)}"
        folder.mkdir()
        made.append(kind(folder, database_url, **options))
        return made[-1]

    yield make
    for installation in made:
        installation.__exit__()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Show the end of every log where a test failed."""
    report = yield
    if report.failed:
        report.sections.append(("seed", str(SEED)))
        for installation in item.stash.get(_installations, []):
            for program in installation.programs.values():
                lines = program.log.read_text(errors="replace").splitlines() if program.log.exists() else ["no log"]
                report.sections.append((f"{program.role}: end of its log", "\n".join(lines[-_SHOWN:])))
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what the tests counted."""
    if _counts:
        terminalreporter.section("what the faults did")
        terminalreporter.write_line(f"seed {SEED}; LAPOR_FAULT_SEED={SEED} runs these again")
        for line in _counts:
            terminalreporter.write_line(line)
