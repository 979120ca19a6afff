"""Migrate tables with Alembic. Spool and centre have separate versions, because they may be in two databases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gateway.storage.database import Database
from gateway.storage.errors import translated_errors

_GATEWAY = Path(__file__).parents[1]
PARTS = ("spool", "central")
_LOCK = 1708  # an arbitrary number that no other program uses for an advisory lock in this database


def migrate(database: Database, parts: Sequence[str] = PARTS) -> dict[str, str]:
    """Migrate the tables of parts to the newest version; return `{part: version}`. Safe to run again."""
    versions = {}
    for part in parts:
        config = _config(part)
        with translated_errors(database.url), database.engine.connect() as connection:
            if not database.is_sqlite:  # two processes migrate one after the other; the lock ends with the connection
                connection.execute(sa.select(sa.func.pg_advisory_lock(_LOCK)))
                connection.commit()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
            connection.invalidate()
        versions[part] = ScriptDirectory.from_config(config).get_current_head() or ""
    return versions


def pending(database: Database, parts: Sequence[str] = PARTS) -> list[str]:
    """Return the parts whose tables are missing or not of the newest version. Raises `Unavailable`."""
    old = []
    with database.read() as connection:
        for part in parts:
            context = MigrationContext.configure(connection, opts={"version_table": f"{part}_version"})
            if context.get_current_revision() != ScriptDirectory.from_config(_config(part)).get_current_head():
                old.append(part)
    return old


def _config(part: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_GATEWAY / part / "migrations").replace("%", "%%"))
    config.attributes["part"] = part
    return config


def run(metadata: sa.MetaData) -> None:
    """Run the migrations of a part on the connection of `migrate`; the part's env.py calls this for Alembic."""
    from alembic import context as alembic  # noqa: PLC0415  exists only while a migration runs

    part = alembic.config.attributes["part"]
    alembic.configure(
        connection=alembic.config.attributes["connection"],
        target_metadata=metadata,
        version_table=f"{part}_version",
        transaction_per_migration=True,
    )
    with alembic.begin_transaction():
        alembic.run_migrations()
