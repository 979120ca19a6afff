"""Declare encrypted columns with their purpose, and find them in the metadata of the tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa

from gateway.storage.crypto import Keyring
from gateway.storage.database import Database

_INFO = "purpose"


class EncryptedColumn(NamedTuple):
    """An encrypted column, with the purpose that is authenticated with each of its values."""

    column: sa.Column[bytes]
    purpose: bytes

    @property
    def name(self) -> str:
        """Return the name to show, such as `inbox.payload`."""
        return f"{self.column.table.name}.{self.column.name}"


def encrypted_column(name: str, purpose: str, *, nullable: bool = True) -> sa.Column[bytes]:
    """Return a column for values of `Keyring.encrypt`; no two columns may share a purpose."""
    return sa.Column(name, sa.LargeBinary, nullable=nullable, info={_INFO: purpose.encode()})


def purpose_of(column: sa.Column[bytes]) -> bytes:
    """Return the purpose of an encrypted column; raises `KeyError` if the column is not encrypted."""
    purpose: bytes = column.info[_INFO]
    return purpose


def encrypted_columns(metadata: sa.MetaData) -> Iterator[EncryptedColumn]:
    """Yield the encrypted columns of all tables, in the order of their definitions."""
    for table in metadata.tables.values():
        for column in table.columns:
            if _INFO in column.info:
                yield EncryptedColumn(column, purpose_of(column))


def missing_key(database: Database, metadata: sa.MetaData, keyring: Keyring, *, newest: bool) -> str | None:
    """Return the fingerprint of a key that stored values need and the ring does not have, or `None`.

    Only the newest value of each encrypted column is read, or else the oldest: all values would take too long at the
    start, and keys usually change in the order of time. Raises `Unavailable`.
    """
    with database.read() as transaction:
        for column, _ in encrypted_columns(metadata):
            row_id = column.table.c.id
            order = row_id.desc() if newest else row_id.asc()
            stored = transaction.execute(sa.select(column).where(column.is_not(None)).order_by(order).limit(1)).scalar()
            if stored is not None and (missing := keyring.missing(stored)):
                return missing
    return None
