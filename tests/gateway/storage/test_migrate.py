"""Migrated tables are those the code expects, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from gateway.central.tables import metadata as central
from gateway.spool.tables import metadata as spool
from gateway.storage.database import Database
from gateway.storage.migrate import migrate, pending


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def test_migrating_an_empty_database(empty: Database) -> None:
    assert pending(empty) == ["spool", "central"]
    assert migrate(empty, ["spool"]) == {"spool": "0003"}
    assert pending(empty) == ["central"], "the two parts may live apart"
    migrate(empty)
    assert pending(empty) == []
    both = sa.MetaData()
    for table in [*spool.sorted_tables, *central.sorted_tables]:
        table.to_metadata(both)
    with empty.engine.connect() as connection:
        names = {"include_name": lambda name, kind, _: kind != "table" or name in both.tables}
        context = MigrationContext.configure(connection, opts={"compare_type": True, **names})
        assert compare_metadata(context, both) == []
        made = sa.inspect(connection)
        for table in both.sorted_tables:
            unique = {tuple(found["column_names"]) for found in made.get_unique_constraints(table.name)}
            wanted = {tuple(c.name for c in u.columns) for u in table.constraints if isinstance(u, sa.UniqueConstraint)}
            assert unique == wanted
            assert made.get_pk_constraint(table.name)["constrained_columns"] == [c.name for c in table.primary_key]


def test_migrating_again_changes_nothing_and_keeps_the_counter(url: str) -> None:
    database = Database(url)
    with database.begin() as connection:
        connection.execute(sa.text("UPDATE ticket_counter SET next_number = 1000123"))
    assert migrate(database) == {"spool": "0003", "central": "0002"}
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT next_number FROM ticket_counter")).all() == [(1000123,)]
    database.close()


def test_a_newer_database_is_told_from_a_current_one(sqlite: str) -> None:
    database = Database(sqlite)
    with database.begin() as connection:
        connection.execute(sa.text("UPDATE spool_version SET version_num = '9999'"))
    assert pending(database) == ["spool"]
    database.close()


def test_two_who_migrate_at_once_take_turns(postgres_url: str) -> None:
    versions: list[dict[str, str]] = []

    def run() -> None:
        database = Database(postgres_url)
        versions.append(migrate(database))
        database.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert versions == [{"spool": "0003", "central": "0002"}] * 2
