"""The rows that the spool hands out have the columns of their tables, in their order: they are made by position."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from gateway.spool.rows import InboxRow, LeaseRow, OutboxRow
from gateway.spool.tables import cursors, inbox, outbox


@pytest.mark.parametrize(
    ("row_type", "table"),
    [(InboxRow, inbox), (OutboxRow, outbox), (LeaseRow, cursors)],
    ids=["inbox", "outbox", "leases"],
)
def test_a_row_has_the_columns_of_its_table(row_type: Any, table: sa.Table) -> None:
    assert row_type._fields == tuple(column.name for column in table.c)
