"""The two dialects behave as one; errors leave as the gateway's own and quote no row."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.domain.errors import GatewayError, Rejected, Unavailable
from gateway.domain.ids import new_id
from gateway.spool.tables import activity, cursors, inbox
from gateway.storage.database import Database, any_of
from gateway.storage.errors import translated_errors
from tests.gateway.fixture_types import Rows

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def ask(database: Database) -> None:
    """Ask the database for an answer."""
    with database.read() as connection:
        connection.execute(sa.text("SELECT 1"))


def row(what: str, at: datetime = MOMENT, **changes: Any) -> dict[str, Any]:
    return {"region": "00", "channel": "sms", "what": what, "at": at, "detail": None} | changes


def test_times_are_aware_and_utc_whatever_zone_they_came_from(database: Database, rows: Rows) -> None:
    jakarta = MOMENT.astimezone(timezone(timedelta(hours=7)))
    with database.begin() as connection:
        database.insert(connection, activity, [row("a"), row("b", jakarta)])
    found = [entry["at"] for entry in rows(activity)]
    assert found == [MOMENT, MOMENT]
    assert {moment.tzinfo for moment in found} == {UTC}


def test_insert_returns_what_was_really_inserted(database: Database) -> None:
    with database.begin() as connection:
        first = database.insert(connection, activity, [row("a"), row("b")], returning="what")
        second = database.insert(
            connection, activity, [row("b"), row("c"), row("c")], ignore_conflicts=True, returning="what"
        )
        assert database.insert(connection, activity, []) == []
    assert (sorted(first), second) == (["a", "b"], ["c"])


def test_columns_of_nothing_but_null_and_odd_texts(database: Database, rows: Rows) -> None:
    texts = ["", "{}", "{a,b}", '"', "\\", "NULL", "%b %s %(x)s", "a'b", "😭", "x\ny", ",", None]
    with database.begin() as connection:
        database.insert(connection, activity, [row(f"{n}", detail=text) for n, text in enumerate(texts)])
        database.insert(connection, cursors, [{"region": "00", "channel": "x", "position": None, "lease_until": None}])
    found = {int(entry["what"]): entry["detail"] for entry in rows(activity)}
    assert [found[number] for number in range(len(texts))] == texts


def test_a_block_that_fails_leaves_nothing_behind(database: Database, rows: Rows) -> None:
    def fail() -> None:
        with database.begin() as connection:
            database.insert(connection, activity, [row("a")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert rows(activity) == []


def test_any_of_takes_no_value_one_and_many(database: Database) -> None:
    ids = [new_id() for _ in range(3000)]
    with database.read() as connection:
        for chosen in ([], ids[:1], ids):
            statement = sa.select(inbox.c.id).where(any_of(inbox.c.id, chosen, database))
            assert connection.execute(statement).all() == []


def test_a_row_at_fault_is_rejected_and_not_quoted(database: Database) -> None:
    secret = {"detail": "+6281200000001"}
    with database.begin() as connection:
        database.insert(connection, activity, [row("a", **secret)])
    with pytest.raises(Rejected) as raised, database.begin() as connection:
        database.insert(connection, activity, [row("a", **secret)])
    assert "812" not in str(raised.value)
    assert "812" not in repr(raised.value.__cause__), "parameters are hidden"


def test_a_text_with_nul_is_rejected_where_the_database_cannot_hold_it(database: Database, rows: Rows) -> None:
    def write() -> None:
        with database.begin() as connection:
            database.insert(connection, activity, [row("a", detail="x\x00y")])

    if database.is_sqlite:
        write()
        assert rows(activity)[0]["detail"] == "x\x00y"
    else:
        with pytest.raises(Rejected):
            write()


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://lapor:kata-sandi@127.0.0.1:9/lapor", "sqlite:////proc/no/such/folder/x.db"]
)
def test_a_database_that_is_away_is_unavailable(url: str) -> None:
    with pytest.raises((Unavailable, OSError)) as raised:
        ask(Database(url))
    assert "kata-sandi" not in str(raised.value)


def test_a_server_that_is_away_is_named_with_what_to_do() -> None:
    with pytest.raises(Unavailable) as raised:
        ask(Database("postgresql+psycopg://lapor:kata-sandi@127.0.0.1:9/pusat"))
    assert "127.0.0.1:9/pusat: connection refused: is it running" in raised.value.message
    assert "lapor" not in raised.value.message
    assert "kata-sandi" not in raised.value.message


def test_a_postgresql_database_that_does_not_exist_is_told_so(postgres: str) -> None:
    with pytest.raises(Unavailable, match="/tak_ada: there is no such database"):
        ask(Database(sa.make_url(postgres).set(database="tak_ada").render_as_string(hide_password=False)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('FATAL:  password authentication failed for user "lapor"', "authentication failed"),
        ('FATAL:  role "lapor" does not exist', "authentication failed"),
        ("FATAL:  sorry, too many clients already", "it takes no more connections"),
        ("connection timeout expired", "no answer in time"),
        ("failed to resolve host 'db': Name or service not known", "the host's name is not known"),
        ("something new", "failed (OperationalError)"),
    ],
)
def test_what_a_connection_died_of_is_told_without_its_text(text: str, said: str) -> None:
    import psycopg

    url = sa.make_url("postgresql+psycopg://lapor:kata-sandi@db/pusat")
    with pytest.raises(Unavailable) as raised, translated_errors(url):
        raise sa.exc.OperationalError("", {}, psycopg.OperationalError(text))
    assert raised.value.message.startswith("the database db:5432/pusat")
    assert said in raised.value.message
    assert "lapor" not in raised.value.message


def test_a_file_that_is_no_sqlite_database_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    path.write_text("bukan basis data " * 100)
    with pytest.raises(Unavailable) as raised:
        ask(Database(f"sqlite:///{path}"))
    assert raised.value.message == f"the database {path} is not an SQLite database: restore the backup"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("SQLITE_READONLY_DIRECTORY", "is not writable by this user: check owner and permissions"),
        ("SQLITE_FULL", "the disk is full"),
        ("SQLITE_CANTOPEN", "cannot be opened"),
        ("SQLITE_ERROR", "failed (OperationalError, SQLITE_ERROR)"),
    ],
)
def test_what_sqlite_complains_of_is_told_with_what_to_do(name: str, said: str) -> None:
    original = sqlite3.OperationalError("+6281200000001")
    original.sqlite_errorname = name
    with pytest.raises(Unavailable) as raised, translated_errors(sa.make_url("sqlite:////var/gateway.db")):
        raise sa.exc.OperationalError("", {}, original)
    assert said in raised.value.message
    assert "/var/gateway.db" in raised.value.message
    assert "812" not in raised.value.message


def test_a_lock_file_that_cannot_be_opened_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "gateway.db.lock").mkdir()
    with pytest.raises(Unavailable, match=r"gateway\.db\.lock cannot be opened: .*; check owner and permissions"):
        Database(f"sqlite:///{tmp_path / 'gateway.db'}").claim_file()


def test_a_pool_that_is_used_up_is_unavailable(postgres: str) -> None:
    database = Database(postgres, pool_size=2)
    database.engine = sa.create_engine(postgres, pool_size=1, max_overflow=0, pool_timeout=0.1)
    with database.read(), pytest.raises(Unavailable, match="TimeoutError"):
        ask(database)
    database.close()


def test_sqlite_writers_take_turns(sqlite: str) -> None:
    database = Database(sqlite)
    errors: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for turn in range(20):
                with database.begin() as connection:
                    database.insert(connection, activity, [row(f"{number} {turn}")])
        except GatewayError as exc:
            errors.append(exc)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(activity)).scalar() == 80
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2, (
            "an accepted message survives a power cut"
        )
    assert errors == []
    database.close()
