"""File reports: open a case, or add the report to the last case of its sender.

A message makes one complaint or one addition. A message whose external id was filed before changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from gateway.domain.complaint import Addition, Complaint
from gateway.pipeline.handover import Handover, PreclaimedBatch
from gateway.pipeline.interpret.commands import Report
from gateway.spool import Spool
from gateway.spool.case import CaseReference, LastCase, NewCase
from gateway.spool.outbox import Preclaim
from gateway.spool.tables import Kind
from gateway.storage import Transaction


@dataclass(frozen=True, kw_only=True, slots=True)
class Filing:
    """A report to file, as a new case or as an addition to an earlier case."""

    report: Report
    case: NewCase

    @property
    def received_at(self) -> datetime:
        """Return the time when the message came."""
        return self.case.opened_at


def reason_to_stand_alone(report: Report, complaint: Complaint, earlier: Complaint) -> str | None:
    """Return why a message is a report of its own (text), or `None` if it is an addition to the earlier one. Pure."""
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


def _stated_reason(report: Report, reason: str | None, earlier: LastCase | None) -> str | None:
    """Return the reason that is stored in the complaint, or `None`. Pure.

    The reason must not reveal the sender of an anonymous report. So the reason of an anonymous report is always the
    same, with or without earlier messages of its sender, and a report that follows an anonymous one has none.
    """
    if report.headless:
        return "its first part is missing: it may have begun with ANONIM or RAHASIA"
    if report.anonymous:
        return "ANONIM: always a report of its own"
    return None if earlier is None or earlier.complaint.anonymous else reason


class Casework:
    """File reports in the spool."""

    def __init__(self, spool: Spool, handover: Handover, *, window: timedelta, lease: timedelta) -> None:
        self._spool = spool
        self._handover = handover
        self._window = window
        self._lease = lease

    def file(self, transaction: Transaction, filings: Sequence[Filing]) -> PreclaimedBatch | None:
        """Open cases and add to cases, in the order in which the messages came.

        Returns deliveries that are already claimed for this process, or `None`: pass them on after the commit.
        """
        if not filings:
            return None
        last_cases = self._last_cases(transaction, filings)
        known = self._known(transaction, filings, last_cases)
        new: list[NewCase] = []
        further: list[tuple[Filing, LastCase]] = []
        for filing in filings:
            case, sender = filing.case, filing.case.sender_key
            if case.message_key in known:
                continue
            known.add(case.message_key)
            earlier = self._within_window(last_cases.get(sender), filing.received_at)
            reason = reason_to_stand_alone(filing.report, case.complaint, earlier.complaint) if earlier else None
            if earlier is not None and reason is None:
                further.append((filing, earlier))
                last_cases[sender] = earlier.after_message(filing.received_at)
                continue
            if stated := _stated_reason(filing.report, reason, earlier):
                case = case.standing_alone(stated)
            new.append(case)
            last_cases[sender] = LastCase(case.complaint.id, case.complaint, filing.received_at)
        batch = self._open(transaction, new)
        for filing, earlier in further:  # after the new cases: the centre must get a complaint before its additions
            self._follow(transaction, filing, earlier)
        return batch

    def _last_cases(self, transaction: Transaction, filings: Sequence[Filing]) -> dict[UUID, LastCase]:
        if not self._window:
            return {}
        since = min(filing.received_at for filing in filings) - self._window
        return self._spool.cases.last_cases(transaction, list({filing.case.sender_key for filing in filings}), since)

    def _known(
        self, transaction: Transaction, filings: Sequence[Filing], last_cases: Mapping[UUID, LastCase]
    ) -> set[UUID]:
        """Return the keys of messages that were filed before.

        The cases are searched only for messages that may become additions. For the others `Cases.create` does it.
        """
        per_sender = Counter(filing.case.sender_key for filing in filings)
        messages = [filing.case.message_key for filing in filings]
        possible_additions = [
            filing.case.message_key
            for filing in filings
            if filing.case.sender_key in last_cases or per_sender[filing.case.sender_key] > 1
        ]
        cases = self._spool.cases
        return cases.with_follow_up(transaction, messages) | cases.with_case(transaction, possible_additions)

    def _within_window(self, last: LastCase | None, at: datetime) -> LastCase | None:
        """Return the last case if its last message came within the window before or after `at`, else `None`.

        It may have come after `at`, because `at` may be the time of an old message that is replayed.
        """
        return last if last and self._window and abs(at - last.last_message_at) <= self._window else None

    def _follow(self, transaction: Transaction, filing: Filing, earlier: LastCase) -> None:
        if self._spool.cases.follow(transaction, earlier.id, filing.case.message_key, filing.received_at):
            seconds = round(abs(filing.received_at - earlier.last_message_at).total_seconds())
            self.add(transaction, earlier.id, filing, f"{seconds} s after the message before, no sign of a new report")

    def add(self, transaction: Transaction, case_id: UUID, filing: Filing, reason: str) -> None:
        """Queue a further message as an addition to the complaint at the centre."""
        complaint = filing.case.complaint
        addition = Addition(
            id=filing.case.message_key,
            text=complaint.description,
            at=filing.received_at,
            reason=reason,
            attachments=complaint.attachments,
        )
        case = _reference(case_id, complaint, filing.case.correlation_id)
        self._spool.outbox.add_jobs(transaction, Kind.ADD, [case], content=msgspec.json.encode(addition))

    def _open(self, transaction: Transaction, new: Sequence[NewCase]) -> PreclaimedBatch | None:
        """Open cases and queue their deliveries; claim these at once if this process's deliverer has room for them."""
        if not new:
            return None
        cases = self._spool.cases.create(transaction, new)
        claim = self._handover.reserve() if cases else None
        preclaim = Preclaim(claim, self._lease) if claim else None
        jobs = self._spool.outbox.add_jobs(transaction, Kind.DELIVER, cases, preclaim=preclaim)
        return PreclaimedBatch(claim, jobs, {case.id: case for case in cases}) if claim else None

    def amend(self, transaction: Transaction, complaint: Complaint, correlation_id: UUID, why: str) -> None:
        """Replace the complaint of a case here, and queue the change for the centre, with `why` for its history."""
        self._spool.cases.rewrite(transaction, complaint)
        case = _reference(complaint.id, complaint, correlation_id)
        self._spool.outbox.add_jobs(transaction, Kind.AMEND, [case], content=why.encode())


def _reference(case_id: UUID, complaint: Complaint, correlation_id: UUID) -> CaseReference:
    return CaseReference(case_id, complaint.source.region, complaint.source.channel, correlation_id)
