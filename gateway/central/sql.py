"""The central store in an SQL database: the gateway's own, or another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from gateway.central.port import Delivered, Standing
from gateway.central.tables import additions, history, ticket_counter
from gateway.central.tables import complaints as table
from gateway.domain.complaint import ENDED, Addition, Complaint, Reporter, Status
from gateway.domain.errors import GatewayError, Rejected, Unavailable
from gateway.domain.ids import new_id
from gateway.domain.texts import text
from gateway.domain.tickets import make_ticket
from gateway.ports import Clock
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database, any_of

_PURPOSE = b"reporter"
_json = msgspec.json.Encoder()


class SqlCentralStore:
    """Complaints, their tickets and their history in tables."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        self.database, self._keyring, self._clock = database, keyring, clock

    def deliver(self, complaints: Sequence[Complaint]) -> Delivered:
        """Store a batch; where the database refuses it, each complaint by itself, so that a bad one fails alone."""
        try:
            return Delivered(self._store(complaints), {})
        except Rejected:
            if len(complaints) == 1:
                raise
        tickets: dict[UUID, str] = {}
        refused: dict[UUID, GatewayError] = {}
        for complaint in complaints:
            try:
                tickets |= self._store([complaint])
            except Rejected as exc:
                refused[complaint.id] = exc
        return Delivered(tickets, refused)

    def _store(self, complaints: Sequence[Complaint]) -> dict[UUID, str]:
        """Insert what is not there yet, and return the tickets of all; a number taken for nothing is a harmless gap."""
        complaints = list({complaint.id: complaint for complaint in complaints}.values())
        now = self._clock()
        rows = [
            self._row(complaint) | {"ticket": make_ticket(number), "status": Status.RECEIVED.value, "created_at": now}
            for complaint, number in zip(complaints, self._allot(len(complaints)), strict=True)
        ]
        with self.database.begin() as connection:
            stored = set(self.database.insert(connection, table, rows, ignore_conflicts=True, returning="id"))
            self.database.insert(
                connection,
                history,
                [
                    {
                        "id": new_id(),
                        "complaint_id": complaint.id,
                        "at": now,
                        "actor": f"gateway {complaint.source.region}/{complaint.source.channel}",
                        "to_status": Status.RECEIVED.value,
                        "why": complaint.agency.reason,
                    }
                    for complaint in complaints
                    if complaint.id in stored
                ],
            )
            tickets = {row["id"]: row["ticket"] for row in rows if row["id"] in stored}
            if len(tickets) < len(rows):  # delivered before, and the answer was lost: the first ticket holds
                tickets |= self._tickets(connection, [row["id"] for row in rows if row["id"] not in stored])
        if len(tickets) < len(rows):
            raise Unavailable(text("a ticket number was already taken; is ticket_counter behind?"))
        return tickets

    def _allot(self, count: int) -> Iterable[int]:
        """Take running numbers, in one statement: no delivery waits for another's. Gaps are harmless."""
        with self.database.single() as connection:
            following = connection.execute(
                sa.update(ticket_counter)
                .values(next_number=ticket_counter.c.next_number + count)
                .returning(ticket_counter.c.next_number)
            ).scalar_one()
        return range(following - count, following)

    def _tickets(self, connection: sa.Connection, ids: Sequence[UUID]) -> dict[UUID, str]:
        found = connection.execute(sa.select(table.c.id, table.c.ticket).where(any_of(table.c.id, ids, self.database)))
        return {row.id: row.ticket for row in found}

    def _row(self, complaint: Complaint) -> dict[str, Any]:
        place, source, reporter = complaint.place, complaint.source, complaint.reporter
        reasons = {"classification": complaint.classification.reason, "agency": complaint.agency.reason}
        if complaint.category:
            reasons["category"] = complaint.category.reason
        if place.reason:
            reasons["place"] = place.reason
        if complaint.apart:
            reasons["apart"] = complaint.apart
        return {
            "id": complaint.id,
            "classification": complaint.classification.value,
            "category": complaint.category.value if complaint.category else None,
            "agency": complaint.agency.value,
            "reasons": _json.encode(reasons).decode(),
            "title": complaint.title,
            "description": complaint.description,
            "occurred_on": complaint.occurred_on,
            "place_text": place.text,
            "place_code": place.code,
            "latitude": place.latitude,
            "longitude": place.longitude,
            "anonymous": complaint.anonymous,
            "confidential": complaint.confidential,
            "reporter": self._keyring.encrypt(_json.encode(reporter), _PURPOSE) if reporter else None,
            "attachments": _json.encode(complaint.attachments).decode(),
            "region": source.region,
            "channel": source.channel,
            "adapter": source.adapter,
            "external_id": source.external_id,
            "sent_at": source.sent_at,
            "received_at": source.received_at,
            "updated_at": self._clock(),
        }

    def amend(self, complaint: Complaint, why: str) -> None:
        """Rewrite a complaint's content and append who changed it; what is not there yet is left to `deliver`."""
        row = self._row(complaint)
        with self.database.begin() as connection:
            status = connection.execute(
                sa.update(table).where(table.c.id == row.pop("id")).values(row).returning(table.c.status)
            ).scalar()
            if status is None:
                raise Unavailable(text("the complaint has not been delivered yet"))
            self._note(connection, complaint.id, status, status, why, actor="gateway")

    def add(self, complaint_id: UUID, addition: Addition) -> Standing:
        """Add to a complaint what its reporter wrote later, with a line of history."""
        row = {
            "id": addition.id,
            "complaint_id": complaint_id,
            "at": addition.at,
            "text": addition.text,
            "attachments": _json.encode(addition.attachments).decode(),
        }
        with self.database.begin() as connection:
            status = self._locked(connection, complaint_id)
            new = self.database.insert(connection, additions, [row], ignore_conflicts=True, returning="id")
            if new or self._rewritten(connection, row):
                self._note(connection, complaint_id, status, status, f"addition by the reporter: {addition.reason}")
                connection.execute(sa.update(table).where(table.c.id == complaint_id).values(updated_at=self._clock()))
        return self.find([complaint_id])[complaint_id]

    def _rewritten(self, connection: sa.Connection, row: dict[str, Any]) -> bool:
        """Give an addition that is there already its new text, where that is another."""
        changed = sa.update(additions).where(additions.c.id == row["id"], additions.c.text != row["text"])
        return connection.execute(changed.values(text=row["text"], attachments=row["attachments"])).rowcount > 0

    def withdraw(self, complaint_id: UUID, why: str) -> Standing:
        """Archive an open complaint, with a line of history."""
        with self.database.begin() as connection:
            status = self._locked(connection, complaint_id)
            if Status(status) not in ENDED:
                archived = {"status": Status.ARCHIVED.value, "updated_at": self._clock()}
                connection.execute(sa.update(table).where(table.c.id == complaint_id).values(archived))
                self._note(connection, complaint_id, status, Status.ARCHIVED.value, why)
        return self.find([complaint_id])[complaint_id]

    def _locked(self, connection: sa.Connection, complaint_id: UUID) -> str:
        """Return a complaint's status; nobody else changes it until the transaction ends."""
        chosen = sa.select(table.c.status).where(table.c.id == complaint_id).with_for_update()
        status: str | None = connection.execute(chosen).scalar()
        if status is None:
            raise Unavailable(text("the complaint has not been delivered yet"))
        return status

    def _note(
        self,
        connection: sa.Connection,
        complaint_id: UUID,
        before: str,
        after: str,
        why: str,
        *,
        actor: str = "reporter",
    ) -> None:
        line = {
            "id": new_id(),
            "complaint_id": complaint_id,
            "at": self._clock(),
            "actor": actor,
            "from_status": before,
            "to_status": after,
            "why": why,
        }
        self.database.insert(connection, history, [line])

    def find(self, ids: Sequence[UUID]) -> dict[UUID, Standing]:
        """Look complaints up by id."""
        columns = (table.c.id, table.c.ticket, table.c.status, table.c.agency, table.c.updated_at)
        with self.database.read() as connection:
            found = connection.execute(sa.select(*columns).where(any_of(table.c.id, ids, self.database)))
            return {
                row.id: Standing(
                    ticket=row.ticket, status=Status(row.status), agency=row.agency, updated_at=row.updated_at
                )
                for row in found
            }

    def newest(self, limit: int) -> list[dict[str, object]]:
        """Return the newest complaints."""
        with self.database.read() as connection:
            found = connection.execute(sa.select(table).order_by(table.c.id.desc()).limit(limit))
            return [_public(row, ("ticket", "status", "category", "agency", "title", "created_at")) for row in found]

    def by_ticket(self, ticket: str) -> dict[str, object] | None:
        """Return one complaint with its history."""
        with self.database.read() as connection:
            row = connection.execute(sa.select(table).where(table.c.ticket == ticket)).one_or_none()
            if row is None:
                return None
            lines = sa.select(history).where(history.c.complaint_id == row.id).order_by(history.c.id)
            past = [dict(line._mapping) for line in connection.execute(lines)]
            later = sa.select(additions.c.at, additions.c.text).where(additions.c.complaint_id == row.id)
            added = [dict(line._mapping) for line in connection.execute(later.order_by(additions.c.at, additions.c.id))]
        shown = _public(row, tuple(column.name for column in table.c if column.name != "reporter"))
        if not row.confidential:
            shown["reasons"] = msgspec.json.decode(shown["reasons"])
        shown["attachments"] = len(msgspec.json.decode(shown["attachments"]))
        if row.confidential:
            added = [line | {"text": "(rahasia)"} for line in added]
        return shown | {"history": past, "additions": added}

    def reporter(self, stored: bytes) -> Reporter:
        """Return the reporter of a row; raises `Undecryptable`."""
        return msgspec.json.decode(self._keyring.decrypt(stored, _PURPOSE), type=Reporter)


def _public(row: sa.Row[Any], columns: Sequence[str]) -> dict[str, Any]:
    """Return columns of a complaint; what a citizen asked to keep secret is withheld."""
    shown = {name: getattr(row, name) for name in columns}
    if row.confidential:
        shown |= {name: "(rahasia)" for name in ("title", "description", "place_text", "reasons") if name in shown}
    if row.anonymous and "external_id" in shown:
        shown["external_id"] = "(anonim)"
    return shown
