"""The names of the tables' constraints, and the tables of each database."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from gateway.storage.database import Database


class TableSet(NamedTuple):
    """The tables that are migrated together, and the database that holds them."""

    part: str  # its name in `migrate`: "spool" or "central"
    metadata: sa.MetaData
    database: Database


def new_metadata() -> sa.MetaData:
    """Return metadata that names every constraint, so that a migration can change it on both dialects."""
    return sa.MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        }
    )
