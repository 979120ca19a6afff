"""The port to the central LAPOR store. Each driver implements it; `sql` is the driver for SQL databases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from gateway.domain.complaint import Addition, Complaint, Status
from gateway.domain.errors import GatewayError

__all__ = ["ANONYMOUS", "CONFIDENTIAL", "CentralStore", "Delivered", "Standing"]

CONFIDENTIAL = "(rahasia)"  # in place of content that the citizen asked to keep secret
ANONYMOUS = "(anonim)"  # in place of an id that could reveal an anonymous reporter


@dataclass(frozen=True, slots=True)
class Delivered:
    """The result of a batch: a ticket per complaint that was stored, an error per complaint that was not."""

    tickets: dict[UUID, str]
    refused: dict[UUID, GatewayError]


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Ticket, status and agency of a complaint at the centre."""

    ticket: str
    status: Status
    agency: str
    updated_at: datetime


class CentralStore(Protocol):
    """The central store. The id of a complaint is the idempotency key of every call."""

    def deliver(self, complaints: Sequence[Complaint]) -> Delivered:
        """Store complaints and give each a ticket; a stored complaint keeps its ticket and is not changed.

        Raises `Unavailable` if the result of the whole batch is unknown.
        """

    def amend(self, complaint: Complaint, why: str) -> None:
        """Replace the content of a complaint, with a line of history; raises `Unavailable` or `Rejected`."""

    def add(self, complaint_id: UUID, addition: Addition) -> Standing:
        """Add a further message of the reporter, once per addition id; if its text changed, replace the stored text.

        Raises `Unavailable` if the complaint is not there.
        """

    def withdraw(self, complaint_id: UUID, why: str) -> Standing:
        """Archive a complaint for its reporter, unless it has ended already.

        Raises `Unavailable` if the complaint is not there.
        """

    def find(self, ids: Sequence[UUID]) -> dict[UUID, Standing]:
        """Return complaints by id; unknown ids are left out. Raises `Unavailable`."""

    def newest(self, limit: int) -> list[dict[str, object]]:
        """Return the newest complaints, newest first: ticket, status, category, agency, title, created_at.

        The title of a confidential complaint is `CONFIDENTIAL`. Raises `Unavailable`.
        """

    def by_ticket(self, ticket: str) -> dict[str, object] | None:
        """Return one complaint with `history` and `additions`, or `None` if no complaint has the ticket.

        Without the reporter. The content of a confidential complaint is `CONFIDENTIAL`, the external id of an anonymous
        one is `ANONYMOUS`. Raises `Unavailable`.
        """
