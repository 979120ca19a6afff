"""The port to the central LAPOR store. Its driver `sql` is in this package; others fit the same methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from gateway.domain.complaint import Addition, Complaint, Status
from gateway.domain.errors import GatewayError

__all__ = ["CentralStore", "Delivered", "Standing"]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a batch: a ticket for each complaint taken, an error for each that was not."""

    tickets: dict[UUID, str]
    refused: dict[UUID, GatewayError]


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How a complaint stands at the centre."""

    ticket: str
    status: Status
    agency: str
    updated_at: datetime


class CentralStore(Protocol):
    """Where complaints end up. A complaint's id is the idempotency key of every call."""

    def deliver(self, complaints: Sequence[Complaint]) -> Delivered:
        """Store complaints and give each a ticket; one that is already there keeps its ticket and is not changed.

        Raises `Unavailable` where nothing can be said of the whole batch.
        """

    def amend(self, complaint: Complaint, why: str) -> None:
        """Rewrite what a replay reads differently, with a line of history; raises `Unavailable` or `Rejected`."""

    def add(self, complaint_id: UUID, addition: Addition) -> Standing:
        """Add what the reporter wrote later, once for each addition's id; with another text it replaces the former.

        Raises `Unavailable` where the complaint is not there.
        """

    def withdraw(self, complaint_id: UUID, why: str) -> Standing:
        """Archive an open complaint whose reporter takes it back; one that has ended is left as it is.

        Raises `Unavailable` where it is not there.
        """

    def find(self, ids: Sequence[UUID]) -> dict[UUID, Standing]:
        """Look complaints up by id; an unknown id is left out. Raises `Unavailable`."""

    def newest(self, limit: int) -> list[dict[str, object]]:
        """Return the newest complaints in short, newest first: ticket, status, category, agency, title, created_at.

        The title of a confidential complaint is withheld. Raises `Unavailable`.
        """

    def by_ticket(self, ticket: str) -> dict[str, object] | None:
        """Return one complaint with `history` and `additions`, or `None` if no complaint has the ticket.

        Never the reporter; the content of a confidential complaint is withheld. Raises `Unavailable`.
        """
