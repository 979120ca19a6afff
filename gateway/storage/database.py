"""One SQL database: connections, transactions, bulk statements, and the two dialects' differences in one place.

SQLite is the embedded default (WAL, one process); PostgreSQL is production. Errors leave here as the gateway's own:
`Unavailable` when trying later may help, `Rejected` when the row itself is at fault.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from gateway.domain.errors import Unavailable
from gateway.domain.texts import text
from gateway.storage.errors import translated_errors


class Instant(sa.TypeDecorator[datetime]):
    """An aware UTC datetime: `timestamptz` on PostgreSQL, sortable text on SQLite."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Refuse naive times; SQLite stores UTC without a zone."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return aware times on both dialects."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """An engine with the settings this gateway relies on."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._write_lock = threading.Lock()
        self._lock_file: IO[str] | None = None
        self._inserts: dict[tuple[object, ...], Any] = {}
        if self.is_sqlite:
            if self.url.database:
                _make_private(Path(self.url.database))
            self.engine = sa.create_engine(
                self.url, hide_parameters=True, pool_size=pool_size, max_overflow=10, connect_args={"timeout": 30}
            )
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        else:
            self.bulk = import_module("gateway.storage.bulk")  # needs psycopg, which an embedded installation lacks
            self.engine = sa.create_engine(
                self.url,
                hide_parameters=True,
                pool_size=pool_size,
                max_overflow=10,
                pool_timeout=10,
                pool_use_lifo=True,
                connect_args={
                    "connect_timeout": 3,
                    # A peer that vanished must not hold an accepted webhook for minutes.
                    "keepalives_idle": 10,
                    "keepalives_interval": 5,
                    "keepalives_count": 3,
                    "tcp_user_timeout": 25_000,  # milliseconds; keep-alives rest while something sent is unanswered
                    "application_name": "lapor-gateway",
                    # A plan made while a queue was empty must not be kept until it holds a million rows; and no
                    # statement here is one that compiling would make faster. Nothing here thinks for long in a
                    # transaction either: one that stands still belongs to a machine that is gone, and the server must
                    # not keep its locks for the hours that TCP takes by itself.
                    "options": "-c plan_cache_mode=force_custom_plan -c jit=off"
                    " -c idle_in_transaction_session_timeout=10s"
                    " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
                },
            )
            sa.event.listen(self.engine, "connect", lambda connection, _record: self.bulk.register(connection))

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """Open a transaction that writes; it commits when the block ends, and rolls back on any exception."""
        # SQLite has one writer: waiting for it here is fair, its own busy handler is not.
        turn = self._write_lock if self.is_sqlite else nullcontext()
        with self._translated(), turn, self.engine.connect() as connection:
            connection.execution_options(writes=True)
            with connection.begin():
                yield connection

    @contextmanager
    def single(self) -> Iterator[sa.Connection]:
        """Open a connection for one writing statement, which commits by itself: one round trip instead of three."""
        if self.is_sqlite:
            with self.begin() as connection:
                yield connection
            return
        with self._translated(), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that only reads."""
        with self._translated(), self.engine.connect() as connection:
            yield connection

    def _translated(self) -> AbstractContextManager[None]:
        return translated_errors(self.url)

    def claim_file(self) -> None:
        """Make sure that no other process runs on this SQLite file, as long as this one lives.

        Raises `Unavailable` where one does: it may be just ending. The lock is the operating system's: it ends with
        the process.
        """
        if self._lock_file is not None or not self.url.database:
            return
        path = Path(self.url.database + ".lock")
        try:
            file = path.open("a")  # it stays open as long as the process
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
        """Close all connections, and let go of an SQLite file."""
        self.engine.dispose()
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def insert(
        self,
        connection: sa.Connection,
        table: sa.Table,
        rows: Sequence[Mapping[str, Any]],
        *,
        ignore_conflicts: bool = False,
        add_up: str | None = None,
        returning: str | None = None,
    ) -> list[Any]:
        """Insert many rows in one statement; return the `returning` column of those really inserted.

        All rows have the same keys. A row whose key is there already is left out with `ignore_conflicts`; with
        `add_up` its value of that column is added to the one there.
        """
        if not rows:
            return []
        if not self.is_sqlite:
            columns = tuple(rows[0])
            key = (table.name, columns, ignore_conflicts, add_up, returning)
            if key not in self._inserts:
                self._inserts[key] = self.bulk.BulkInsert(
                    table, columns, ignore_conflicts=ignore_conflicts, add_up=add_up, returning=returning
                )
            found = connection.exec_driver_sql(*self._inserts[key].prepare(rows))
            if returning is None:
                return []
            if found.rowcount == len(rows):  # all of them: nothing needs to be read
                found.close()
                return [row[returning] for row in rows]
            return list(found.scalars().all())
        insert = sqlite.insert(table)
        if ignore_conflicts:
            insert = insert.on_conflict_do_nothing()
        if add_up:
            total = table.c[add_up] + insert.excluded[add_up]
            insert = insert.on_conflict_do_update(index_elements=table.primary_key.columns, set_={add_up: total})
        if returning is None:
            connection.execute(insert, list(rows))
            return []
        return list(connection.execute(insert.returning(table.c[returning]), list(rows)).scalars())

    def upsert(
        self,
        transaction: sa.Connection,
        table: sa.Table,
        rows: Sequence[Mapping[str, object]],
        *,
        keep: Sequence[str] = (),
        newer: str | None = None,
    ) -> None:
        """Insert rows; if a key is there already, update that row's other columns, except those in `keep`.

        With `newer`, a stored row changes only if its value in that column is lower than the new one.
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


def any_of(column: sa.ColumnElement[Any], values: Sequence[UUID], database: Database) -> sa.ColumnElement[bool]:
    """Return `column IN values` for a column of ids, in the form that each dialect plans best."""
    return column.in_(values) if database.is_sqlite else database.bulk.any_uuid(column, values)


def _make_private(path: Path) -> None:
    """Make the file before SQLite does, for its owner alone; the files beside it get the same permissions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are ours: the driver must not start its own
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # an accepted message survives a power cut
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
