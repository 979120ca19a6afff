"""The port to the central LAPOR store. The module `sql` has the driver for SQL databases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from gateway.domain.complaint import Addition, Complaint, Status
from gateway.domain.errors import GatewayError

__all__ = ["ANONYMOUS", "CONFIDENTIAL", "CentralStore", "Delivered", "Standing"]

CONFIDENTIAL = "(rahasia)"  # in place of the content of a confidential complaint
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
        """Store complaints and give each a ticket; a complaint that was stored before keeps its ticket and content.

        Raises `Unavailable` if the result is unknown; the caller repeats the whole batch. May raise `Rejected` for a
        batch of one complaint, instead of an entry in `refused`.
        """

    def amend(self, complaint: Complaint, why: str) -> None:
        """Replace the content of a complaint, with `why` as a line of history.

        Raises `Rejected`, or `Unavailable`, also if the complaint has not been delivered yet.
        """

    def add(self, complaint_id: UUID, addition: Addition) -> Standing:
        """Add a further message of the reporter, once per addition id; replace the stored text if it has changed.

        Raises `Rejected`, or `Unavailable`, also if the complaint has not been delivered yet.
        """

    def withdraw(self, complaint_id: UUID, why: str) -> Standing:
        """Archive a complaint for its reporter unless it has ended; return its status after that.

        Raises `Rejected`, or `Unavailable`, also if the complaint has not been delivered yet.
        """

    def find(self, ids: Sequence[UUID]) -> dict[UUID, Standing]:
        """Return complaints by id; unknown ids are left out. Raises `Unavailable`."""

    def newest(self, limit: int) -> list[dict[str, object]]:
        """Return the newest complaints, newest first: ticket, status, category, agency, title, created_at.

        The title of a confidential complaint is `CONFIDENTIAL`. Raises `Unavailable`.
        """

    def by_ticket(self, ticket: str) -> dict[str, object] | None:
        """Return one complaint with `history` and `additions`, or `None` if no complaint has the ticket.

        The reporter is left out. The content of a confidential complaint is `CONFIDENTIAL`, the external id of an
        anonymous complaint is `ANONYMOUS`. Raises `Unavailable`.
        """
