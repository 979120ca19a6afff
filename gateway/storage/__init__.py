"""The only room with an SQL engine: connections, bulk statements, encryption, migrations."""

from __future__ import annotations

from typing import TypeAlias

import sqlalchemy as sa

# A room that begins a transaction passes it to the rooms that read and write in it.
Transaction: TypeAlias = sa.Connection

__all__ = ["Transaction"]
