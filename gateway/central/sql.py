"""Store complaints in an SQL database, the gateway's own or another: the driver of the central store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

import sqlalchemy as sa

from gateway.central.port import Delivered, Standing
from gateway.central.rows import addition_row, complaint_row, history_row
from gateway.central.sql_reader import SqlCentralReader
from gateway.central.tables import additions, history, ticket_counter
from gateway.central.tables import complaints as table
from gateway.domain.complaint import ENDED, Addition, Complaint, Status
from gateway.domain.errors import GatewayError, Rejected, Unavailable
from gateway.domain.texts import text
from gateway.domain.tickets import make_ticket
from gateway.ports import Clock
from gateway.storage import Transaction
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database, any_of


class SqlCentralStore(SqlCentralReader):
    """The driver of the central store for SQL databases."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        super().__init__(database, keyring)
        self._clock = clock

    def deliver(self, complaints: Sequence[Complaint]) -> Delivered:
        """Store a batch; if the database refuses it, store each complaint alone, so that only the bad one fails."""
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
        """Insert new complaints; return the tickets of all. An unused number leaves a gap, which is harmless."""
        complaints = list({complaint.id: complaint for complaint in complaints}.values())
        numbers = self._allot(len(complaints))
        tickets = {complaint.id: make_ticket(number) for complaint, number in zip(complaints, numbers, strict=True)}
        with self.database.begin() as transaction:
            stored = self._insert(transaction, complaints, tickets)
            if len(stored) < len(complaints):  # some were delivered before: their first tickets stay valid
                again = [complaint_id for complaint_id in tickets if complaint_id not in stored]
                tickets = {complaint_id: tickets[complaint_id] for complaint_id in stored}
                tickets |= self._tickets(transaction, again)
        if len(tickets) < len(complaints):
            raise Unavailable(
                text("a ticket number is in use already: ticket_counter is lower than the highest ticket; raise it")
            )
        return tickets

    def _insert(self, transaction: Transaction, complaints: Sequence[Complaint], tickets: dict[UUID, str]) -> set[UUID]:
        """Insert complaints with their tickets and the first line of their history; return the ids of the new ones."""
        now, received = self._clock(), Status.RECEIVED.value
        rows = [
            complaint_row(complaint, self._keyring, now)
            | {"ticket": tickets[complaint.id], "status": received, "created_at": now}
            for complaint in complaints
        ]
        stored = set(self.database.insert(transaction, table, rows, ignore_conflicts=True, returning="id"))
        lines = [
            history_row(
                complaint.id,
                now,
                actor=f"gateway {complaint.source.region}/{complaint.source.channel}",
                before=None,
                after=received,
                why=complaint.agency.reason,
            )
            for complaint in complaints
            if complaint.id in stored
        ]
        self.database.insert(transaction, history, lines)
        return stored

    def _allot(self, count: int) -> Iterable[int]:
        """Reserve running numbers in a transaction of their own, so that deliveries do not wait for one another."""
        with self.database.single() as transaction:
            following = transaction.execute(
                sa.update(ticket_counter)
                .values(next_number=ticket_counter.c.next_number + count)
                .returning(ticket_counter.c.next_number)
            ).scalar_one()
        return range(following - count, following)

    def _tickets(self, transaction: Transaction, ids: Sequence[UUID]) -> dict[UUID, str]:
        rows = transaction.execute(sa.select(table.c.id, table.c.ticket).where(any_of(table.c.id, ids, self.database)))
        return {row.id: row.ticket for row in rows}

    def amend(self, complaint: Complaint, why: str) -> None:
        """Replace the content of a complaint, with a line of history. Raises `Unavailable` if it was not delivered."""
        row = complaint_row(complaint, self._keyring, self._clock())
        with self.database.begin() as transaction:
            status = transaction.execute(
                sa.update(table).where(table.c.id == row.pop("id")).values(row).returning(table.c.status)
            ).scalar()
            if status is None:
                raise Unavailable(text("the complaint has not been delivered yet"))
            self._note(transaction, complaint.id, status, status, why, actor="gateway")

    def add(self, complaint_id: UUID, addition: Addition) -> Standing:
        """Add a further message of the reporter to a complaint, with a line of history."""
        row = addition_row(complaint_id, addition)
        with self.database.begin() as transaction:
            status = self._locked(transaction, complaint_id)
            new = self.database.insert(transaction, additions, [row], ignore_conflicts=True, returning="id")
            if new or self._rewritten(transaction, row):
                self._note(transaction, complaint_id, status, status, f"addition by the reporter: {addition.reason}")
                transaction.execute(sa.update(table).where(table.c.id == complaint_id).values(updated_at=self._clock()))
        return self.find([complaint_id])[complaint_id]

    def _rewritten(self, transaction: Transaction, row: dict[str, object]) -> bool:
        """Replace the text of a stored addition if it differs; return whether it did."""
        changed = sa.update(additions).where(additions.c.id == row["id"], additions.c.text != row["text"])
        result = transaction.execute(changed.values(text=row["text"], attachments=row["attachments"]))
        return bool(result.rowcount)

    def withdraw(self, complaint_id: UUID, why: str) -> Standing:
        """Archive an open complaint, with a line of history."""
        with self.database.begin() as transaction:
            status = self._locked(transaction, complaint_id)
            if Status(status) not in ENDED:
                archived = {"status": Status.ARCHIVED.value, "updated_at": self._clock()}
                transaction.execute(sa.update(table).where(table.c.id == complaint_id).values(archived))
                self._note(transaction, complaint_id, status, Status.ARCHIVED.value, why)
        return self.find([complaint_id])[complaint_id]

    def _locked(self, transaction: Transaction, complaint_id: UUID) -> str:
        """Return the status of a complaint, and lock it until the transaction ends."""
        chosen = sa.select(table.c.status).where(table.c.id == complaint_id).with_for_update()
        status: str | None = transaction.execute(chosen).scalar()
        if status is None:
            raise Unavailable(text("the complaint has not been delivered yet"))
        return status

    def _note(
        self,
        transaction: Transaction,
        complaint_id: UUID,
        before: str,
        after: str,
        why: str,
        *,
        actor: str = "reporter",
    ) -> None:
        line = history_row(complaint_id, self._clock(), actor=actor, before=before, after=after, why=why)
        self.database.insert(transaction, history, [line])
