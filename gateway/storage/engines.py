"""SQLAlchemy engines with the settings that this gateway relies on, one function per dialect."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection

# Settings of the server for our connections:
# - plan_cache_mode: a plan that was made for an empty queue must not be used for a million rows;
# - jit: compilation makes none of our statements faster;
# - the timeouts: our transactions are short, so an idle one belongs to a machine that is gone. With TCP's own timeouts
#   the server would keep the locks of such a transaction for hours.
_POSTGRES_OPTIONS = (
    "-c plan_cache_mode=force_custom_plan -c jit=off -c idle_in_transaction_session_timeout=10s"
    " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
)
_POSTGRES_CONNECTION = {
    "connect_timeout": 3,  # seconds
    # Without keep-alives, a webhook could wait for minutes for a server that is gone.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,  # milliseconds; while sent data is unacknowledged, no keep-alives are sent
    "application_name": "lapor-gateway",
    "options": _POSTGRES_OPTIONS,
}


def postgres_engine(url: sa.URL, pool_size: int, register: Callable[[DBAPIConnection], None]) -> sa.Engine:
    """Return an engine for PostgreSQL; `register` prepares each new connection."""
    engine = sa.create_engine(
        url,
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=10,
        pool_timeout=10,
        pool_use_lifo=True,
        connect_args=_POSTGRES_CONNECTION,
    )
    sa.event.listen(engine, "connect", lambda connection, _record: register(connection))
    return engine


def sqlite_engine(url: sa.URL, pool_size: int) -> sa.Engine:
    """Return an engine for SQLite in WAL mode; create its file for the owner alone. Raises `OSError`."""
    if url.database:
        _make_private(Path(url.database))
    engine = sa.create_engine(
        url, hide_parameters=True, pool_size=pool_size, max_overflow=10, connect_args={"timeout": 30}
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private(path: Path) -> None:
    """Create the file, readable by its owner only, before SQLite does; SQLite gives its other files the same mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself: `_begin_sqlite` does
    with closing(connection.cursor()) as cursor:
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")  # an accepted message survives a power cut
        cursor.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
