"""The only SQL engine room: connections, bulk statements, encryption, migrations."""

from __future__ import annotations

from typing import TypeAlias

import sqlalchemy as sa

Transaction: TypeAlias = (
    sa.Connection
)  # what passes from a room that begins a transaction to the rooms that write in it

__all__ = ["Transaction"]
