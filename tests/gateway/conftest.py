"""What the tests of the core share: migrated databases of both kinds, configured gateways, a clock that stands still.

Every test here also checks, without asking for it, that nothing personal was logged: see `logs`.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog

from gateway.central.tables import metadata as central_metadata
from gateway.domain.complaint import Complaint, Judgement, Place, Reporter, Source
from gateway.domain.ids import new_id
from gateway.observe.logs import configure
from gateway.ports import JSON, Envelope
from gateway.spool import Spool
from gateway.spool.inbox import Incoming
from gateway.spool.tables import metadata as spool_metadata
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database
from gateway.storage.migrate import migrate
from gateway.testing.postgres import PostgresDatabases
from tests.gateway.site import (  # noqa: F401  fixtures of every test below this folder
    drain,
    eventually,
    new_site,
    receive,
    site,
    sms_request,
    sqlite_site,
    twilio,
)
from tests.gateway.support import LEAKS, StillClock

# --- logs --------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Write real logs, at their most talkative, to a text; afterwards nobody's phone, NIK or secret may be in it."""
    stream, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        configure("json", "debug")
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    found = [line for line in stream.getvalue().splitlines() if LEAKS.search(line)]
    assert not found, "a log line holds a phone, an identity number or a secret"


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands speak English, whatever the machine's locale; tests of Bahasa Indonesia say `--lang id`."""
    monkeypatch.setenv("LAPOR_LANG", "en")


# --- time, keys, databases ---------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def keyring() -> Keyring:
    return Keyring([b"k" * 32], b"l" * 32)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("template") / "gateway.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: PostgresDatabases) -> Iterator[Callable[[], str]]:
    """Return a function that empties the one migrated PostgreSQL database that tests share, and returns its URL.

    Deleting a few rows costs milliseconds; making or truncating tables costs half a second.
    """
    name = f"lapor_core_tests_{os.getpid()}"
    url = postgres_server.create_database(name)
    database = Database(url)
    migrate(database)
    database.close()
    tables = [*spool_metadata.sorted_tables, *central_metadata.sorted_tables]
    statements = [f"DELETE FROM {table.name}" for table in tables if table.name != "ticket_counter"]
    statements.append("UPDATE ticket_counter SET next_number = 1000000")
    engine = sa.create_engine(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SET session_replication_role = replica")  # history is append-only otherwise

        def empty() -> str:
            connection.exec_driver_sql("; ".join(statements))
            return url

        yield empty
    engine.dispose()
    postgres_server.drop_database(name)


@pytest.fixture
def postgres(migrated_postgres: Callable[[], str]) -> str:
    """Return the URL of a migrated, empty PostgreSQL database."""
    return migrated_postgres()


@pytest.fixture
def sqlite(migrated_sqlite: Path, tmp_path: Path) -> str:
    """Return the URL of a migrated, empty SQLite database."""
    path = tmp_path / "gateway.db"
    shutil.copy(migrated_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """Run the test on each kind of database."""
    found: str = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    made = Database(url)
    yield made
    made.close()


@pytest.fixture
def spool(database: Database, keyring: Keyring, clock: StillClock) -> Spool:
    return Spool(database, keyring, clock)


@pytest.fixture
def rows(database: Database) -> Callable[..., list[dict[str, Any]]]:
    """Return a function that reads a whole table, ordered by its first column."""

    def read(table: sa.Table, *where: Any) -> list[dict[str, Any]]:
        with database.read() as connection:
            chosen = sa.select(table).where(*where).order_by(next(iter(table.c)))
            return [dict(row) for row in connection.execute(chosen).mappings()]

    return read


@pytest.fixture
def refuse(database: Database) -> Iterator[Callable[[str, str], None]]:
    """Return a function that lets the database itself refuse new rows: `refuse("inbox", "channel = 'x'")`."""
    made: list[str] = []

    def run(*statements: str) -> None:
        with database.engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
            connection.commit()

    def make(table: str, condition: str) -> None:
        head = f"CREATE TRIGGER test_refusal BEFORE INSERT ON {table}"
        made.append(table)
        if database.is_sqlite:
            run(f"{head} WHEN NEW.{condition} BEGIN SELECT RAISE(ABORT, 'refused by the test'); END")
            return
        run(
            "CREATE OR REPLACE FUNCTION test_refusal() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'refused by the test' USING ERRCODE = 'check_violation'; END $$",
            f"{head} FOR EACH ROW WHEN (NEW.{condition}) EXECUTE FUNCTION test_refusal()",
        )

    yield make
    if not database.is_sqlite:
        run(*(f"DROP TRIGGER test_refusal ON {table}" for table in made))


# --- messages ----------------------------------------------------------------------------------------------------


@pytest.fixture
def incoming(clock: StillClock) -> Callable[..., Incoming]:
    """Return a function that makes a stored message of a sender."""

    def make(key: str, sender: str | None = "+6281200000001", **changes: Any) -> Incoming:
        given = {
            "id": new_id(),
            "region": "00",
            "channel": "sms",
            "envelope": Envelope(key, sender),
            "content_type": JSON,
            "payload": b'{"body": "Jalan rusak parah"}',
            "received_at": clock(),
        }
        return Incoming(**(given | changes))

    return make


@pytest.fixture
def complaint(clock: StillClock) -> Callable[..., Complaint]:
    """Return a function that makes a complaint."""

    def make(external_id: str = "SM1", **changes: Any) -> Complaint:
        given: dict[str, Any] = {
            "id": new_id(),
            "title": "Jalan berlubang",
            "description": "Jalan berlubang di depan pasar Pringsewu",
            "classification": Judgement(value="pengaduan", reason="free text"),
            "category": Judgement(value="pekerjaan-umum", reason="word: jalan"),
            "agency": Judgement(value="Dinas PUPR Kabupaten Pringsewu", reason="18.10 route 1"),
            "place": Place(text="PRINGSEWU", code="18.10", reason="keyword: PRINGSEWU"),
            "source": Source(
                region="00", channel="sms", adapter="sms.twilio", external_id=external_id, received_at=clock()
            ),
            "reporter": Reporter(address="+6281200000001", phone="+6281200000001"),
        }
        return Complaint(**(given | changes))

    return make
