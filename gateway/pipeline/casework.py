"""Does a report open a case, or does it belong to the one its sender has just opened? Writes what follows from that.

One message makes one complaint, or one addition to one: what is already known by its external id does nothing again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from gateway.complaint import Addition, Complaint
from gateway.pipeline.assemble import Report
from gateway.pipeline.handover import Handed, Handover
from gateway.spool import Spool
from gateway.spool.cases import NewCase, Recent, opened
from gateway.spool.outbox import Hold
from gateway.spool.tables import Kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Filing:
    """A report that is to be filed: as a case of its own, or with an earlier one."""

    report: Report
    case: NewCase

    @property
    def heard_at(self) -> datetime:
        """When the message came."""
        return self.case.opened_at


def reads_apart(report: Report, complaint: Complaint, earlier: Complaint) -> str | None:
    """Return why a further message reads like a report of its own, or `None` where it adds to the earlier. Pure."""
    if not report.plain:
        return "a command word: BARU, ANONIM, RAHASIA or a region's"
    before, now = earlier.category, complaint.category
    if before and now and before.value != now.value:
        return f"another category than the report before: {now.value}, {now.reason}"
    if (
        complaint.classification.value != earlier.classification.value
        and complaint.classification.reason != "free text"
    ):
        return f"another class than the report before: {complaint.classification.reason}"
    return None


class Casework:
    """Files reports."""

    def __init__(self, spool: Spool, handover: Handover, *, window: timedelta, lease: timedelta) -> None:
        self._spool, self._handover = spool, handover
        self._window, self._lease = window, lease

    def file(self, connection: Any, filings: Sequence[Filing]) -> Handed | None:
        """Open cases and add to cases, in the order in which the messages came.

        Returns the deliveries that go straight to the deliverer beside us, once the transaction has committed.
        """
        if not filings:
            return None
        cases = self._spool.cases
        keys = {filing.case.complaint.id: cases.keys_of(filing.case) for filing in filings}
        known = cases.known(connection, [external for external, _ in keys.values()])
        recent = self._recent(connection, filings, {sender for _, sender in keys.values()})
        new: list[NewCase] = []
        for filing in filings:
            external, sender = keys[filing.case.complaint.id]
            if external in known:
                continue
            known.add(external)
            earlier, case = recent.get(sender), filing.case
            if self._window and earlier is not None and filing.heard_at - earlier.heard_at <= self._window:
                apart = reads_apart(filing.report, case.complaint, earlier.complaint)
                if apart is None:
                    self._add(connection, filing, external, earlier)
                    recent[sender] = earlier.heard_again(filing.heard_at)
                    continue
                case = case.told_apart(apart)
            new.append(case)
            recent[sender] = Recent(case.complaint.id, case.complaint, filing.heard_at)
        return self._open(connection, new)

    def _recent(self, connection: Any, filings: Sequence[Filing], senders: set[UUID]) -> dict[UUID, Recent]:
        if not self._window:
            return {}
        since = min(filing.heard_at for filing in filings) - self._window
        return self._spool.cases.recent(connection, list(senders), since)

    def _add(self, connection: Any, filing: Filing, external: UUID, earlier: Recent) -> None:
        seconds = max(0, round((filing.heard_at - earlier.heard_at).total_seconds()))
        reason = f"{seconds} s after the message before, and it reads like more of it"
        self._spool.cases.follow(connection, earlier.id, external, filing.heard_at)
        case = filing.case
        self.add(connection, earlier.id, case.complaint, filing.heard_at, case.correlation_id, reason)

    def add(
        self,
        connection: Any,
        case_id: UUID,
        said: Complaint,
        at: datetime,
        correlation_id: UUID,
        reason: str,
    ) -> None:
        """Queue what a further message says for the case's complaint at the centre."""
        addition = Addition(id=said.id, text=said.description, at=at, reason=reason, attachments=said.attachments)
        job = {"id": case_id, "region": said.source.region, "channel": said.source.channel}
        job["correlation_id"] = correlation_id
        self._spool.outbox.add_cases(connection, Kind.ADD, [job], content=msgspec.json.encode(addition))

    def _open(self, connection: Any, new: Sequence[NewCase]) -> Handed | None:
        rows = self._spool.cases.open(connection, new)
        claim = self._handover.reserve() if rows else None
        hold = Hold(claim, self._lease) if claim else None
        jobs = self._spool.outbox.add_cases(connection, Kind.DELIVER, rows, hold)
        if claim is None:
            return None
        by_id = {case.complaint.id: case for case in new}
        return Handed(claim, jobs, {row["id"]: opened(by_id[row["id"]], row) for row in rows})

    def amend(self, connection: Any, complaint: Complaint, correlation_id: UUID, why: str) -> None:
        """Rewrite a case's complaint, here and at the centre."""
        self._spool.cases.rewrite(connection, complaint)
        job = {"id": complaint.id, "region": complaint.source.region, "channel": complaint.source.channel}
        self._spool.outbox.add_cases(
            connection, Kind.AMEND, [job | {"correlation_id": correlation_id}], content=why.encode()
        )
