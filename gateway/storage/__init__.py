"""Access SQL databases: connections, bulk statements, encryption, migrations. Only this package makes an engine."""

from __future__ import annotations

from typing import TypeAlias

import sqlalchemy as sa

# The code that begins a transaction passes it to all code that reads and writes in it.
Transaction: TypeAlias = sa.Connection

__all__ = ["Transaction"]
