"""The database's errors in the gateway's words: whether trying again may help, and what an operator can do.

Never the error's own text: it may quote a row, a user or a password.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from gateway.domain.errors import Rejected, Unavailable
from gateway.domain.texts import Text, text

# The row's own fault. A missing table is not: that is a database in the wrong state, which somebody will mend.
_PERMANENT = (sa.exc.DataError, sa.exc.IntegrityError)


@contextmanager
def translated_errors(url: sa.URL) -> Iterator[None]:
    """Turn the database's errors into the gateway's own, which say whether trying again may help."""
    try:
        yield
    except _PERMANENT as exc:
        raise Rejected(text("the database refused it ({kind})", kind=_kind(exc))) from exc
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as exc:
        raise Unavailable(_trouble(url, exc)) from exc


def _kind(exc: Exception) -> str:
    """Name the error without its text, which may quote a row."""
    original = getattr(exc, "orig", None) or exc
    code = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)
    return f"{type(original).__name__}, {code}" if code else type(original).__name__


# What SQLite calls it, and what to do. Its longer names, as SQLITE_READONLY_DIRECTORY, begin alike.
_SQLITE_TROUBLES = {
    "SQLITE_READONLY": text(
        "is not writable by this user: check owner and permissions of it, of the files -wal and -shm beside "
        "it, and of its directory"
    ),
    "SQLITE_CANTOPEN": text("cannot be opened: check that it and its directory exist, their owner and permissions"),
    "SQLITE_NOTADB": text("is not an SQLite database: restore the backup"),
    "SQLITE_CORRUPT": text("is damaged: restore the backup"),
    "SQLITE_FULL": text("cannot grow: the disk is full; make room"),
    "SQLITE_BUSY": text("is held by another program: end that one"),
}
# What PostgreSQL or its client says before there is a connection; then it quotes no row. The first that occurs counts.
_POSTGRES_TROUBLES = (
    (
        r"authentication failed|pg_hba\.conf|no password|role \".*\" ",
        text("authentication failed: check user and password"),
    ),
    (r"database \".*\" does not exist", text("there is no such database: create it, or correct the URL")),
    (r"[Cc]onnection refused", text("connection refused: is it running, and is the URL in gateway.toml right?")),
    (r"resolve|not known", text("the host's name is not known: correct the URL")),
    (r"timeout|timed out", text("no answer in time: is it running, and does a firewall let us through?")),
    (r"too many", text("it takes no more connections: raise max_connections, or lower [database] pool")),
)


def _lacks_tables(original: Any) -> bool:
    return getattr(original, "sqlstate", None) in ("42P01", "42703") or bool(
        getattr(original, "sqlite_errorname", None) == "SQLITE_ERROR"
        and re.match("no such (table|column)", str(original))
    )


def _trouble(url: sa.URL, exc: Exception) -> Text:
    """Return what failed and what to do: with the place, never with user, password or the error's own text."""
    original = getattr(exc, "orig", None) or exc
    if _lacks_tables(original):
        return text(
            "the database {name}: its tables are missing or old; run: run_gateway.py migrate", name=url.database
        )
    if url.get_backend_name() == "sqlite":
        code = getattr(original, "sqlite_errorname", None) or ""
        known = next((trouble for start, trouble in _SQLITE_TROUBLES.items() if code.startswith(start)), None)
        if known is None:
            return text("the database {name} failed ({error})", name=url.database, error=_kind(exc))
        return text("the database {name} {trouble}", name=url.database, trouble=known)
    place = f"{url.host or 'localhost'}:{url.port or 5432}/{url.database or ''}"
    if type(original).__name__ == "OperationalError" and getattr(original, "sqlstate", None) is None:
        for pattern, trouble in _POSTGRES_TROUBLES:
            if re.search(pattern, str(original)):
                return text("the database {place}: {trouble}", place=place, trouble=trouble)
    return text("the database {name} failed ({error})", name=place, error=_kind(exc))
