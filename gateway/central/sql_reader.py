"""Read the central store in an SQL database, without the content of confidential complaints."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec
import sqlalchemy as sa

from gateway.central.port import ANONYMOUS, CONFIDENTIAL, Standing
from gateway.central.tables import additions, complaints, history
from gateway.domain.complaint import Reporter, Status
from gateway.storage import Transaction
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database, any_of
from gateway.storage.encrypted import purpose_of

_SHORT = ("ticket", "status", "category", "agency", "title", "created_at")
_WHOLE = tuple(column.name for column in complaints.c if column.name not in ("reporter", "reasons", "attachments"))
_CONTENT = frozenset({"title", "description", "place_text"})  # columns that may quote the citizen


class SqlCentralReader:
    """The methods of `SqlCentralStore` that only read."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self.database = database
        self._keyring = keyring

    def find(self, ids: Sequence[UUID]) -> dict[UUID, Standing]:
        """Look complaints up by id."""
        table = complaints
        columns = (table.c.id, table.c.ticket, table.c.status, table.c.agency, table.c.updated_at)
        with self.database.read() as transaction:
            rows = transaction.execute(sa.select(*columns).where(any_of(table.c.id, ids, self.database)))
            return {
                row.id: Standing(
                    ticket=row.ticket, status=Status(row.status), agency=row.agency, updated_at=row.updated_at
                )
                for row in rows
            }

    def newest(self, limit: int) -> list[dict[str, object]]:
        """Return the newest complaints."""
        with self.database.read() as transaction:
            rows = transaction.execute(sa.select(complaints).order_by(complaints.c.id.desc()).limit(limit))
            return [_public(row, _SHORT) for row in rows.mappings()]

    def by_ticket(self, ticket: str) -> dict[str, object] | None:
        """Return one complaint with its history."""
        with self.database.read() as transaction:
            chosen = sa.select(complaints).where(complaints.c.ticket == ticket)
            row = transaction.execute(chosen).mappings().one_or_none()
            if row is None:
                return None
            history_lines = _history(transaction, row["id"])
            addition_rows = _additions(transaction, row["id"])
        confidential = row["confidential"]
        return _public(row, _WHOLE) | {
            "reasons": CONFIDENTIAL if confidential else msgspec.json.decode(row["reasons"]),
            "attachments": len(msgspec.json.decode(row["attachments"])),
            "history": history_lines,
            "additions": [_hidden(addition) for addition in addition_rows] if confidential else addition_rows,
        }

    def reporter(self, stored: bytes) -> Reporter:
        """Return the reporter of a row; raises `Undecryptable`."""
        return msgspec.json.decode(self._keyring.decrypt(stored, purpose_of(complaints.c.reporter)), type=Reporter)


def _history(transaction: Transaction, complaint_id: UUID) -> list[dict[str, object]]:
    chosen = sa.select(history).where(history.c.complaint_id == complaint_id).order_by(history.c.id)
    return [dict(line) for line in transaction.execute(chosen).mappings()]


def _additions(transaction: Transaction, complaint_id: UUID) -> list[dict[str, object]]:
    chosen = sa.select(additions.c.at, additions.c.text).where(additions.c.complaint_id == complaint_id)
    ordered = chosen.order_by(additions.c.at, additions.c.id)
    return [dict(addition) for addition in transaction.execute(ordered).mappings()]


def _hidden(addition: dict[str, object]) -> dict[str, object]:
    return addition | {"text": CONFIDENTIAL}


def _public(row: sa.RowMapping, columns: Sequence[str]) -> dict[str, object]:
    """Return columns of a complaint; content of a confidential and id of an anonymous complaint are replaced."""
    shown = {name: row[name] for name in columns}
    if row["confidential"]:
        shown |= dict.fromkeys(_CONTENT & shown.keys(), CONFIDENTIAL)
    if row["anonymous"] and "external_id" in shown:
        shown["external_id"] = ANONYMOUS
    return shown
