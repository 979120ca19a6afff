"""One SQL database: connections, transactions, bulk statements, and the two dialects' differences in one place.

SQLite is the embedded default (WAL, one process); PostgreSQL is production. Errors leave here as the gateway's own:
`Unavailable` when trying later may help, `Rejected` when the row itself is at fault.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from gateway.errors import Misconfigured, Rejected, Unavailable

# The row's own fault. A missing table is not: that is a database in the wrong state, which somebody will mend.
_PERMANENT = (sa.exc.DataError, sa.exc.IntegrityError)


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
        self._inserts: dict[tuple[str, tuple[str, ...], bool, str | None, str | None], str] = {}
        if self.is_sqlite:
            if self.url.database:
                Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
            self.engine = sa.create_engine(
                self.url, hide_parameters=True, pool_size=pool_size, max_overflow=10, connect_args={"timeout": 30}
            )
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        else:
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
                    "application_name": "lapor-gateway",
                    # A plan made while a queue was empty must not be kept until it holds a million rows; and no
                    # statement here is one that compiling would make faster.
                    "options": "-c plan_cache_mode=force_custom_plan -c jit=off",
                },
            )

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """Open a transaction that writes; it commits when the block ends, and rolls back on any exception."""
        # SQLite has one writer: waiting for it here is fair, its own busy handler is not.
        turn = self._write_lock if self.is_sqlite else nullcontext()
        with translated_errors(), turn, self.engine.connect() as connection:
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
        with translated_errors(), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that only reads."""
        with translated_errors(), self.engine.connect() as connection:
            yield connection

    def claim_file(self) -> None:
        """Make sure that no other process runs on this SQLite file, as long as this one lives.

        Raises `Misconfigured` where one does. The lock is the operating system's: it ends with the process.
        """
        if self._lock_file is not None or not self.url.database:
            return
        file = Path(self.url.database + ".lock").open("a")  # noqa: SIM115  open as long as the process
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            file.close()
            raise Misconfigured(
                f"another gateway runs on {self.url.database}; stop it, or use PostgreSQL for several processes"
            ) from exc
        self._lock_file = file

    def ping(self) -> None:
        """Ask the database for an answer; raises `Unavailable`."""
        with self.read() as connection:
            connection.execute(sa.text("SELECT 1"))

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
        rows: Sequence[dict[str, Any]],
        *,
        ignore_conflicts: bool = False,
        add_up: str | None = None,
        returning: str | None = None,
    ) -> list[Any]:
        """Insert many rows in one statement; return the `returning` column of those really inserted.

        All rows have the same keys. A row whose key is there already is left out with `ignore_conflicts`; with
        `add_up` its value of that column is added to the one there. On PostgreSQL the columns travel as binary arrays: a fifth of the cost of
        `executemany`, see docs/performance.md.
        """
        if not rows:
            return []
        columns = tuple(rows[0])
        if not self.is_sqlite:
            statement = self._unnest(table, columns, ignore_conflicts, add_up, returning)
            arrays = tuple([row[column] for row in rows] for column in columns)
            cursor = connection.exec_driver_sql(statement, arrays)
            return [row[0] for row in cursor] if returning else []
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

    def _unnest(
        self, table: sa.Table, columns: tuple[str, ...], ignore: bool, add_up: str | None, returning: str | None
    ) -> str:
        key = (table.name, columns, ignore, add_up, returning)
        if key not in self._inserts:
            names = ", ".join(columns)
            keys = ", ".join(column.name for column in table.primary_key.columns)
            arrays = ", ".join(f"%b::{_array_type(table.c[column].type)}" for column in columns)
            self._inserts[key] = (
                f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays})"  # noqa: S608  our own names
                + (" ON CONFLICT DO NOTHING" if ignore else "")
                + (
                    f" ON CONFLICT ({keys}) DO UPDATE SET {add_up} = {table.name}.{add_up} + excluded.{add_up}"
                    if add_up
                    else ""
                )
                + (f" RETURNING {returning}" if returning else "")
            )
        return self._inserts[key]


def any_of(column: sa.ColumnElement[Any], values: Sequence[Any], database: Database) -> sa.ColumnElement[bool]:
    """Return `column IN values` in the form each dialect plans once, whatever the number of values."""
    if database.is_sqlite:
        return column.in_(values)
    array = sa.bindparam(None, list(values), type_=postgresql.ARRAY(column.type))
    return column == sa.any_(array)


def _array_type(kind: sa.types.TypeEngine[Any]) -> str:
    dialect: sa.Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return f"{kind.compile(dialect=dialect)}[]"


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


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the database's errors into the gateway's own, which say whether trying again may help."""
    try:
        yield
    except _PERMANENT as exc:
        raise Rejected(f"the database refused it ({_kind(exc)})") from exc
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as exc:
        raise Unavailable(f"the database failed ({_kind(exc)})") from exc


def _kind(exc: Exception) -> str:
    """Name the error without its text, which may quote a row."""
    original = getattr(exc, "orig", None) or exc
    code = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)
    return f"{type(original).__name__}, {code}" if code else type(original).__name__
