"""Use one SQL database: connections, transactions, bulk statements, and the differences of the two dialects.

SQLite is the embedded default (WAL, one process); PostgreSQL is for production. A block in a transaction raises the
gateway's own errors: `Unavailable` if trying later may help, `Rejected` if a row cannot be stored as it is.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from gateway.domain.errors import Unavailable
from gateway.domain.texts import text
from gateway.storage import Transaction
from gateway.storage.engines import postgres_engine, sqlite_engine
from gateway.storage.errors import translated_errors
from gateway.storage.inserts import InsertOptions, PreparedInsert


class Instant(sa.TypeDecorator[datetime]):
    """An aware UTC datetime: `timestamptz` on PostgreSQL, sortable text on SQLite."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Convert to UTC without a zone if the dialect is SQLite."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return an aware time on both dialects."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """One database of either dialect."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._write_lock = threading.Lock()
        self._lock_file: IO[str] | None = None
        self._bulk_inserts: dict[tuple[object, ...], PreparedInsert] = {}
        if self.is_sqlite:
            self.engine = sqlite_engine(self.url, pool_size)
        else:
            self.bulk = import_module("gateway.storage.bulk")  # needs psycopg, which an embedded installation lacks
            self.engine = postgres_engine(self.url, pool_size, self.bulk.register)

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """Begin a writing transaction; commit it if the block ends, roll it back if the block raises."""
        # SQLite allows one writer. With this lock each thread gets its turn; SQLite's own busy handler may let one wait
        # for ever.
        lock = self._write_lock if self.is_sqlite else nullcontext()
        with self._translated(), lock, self.engine.connect() as connection:
            connection.execution_options(writes=True)
            with connection.begin():
                yield connection

    @contextmanager
    def single(self) -> Iterator[Transaction]:
        """Open a connection on which each statement commits by itself: one round trip instead of three.

        Use it for one writing statement. On SQLite it is the same as `begin`.
        """
        if self.is_sqlite:
            with self.begin() as connection:
                yield connection
            return
        with self._translated(), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Begin a transaction that only reads."""
        with self._translated(), self.engine.connect() as connection:
            yield connection

    def _translated(self) -> AbstractContextManager[None]:
        return translated_errors(self.url)

    def claim_file(self) -> None:
        """Lock this SQLite file for this process until it ends.

        Raises `Unavailable` if another process has the lock, because that process may end soon. The operating system
        removes the lock of a killed process.
        """
        if self._lock_file is not None or not self.url.database:
            return
        path = Path(self.url.database + ".lock")
        try:
            file = path.open("a")  # stays open until the process ends
        except OSError as exc:
            raise Unavailable(
                text(
                    "the lock file {path} cannot be opened: {cause}; check owner and permissions of it and its directory",
                    path=path,
                    cause=exc.strerror,
                )
            ) from exc
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            file.close()
            raise Unavailable(
                text(
                    "another gateway runs on {database}; stop it, or use PostgreSQL for several processes",
                    database=self.url.database,
                )
            ) from exc
        self._lock_file = file

    def close(self) -> None:
        """Close all connections, and unlock an SQLite file."""
        self.engine.dispose()
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def insert(
        self,
        transaction: Transaction,
        table: sa.Table,
        rows: Sequence[Mapping[str, object]],
        *,
        ignore_conflicts: bool = False,
        add_up: str | None = None,
        returning: str | None = None,
    ) -> list[Any]:  # values of the column, of any type
        """Insert many rows in one statement; return the values of the column `returning` of the inserted rows.

        All rows must have the same columns. If a row has a key that is stored already: with `ignore_conflicts` it is
        left out, with `add_up` its value of that column is added to the stored value, else `Rejected` is raised.
        """
        if not rows:
            return []
        options = InsertOptions(ignore_conflicts, add_up, returning)
        if self.is_sqlite:
            return self._insert_rows(transaction, table, rows, options)
        return self._insert_arrays(transaction, table, rows, options)

    def _insert_arrays(
        self, transaction: Transaction, table: sa.Table, rows: Sequence[Mapping[str, object]], options: InsertOptions
    ) -> list[Any]:  # see `insert`
        columns, returning = tuple(rows[0]), options.returning
        key = (table.name, columns, options)
        if key not in self._bulk_inserts:
            self._bulk_inserts[key] = self.bulk.BulkInsert(table, columns, options)
        result = transaction.exec_driver_sql(*self._bulk_inserts[key].prepare(rows))
        if returning is None:
            return []
        if result.rowcount == len(rows):  # all rows are new: their values are known without reading the result
            result.close()
            return [row[returning] for row in rows]
        return list(result.scalars().all())

    def _insert_rows(
        self, transaction: Transaction, table: sa.Table, rows: Sequence[Mapping[str, object]], options: InsertOptions
    ) -> list[Any]:  # see `insert`
        insert = sqlite.insert(table)
        if options.ignore_conflicts:
            insert = insert.on_conflict_do_nothing()
        if options.add_up:
            total = table.c[options.add_up] + insert.excluded[options.add_up]
            insert = insert.on_conflict_do_update(
                index_elements=table.primary_key.columns, set_={options.add_up: total}
            )
        if options.returning is None:
            transaction.execute(insert, list(rows))
            return []
        return list(transaction.execute(insert.returning(table.c[options.returning]), list(rows)).scalars())

    def upsert(
        self,
        transaction: Transaction,
        table: sa.Table,
        rows: Sequence[Mapping[str, object]],
        *,
        keep: Sequence[str] = (),
        newer: str | None = None,
    ) -> None:
        """Insert rows; if a row's primary key is stored already, update the other columns, except those in `keep`.

        With `newer`, a stored row is updated only if its value in that column is lower than the new value.
        """
        if not rows:
            return
        keys = [column.name for column in table.primary_key.columns]
        insert = (sqlite if self.is_sqlite else postgresql).insert(table)
        changed = {name: insert.excluded[name] for name in rows[0] if name not in keys and name not in keep}
        if not changed:
            transaction.execute(insert.on_conflict_do_nothing(), list(rows))
            return
        where = table.c[newer] < insert.excluded[newer] if newer else None
        transaction.execute(insert.on_conflict_do_update(index_elements=keys, set_=changed, where=where), list(rows))


def any_of(column: sa.ColumnElement[UUID], values: Sequence[UUID], database: Database) -> sa.ColumnElement[bool]:
    """Return the condition `column IN values` for a column of ids, in the form that the dialect plans best."""
    return column.in_(values) if database.is_sqlite else database.bulk.any_uuid(column, values)
