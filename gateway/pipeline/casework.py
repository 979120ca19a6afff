"""Does a report open a case, or does it belong to the one its sender has just opened? Writes what follows from that.

One message makes one complaint, or one addition to one: what is already known by its external id does nothing again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from gateway.domain.complaint import Addition, Complaint
from gateway.pipeline.handover import Handover, PreclaimedBatch
from gateway.pipeline.interpret.commands import Report
from gateway.spool import Spool
from gateway.spool.cases import LastCase, NewCase, opened
from gateway.spool.outbox import Hold
from gateway.spool.tables import Kind
from gateway.storage import Transaction


@dataclass(frozen=True, kw_only=True, slots=True)
class Filing:
    """A report that is to be filed: as a case of its own, or with an earlier one."""

    report: Report
    case: NewCase

    @property
    def heard_at(self) -> datetime:
        """When the message came."""
        return self.case.opened_at


class _Keyed(NamedTuple):
    """A filing with the keyed hashes of its message and its sender."""

    filing: Filing
    external: UUID
    sender: UUID


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


def _stated_reason(report: Report, why: str | None, earlier: LastCase | None) -> str | None:
    """Return what a complaint may say of the reason why it stands alone. Pure.

    Nothing that shows whose an anonymous report is: of an anonymous one the same words whether or not its sender had
    written before, and of one that follows an anonymous one nothing.
    """
    if report.headless:
        return "its first part is missing: it may have begun with ANONIM or RAHASIA"
    if report.anonymous:
        return "ANONIM: always a report of its own"
    return None if earlier is None or earlier.complaint.anonymous else why


class Casework:
    """Files reports."""

    def __init__(self, spool: Spool, handover: Handover, *, window: timedelta, lease: timedelta) -> None:
        self._spool, self._handover = spool, handover
        self._window, self._lease = window, lease

    def file(self, connection: Transaction, filings: Sequence[Filing]) -> PreclaimedBatch | None:
        """Open cases and add to cases, in the order in which the messages came.

        Returns the deliveries that go straight to the deliverer beside us, once the transaction has committed.
        """
        if not filings:
            return None
        keyed = [_Keyed(filing, *self._spool.cases.keys_of(filing.case)) for filing in filings]
        last_cases = self._last_cases(connection, keyed)
        known = self._known(connection, keyed, last_cases)
        new: list[NewCase] = []
        further: list[tuple[Filing, LastCase]] = []
        for filing, external, sender in keyed:
            if external in known:
                continue
            known.add(external)
            case, earlier = filing.case, self._earlier(last_cases.get(sender), filing.heard_at)
            why = reads_apart(filing.report, case.complaint, earlier.complaint) if earlier else None
            if earlier is not None and why is None:
                further.append((filing, earlier))
                last_cases[sender] = earlier.heard_again(filing.heard_at)
                continue
            if told := _stated_reason(filing.report, why, earlier):
                case = case.told_apart(told)
            new.append(case)
            last_cases[sender] = LastCase(case.complaint.id, case.complaint, filing.heard_at)
        handed = self._open(connection, new)
        for filing, earlier in further:  # after the cases they may belong to: the centre hears of those first
            self._follow(connection, filing, earlier)
        return handed

    def _last_cases(self, connection: Transaction, keyed: Sequence[_Keyed]) -> dict[UUID, LastCase]:
        if not self._window:
            return {}
        since = min(one.filing.heard_at for one in keyed) - self._window
        return self._spool.cases.last_cases(connection, list({one.sender for one in keyed}), since)

    def _known(
        self, connection: Transaction, keyed: Sequence[_Keyed], last_cases: Mapping[UUID, LastCase]
    ) -> set[UUID]:
        """Return those messages that were filed before, as far as that matters.

        Whether one has opened a case is asked only where it could be added to one: to open it again does nothing.
        """
        cases, writers = self._spool.cases, Counter(one.sender for one in keyed)
        doubtful = [one.external for one in keyed if one.sender in last_cases or writers[one.sender] > 1]
        everything = [one.external for one in keyed]
        return cases.with_follow_up(connection, everything) | cases.with_case(connection, doubtful)

    def _earlier(self, last: LastCase | None, at: datetime) -> LastCase | None:
        """Return a sender's last case if it is near enough: a replayed message may also be older than that case."""
        return last if last and self._window and abs(at - last.heard_at) <= self._window else None

    def _follow(self, connection: Transaction, filing: Filing, earlier: LastCase) -> None:
        external, _ = self._spool.cases.keys_of(filing.case)
        if self._spool.cases.follow(connection, earlier.id, external, filing.heard_at):
            seconds = round(abs(filing.heard_at - earlier.heard_at).total_seconds())
            self.add(connection, earlier.id, filing, f"{seconds} s after the message before, and it reads like more")

    def add(self, connection: Transaction, case_id: UUID, filing: Filing, reason: str) -> None:
        """Queue what a further message says for the case's complaint at the centre."""
        said = filing.case.complaint
        external, _ = self._spool.cases.keys_of(filing.case)
        addition = Addition(
            id=external, text=said.description, at=filing.heard_at, reason=reason, attachments=said.attachments
        )
        job = _job(case_id, said, filing.case.correlation_id)
        self._spool.outbox.add_cases(connection, Kind.ADD, [job], content=msgspec.json.encode(addition))

    def _open(self, connection: Transaction, new: Sequence[NewCase]) -> PreclaimedBatch | None:
        if not new:
            return None
        rows = self._spool.cases.create(connection, new)
        claim = self._handover.reserve() if rows else None
        hold = Hold(claim, self._lease) if claim else None
        jobs = self._spool.outbox.add_cases(connection, Kind.DELIVER, rows, hold)
        if claim is None:
            return None
        by_id = {case.complaint.id: case for case in new}
        return PreclaimedBatch(claim, jobs, {row["id"]: opened(by_id[row["id"]], row) for row in rows})

    def amend(self, connection: Transaction, complaint: Complaint, correlation_id: UUID, why: str) -> None:
        """Rewrite a case's complaint, here and at the centre."""
        self._spool.cases.rewrite(connection, complaint)
        job = _job(complaint.id, complaint, correlation_id)
        self._spool.outbox.add_cases(connection, Kind.AMEND, [job], content=why.encode())


def _job(case_id: UUID, said: Complaint, correlation_id: UUID) -> dict[str, Any]:
    source = said.source
    return {"id": case_id, "region": source.region, "channel": source.channel, "correlation_id": correlation_id}
