"""Fill the reply templates, for the stages and for `try`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from gateway.domain.complaint import Complaint, Status
from gateway.pipeline.interpret.commands import Consent, HelpRequest, MistypedTicket
from gateway.settings.templates import Templates

_WIB = timezone(timedelta(hours=7))  # dates in replies are in WIB, and do not depend on the server's time zone


class Replies:
    """The reply templates of one configuration."""

    def __init__(self, templates: Templates, region_names: Mapping[str, str]) -> None:
        """Take the templates, and the name of each region by its Kemendagri code."""
        self._templates = templates
        self._region_names = region_names

    def ticket(self, complaint: Complaint, channel_region: str, ticket: str) -> str:
        """Return the text after delivery; `{region}` is the complaint's place, else the region of the channel."""
        return self._templates.ticket.format(
            ticket=ticket,
            agency=complaint.agency.value,
            region=self._region_names.get(complaint.place.code or channel_region, ""),
        )

    def status(self, ticket: str, status: Status | str, agency: str, changed_at: datetime) -> str:
        """Return the answer to STATUS for the ticket's own sender; `changed_at` is shown as a date in WIB."""
        return self._templates.status.format(
            ticket=ticket,
            status=self._templates.status_words.get(Status(status), Status(status).value),
            agency=agency,
            date=changed_at.astimezone(_WIB).strftime("%d-%m-%Y"),
        )

    def status_unknown(self, ticket: str) -> str:
        """Return the answer about a ticket that does not exist or is not this sender's; both get the same text."""
        return self._templates.status_unknown.format(ticket=ticket)

    def added(self, ticket: str) -> str:
        """Return the text after a message was added to a complaint."""
        return self._templates.added.format(ticket=ticket)

    def withdrawn(self, ticket: str) -> str:
        """Return the text after a complaint was withdrawn."""
        return self._templates.withdrawn.format(ticket=ticket)

    def to_command(self, request: Consent | MistypedTicket | HelpRequest) -> str:
        """Return the answer to a command that needs nothing from the centre."""
        if isinstance(request, Consent):
            return self._templates.agreed if request.given else self._templates.stopped
        if isinstance(request, MistypedTicket):
            return self._templates.status_format
        return self._templates.help
