"""Encrypts stored values again with the key that encrypts now, so that an old key can be thrown away."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import sqlalchemy as sa

from gateway.central.tables import complaints
from gateway.spool import Spool
from gateway.spool.tables import cases, inbox, outbox
from gateway.storage.database import Database

_COLUMNS: tuple[tuple[sa.Table, str, bytes], ...] = (
    (inbox, "payload", b"inbox"),
    (outbox, "payload", b"outbox"),
    (cases, "complaint", b"case"),
    (cases, "contact", b"contact"),
    (complaints, "reporter", b"reporter"),
)


def rekey(spool: Spool, central: Database, batch: int) -> Iterator[tuple[str, int]]:
    """Go through every encrypted column; yield `(table.column, values encrypted anew)` as each is finished.

    Raises `Undecryptable` where a value's key is missing; what was done before stays done.
    """
    for table, column, purpose in _COLUMNS:
        database = central if table is complaints else spool.database
        total, after = 0, UUID(int=0)
        while True:
            changed, last = _page(spool, database, table, column, purpose, after, batch)
            total += changed
            if last is None:
                break
            after = last
        yield f"{table.name}.{column}", total


def _page(
    spool: Spool, database: Database, table: sa.Table, name: str, purpose: bytes, after: UUID, batch: int
) -> tuple[int, UUID | None]:
    column, keyring = table.c[name], spool.keyring
    chosen = (
        sa.select(table.c.id, column)
        .where(table.c.id > after, column.is_not(None))
        .order_by(table.c.id)
        .limit(batch)
        .with_for_update()
    )
    with database.begin() as connection:
        rows = connection.execute(chosen).all()
        old = [row for row in rows if not keyring.is_current(row[1])]
        if old:
            connection.execute(
                sa.update(table).where(table.c.id == sa.bindparam("row")).values({name: sa.bindparam("sealed")}),
                [{"row": row.id, "sealed": keyring.encrypt(keyring.decrypt(row[1], purpose), purpose)} for row in old],
            )
    return len(old), rows[-1].id if rows else None
