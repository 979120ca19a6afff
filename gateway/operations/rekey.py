"""Encrypt stored values again with the first key, so that an old key can be removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

import sqlalchemy as sa

from gateway.storage.crypto import Keyring
from gateway.storage.database import Database
from gateway.storage.encrypted import EncryptedColumn, encrypted_columns
from gateway.storage.tables import TableSet


def rekey(tables: Sequence[TableSet], keyring: Keyring, batch: int) -> Iterator[tuple[str, int]]:
    """Encrypt every encrypted column with the first key, `batch` rows in one transaction.

    Yields `("table.column", number of values encrypted again)` after each column. Raises `Undecryptable` if the ring
    does not have the key of a value; batches that were committed before stay as they are.
    """
    for table_set in tables:
        for encrypted in encrypted_columns(table_set.metadata):
            total, after = 0, UUID(int=0)
            while True:
                changed, last = _page(table_set.database, keyring, encrypted, after, batch)
                total += changed
                if last is None:
                    break
                after = last
            yield encrypted.name, total


def _page(
    database: Database, keyring: Keyring, encrypted: EncryptedColumn, after: UUID, batch: int
) -> tuple[int, UUID | None]:
    """Encrypt the next rows after an id; return the number of changed values, and the last id (`None` at the end)."""
    column, purpose = encrypted
    table = column.table
    chosen = (
        sa.select(table.c.id, column)
        .where(table.c.id > after, column.is_not(None))
        .order_by(table.c.id)
        .limit(batch)
        .with_for_update()
    )
    with database.begin() as transaction:
        rows = transaction.execute(chosen).all()
        old = [row for row in rows if not keyring.is_current(row[1])]
        if old:
            transaction.execute(
                sa.update(table).where(table.c.id == sa.bindparam("row")).values({column.name: sa.bindparam("sealed")}),
                [{"row": row.id, "sealed": keyring.encrypt(keyring.decrypt(row[1], purpose), purpose)} for row in old],
            )
    return len(old), rows[-1].id if rows else None
