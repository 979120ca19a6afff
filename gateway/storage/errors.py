"""Translate database errors into the gateway's own errors, with a remedy for the operator.

The text of the database's error is never shown: it may quote a row, a user or a password.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from gateway.domain.errors import Rejected, Unavailable
from gateway.domain.texts import Text, text

# Errors of the row itself. A missing table is not among them: after `migrate` the row can be stored.
_PERMANENT = (sa.exc.DataError, sa.exc.IntegrityError)


@contextmanager
def translated_errors(url: sa.URL) -> Iterator[None]:
    """Raise `Rejected` if the database refuses a row in the block, `Unavailable` for its other errors."""
    try:
        yield
    except _PERMANENT as exc:
        raise Rejected(text("the database refused it ({kind})", kind=_kind(exc))) from exc
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as exc:
        raise Unavailable(_trouble(url, exc)) from exc


def _kind(exc: Exception) -> str:
    """Return class and code of an error, without its text: "IntegrityError, 23505"."""
    original = getattr(exc, "orig", None) or exc
    code = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)
    return f"{type(original).__name__}, {code}" if code else type(original).__name__


# The beginning of SQLite's error name (SQLITE_READONLY_DIRECTORY begins with SQLITE_READONLY), and the text to show.
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
# Patterns for error texts of PostgreSQL or its client, and the text to show. Used only for errors before there is a
# connection, which cannot quote a row. The first match counts.
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


def _lacks_tables(original: object) -> bool:
    if getattr(original, "sqlstate", None) in ("42P01", "42703"):  # undefined table, undefined column
        return True
    sqlite_error = getattr(original, "sqlite_errorname", None)
    return sqlite_error == "SQLITE_ERROR" and re.match("no such (table|column)", str(original)) is not None


def _trouble(url: sa.URL, exc: Exception) -> Text:
    """Return a text with the database's address (without user and password), the trouble and its remedy."""
    original = getattr(exc, "orig", None) or exc
    if _lacks_tables(original):
        return text(
            "the database {name}: its tables are missing or old; run: run_gateway.py migrate", name=url.database
        )
    if url.get_backend_name() == "sqlite":
        code = getattr(original, "sqlite_errorname", None) or ""
        sqlite_trouble = next((trouble for start, trouble in _SQLITE_TROUBLES.items() if code.startswith(start)), None)
        if sqlite_trouble is None:
            return text("the database {name} failed ({error})", name=url.database, error=_kind(exc))
        return text("the database {name} {trouble}", name=url.database, trouble=sqlite_trouble)
    place = f"{url.host or 'localhost'}:{url.port or 5432}/{url.database or ''}"
    if type(original).__name__ == "OperationalError" and getattr(original, "sqlstate", None) is None:
        for pattern, trouble in _POSTGRES_TROUBLES:
            if re.search(pattern, str(original)):
                return text("the database {place}: {trouble}", place=place, trouble=trouble)
    return text("the database {name} failed ({error})", name=place, error=_kind(exc))
