"""One SQL database: connections, transactions, bulk statements, and the two dialects' differences in one place.

SQLite is the embedded default (WAL, one process); PostgreSQL is production. Errors leave here as the gateway's own:
`Unavailable` when trying later may help, `Rejected` when the row itself is at fault.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from gateway.errors import Rejected, Unavailable

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
        self._inserts: dict[tuple[object, ...], str] = {}
        if self.is_sqlite:
            if self.url.database:
                _make_private(Path(self.url.database))
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
                f"the lock file {path} cannot be opened: {exc.strerror}; check owner and permissions of it and its "
                "directory"
            ) from exc
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            file.close()
            raise Unavailable(
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
        `add_up` its value of that column is added to the one there. On PostgreSQL the columns travel as binary arrays:
        a fifth of the cost of `executemany`, see docs/performance.md.
        """
        if not rows:
            return []
        columns = tuple(rows[0])
        if not self.is_sqlite:
            arrays = {column: [row[column] for row in rows] for column in columns}
            # Many columns say the same in every row of a batch: those travel once.
            once = tuple(column for column, values in arrays.items() if _all_equal(values))
            statement = self._unnest(table, columns, once, ignore_conflicts, add_up, returning)
            values = [*(arrays[c][0] for c in once), *(arrays[c] for c in columns if c not in once)]
            cursor = connection.exec_driver_sql(statement, tuple(values))
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
        self,
        table: sa.Table,
        columns: tuple[str, ...],
        once: tuple[str, ...],
        ignore: bool,
        add_up: str | None,
        returning: str | None,
    ) -> str:
        key = (table.name, columns, once, ignore, add_up, returning)
        if key not in self._inserts:
            kinds = {column: _type_name(table.c[column].type) for column in columns}
            many = [column for column in columns if column not in once]
            chosen = ", ".join([*(f"%b::{kinds[c]}" for c in once), *(f"given.{c}" for c in many)])
            arrays = ", ".join(f"%b::{kinds[c]}[]" for c in many)
            keys = ", ".join(column.name for column in table.primary_key.columns)
            conflict = " ON CONFLICT DO NOTHING" if ignore else ""
            if add_up:
                total = f"{table.name}.{add_up} + excluded.{add_up}"
                conflict = f" ON CONFLICT ({keys}) DO UPDATE SET {add_up} = {total}"
            self._inserts[key] = (
                f"INSERT INTO {table.name} ({', '.join([*once, *many])})"  # noqa: S608  our own names
                f" SELECT {chosen} FROM unnest({arrays}) AS given({', '.join(many)}){conflict}"
                + (f" RETURNING {table.name}.{returning}" if returning else "")
            )
        return self._inserts[key]


def _all_equal(values: list[Any]) -> bool:
    first = values[0]
    # The last one first: columns that differ mostly differ there, and comparing all of them would cost.
    return len(values) > 1 and bool(values[-1] == first) and values.count(first) == len(values)


def any_of(column: sa.ColumnElement[Any], values: Sequence[Any], database: Database) -> sa.ColumnElement[bool]:
    """Return `column IN values` in the form each dialect plans once, whatever the number of values."""
    if database.is_sqlite:
        return column.in_(values)
    array = sa.bindparam(None, list(values), type_=postgresql.ARRAY(column.type))
    return column == sa.any_(array)


def _type_name(kind: sa.types.TypeEngine[Any]) -> str:
    dialect: sa.Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return str(kind.compile(dialect=dialect))


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


@contextmanager
def translated_errors(url: sa.URL) -> Iterator[None]:
    """Turn the database's errors into the gateway's own, which say whether trying again may help."""
    try:
        yield
    except _PERMANENT as exc:
        raise Rejected(f"the database refused it ({_kind(exc)})") from exc
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as exc:
        raise Unavailable(_trouble(url, exc)) from exc


def _kind(exc: Exception) -> str:
    """Name the error without its text, which may quote a row."""
    original = getattr(exc, "orig", None) or exc
    code = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)
    return f"{type(original).__name__}, {code}" if code else type(original).__name__


# What SQLite calls it, and what to do. Its longer names, as SQLITE_READONLY_DIRECTORY, begin alike.
_SQLITE_TROUBLES = {
    "SQLITE_READONLY": "is not writable by this user: check owner and permissions of it and its directory",
    "SQLITE_CANTOPEN": "cannot be opened: check that it and its directory exist, their owner and permissions",
    "SQLITE_NOTADB": "is not an SQLite database: restore the backup",
    "SQLITE_CORRUPT": "is damaged: restore the backup",
    "SQLITE_FULL": "cannot grow: the disk is full; make room",
    "SQLITE_BUSY": "is held by another program: end that one",
}
# What PostgreSQL or its client says before there is a connection; then it quotes no row. The first that occurs counts.
_POSTGRES_TROUBLES = (
    (r"authentication failed|pg_hba\.conf|no password|role \".*\" ", "authentication failed: check user and password"),
    (r"database \".*\" does not exist", "there is no such database: create it, or correct the URL"),
    (r"[Cc]onnection refused", "connection refused: is it running, and is the URL in gateway.toml right?"),
    (r"resolve|not known", "the host's name is not known: correct the URL"),
    (r"timeout|timed out", "no answer in time: is it running, and does a firewall let us through?"),
    (r"too many", "it takes no more connections: raise max_connections, or lower [database] pool"),
)


def _lacks_tables(original: Any) -> bool:
    return getattr(original, "sqlstate", None) in ("42P01", "42703") or bool(
        getattr(original, "sqlite_errorname", None) == "SQLITE_ERROR"
        and re.match("no such (table|column)", str(original))
    )


def _trouble(url: sa.URL, exc: Exception) -> str:
    """Say what failed and what to do: with the place, never with user, password or the error's own text."""
    original = getattr(exc, "orig", None) or exc
    if _lacks_tables(original):
        return f"the database {url.database}: its tables are missing or old; run: run_gateway.py migrate"
    if url.get_backend_name() == "sqlite":
        name = getattr(original, "sqlite_errorname", None) or ""
        known = next((said for start, said in _SQLITE_TROUBLES.items() if name.startswith(start)), None)
        return f"the database {url.database} {known}" if known else f"the database {url.database} failed ({_kind(exc)})"
    place = f"the database {url.host or 'on this machine'}:{url.port or 5432}/{url.database or ''}"
    if type(original).__name__ == "OperationalError" and getattr(original, "sqlstate", None) is None:
        for pattern, said in _POSTGRES_TROUBLES:
            if re.search(pattern, str(original)):
                return f"{place}: {said}"
    return f"{place} failed ({_kind(exc)})"
