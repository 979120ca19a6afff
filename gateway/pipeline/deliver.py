"""To the central store, which gives the ticket.

Claim, commit, call, record: no call happens inside a transaction. A delivery is repeated until the centre answers;
its id makes that harmless, and only a complaint that the centre refuses for good becomes a dead letter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta, timezone
from typing import Any
from uuid import UUID

import msgspec

from gateway.central.port import CentralStore, Standing
from gateway.domain.complaint import Addition, Complaint, Status
from gateway.domain.errors import GatewayError, Rejected, Unavailable
from gateway.observe.logs import log
from gateway.observe.metrics import Metrics
from gateway.pipeline.handover import Handover
from gateway.pipeline.settle import Settler, held_back
from gateway.settings.templates import Templates
from gateway.spool import Spool
from gateway.spool.activity import ActivityLog
from gateway.spool.cases import Case
from gateway.spool.outbox import NewReply
from gateway.spool.tables import Kind

_WIB = timezone(timedelta(hours=7))  # dates in replies are western Indonesian, wherever the server stands

_KINDS = [Kind.DELIVER, Kind.AMEND, Kind.ADD, Kind.WITHDRAW, Kind.INQUIRE]
_NEEDS_COMPLAINT = frozenset({Kind.DELIVER, Kind.AMEND})
_EVERY = 4  # of so many batches one is claimed from the outbox, however much is handed over

_Work = Callable[[UUID, Sequence[Any], Mapping[UUID, Case]], None]


class Deliverer:
    """Empties the part of the outbox that is meant for the centre."""

    stage = "deliver"

    def __init__(
        self,
        spool: Spool,
        central: CentralStore,
        templates: Templates,
        region_names: dict[str, str],
        metrics: Metrics,
        activity: ActivityLog,
        settler: Settler,
        handover: Handover,
        *,
        batch: int,
        lease: timedelta,
        attempts: int,
        replies_per_hour: int,
    ) -> None:
        self._handover, self._turn = handover, 0
        self._spool, self._central, self._templates = spool, central, templates
        self._region_names, self._metrics, self._activity, self._settler = region_names, metrics, activity, settler
        self._batch, self._lease, self._attempts = batch, lease, attempts
        self._replies_per_hour = replies_per_hour

    def run_once(self) -> int:
        """Work on one batch; return how many rows it had."""
        self._turn = (self._turn + 1) % _EVERY
        if self._turn and (handed := self._handover.take()):
            self._metrics.batch.labels(self.stage).observe(len(handed.jobs))
            self._attempt(self._deliver, handed.claim, handed.jobs, handed.cases)
            return len(handed.jobs)
        return self._from_outbox()

    def close(self) -> None:
        """Give back what was handed over and not begun."""
        for handed in self._handover.close():
            with self._spool.database.begin() as connection:
                ids = [job.id for job in handed.jobs]
                self._spool.outbox.give_back(connection, handed.claim, ids, pause=timedelta())

    def _from_outbox(self) -> int:
        claim = self._spool.outbox.claim(self._batch, self._lease, kinds=_KINDS)
        if not claim.rows:
            return 0
        self._metrics.batch.labels(self.stage).observe(len(claim.rows))
        with self._spool.database.read() as connection:
            cases, unreadable = self._spool.cases.get(connection, [row.case_id for row in claim.rows])
        by_kind: dict[str, list[Any]] = {}
        for row in claim.rows:
            if row.case_id not in cases:
                missing = unreadable.get(row.case_id, Rejected("its case is not there"))
                self._settler.settle(claim.id, [(row, missing, True)])
            elif row.kind in _NEEDS_COMPLAINT and cases[row.case_id].complaint is None:
                self._settler.settle(claim.id, [(row, Rejected("our copy was purged: the centre has it"), True)])
            else:
                by_kind.setdefault(row.kind, []).append(row)
        for kind, work in (
            (Kind.DELIVER, self._deliver),
            (Kind.AMEND, self._amend),
            (Kind.ADD, self._add),
            (Kind.WITHDRAW, self._withdraw),
            (Kind.INQUIRE, self._inquire),
        ):
            if rows := by_kind.get(kind):
                self._attempt(work, claim.id, rows, cases)
        return len(claim.rows)

    def _attempt(self, work: _Work, claim: UUID, rows: Sequence[Any], cases: Mapping[UUID, Case]) -> None:
        """Do one kind of work; what fails is done again row by row, so that only the bad row pays."""
        try:
            work(claim, rows, cases)
        except Exception as exc:  # noqa: BLE001  decided by the settler
            if len(rows) > 1 and not isinstance(exc, Unavailable):
                for row in rows:
                    self._attempt(work, claim, [row], cases)
                return
            known = isinstance(exc, GatewayError)
            self._settler.settle(claim, [(row, exc, not known and row.attempts >= self._attempts) for row in rows])

    def _deliver(self, claim: UUID, rows: Sequence[Any], cases: Mapping[UUID, Case]) -> None:
        outcome = self._central.deliver([_complaint(cases[row.case_id]) for row in rows])
        done = [row for row in rows if row.case_id in outcome.tickets]
        with self._spool.database.begin() as connection:
            ours = self._spool.outbox.finish(connection, claim, [row.id for row in done])
            done = [row for row in done if row.id in ours]
            self._spool.cases.number(connection, [(row.case_id, outcome.tickets[row.case_id]) for row in done])
            replies = [
                self._reply(
                    row, cases[row.case_id], self._ticket_text(cases[row.case_id], outcome.tickets[row.case_id])
                )
                for row in done
                if cases[row.case_id].contact
            ]
            self._queue(connection, replies)
        now = self._spool.clock()
        for address, count in Counter((row.region, row.channel) for row in done).items():
            self._metrics.delivered.labels(*address).inc(count)
            self._activity.note(*address, "delivered", now)
        if len(done) == 1:
            row = done[0]
            log.info(
                "delivered",
                region=row.region,
                channel=row.channel,
                ticket=outcome.tickets[row.case_id],
                correlation_id=row.correlation_id.hex,
            )
        elif done:
            log.info("delivered", count=len(done))
        refused = [(row, outcome.refused[row.case_id], True) for row in rows if row.case_id in outcome.refused]
        self._settler.settle(claim, refused)

    def _amend(self, claim: UUID, rows: Sequence[Any], cases: Mapping[UUID, Case]) -> None:
        for row in rows:
            try:
                why = self._spool.outbox.content(row).decode() if row.payload else "read again by a replay"
                self._central.amend(_complaint(cases[row.case_id]), why)
            except GatewayError as exc:
                self._settler.settle(claim, [(row, exc, False)])
                continue
            with self._spool.database.begin() as connection:
                self._spool.outbox.finish(connection, claim, [row.id])

    def _add(self, claim: UUID, rows: Sequence[Any], cases: Mapping[UUID, Case]) -> None:
        def add(row: Any) -> str:
            addition = msgspec.json.decode(self._spool.outbox.content(row), type=Addition)
            return self._templates.added.format(ticket=self._central.add(row.case_id, addition).ticket)

        self._one_by_one(claim, rows, cases, add, asked=False)

    def _withdraw(self, claim: UUID, rows: Sequence[Any], cases: Mapping[UUID, Case]) -> None:
        def withdraw(row: Any) -> str:
            standing = self._central.withdraw(row.case_id, "withdrawn by the reporter (BATAL)")
            archived = standing.status is Status.ARCHIVED
            return self._templates.withdrawn.format(ticket=standing.ticket) if archived else self._status_text(standing)

        self._one_by_one(claim, rows, cases, withdraw, asked=True)

    def _one_by_one(
        self,
        claim: UUID,
        rows: Sequence[Any],
        cases: Mapping[UUID, Case],
        tell: Callable[[Any], str],
        *,
        asked: bool,
    ) -> None:
        """Tell the centre something about each case, and the citizen what came of it. They are few."""
        for row in rows:
            try:
                text = tell(row)
            except GatewayError as exc:
                self._settler.settle(claim, [(row, exc, False)])
                continue
            with self._spool.database.begin() as connection:
                ours = self._spool.outbox.finish(connection, claim, [row.id])
                if ours and cases[row.case_id].contact:
                    self._queue(connection, [self._reply(row, cases[row.case_id], text, asked=asked)])

    def _inquire(self, claim: UUID, rows: Sequence[Any], cases: Mapping[UUID, Case]) -> None:
        standings = self._central.find([row.case_id for row in rows])
        missing = [(row, Rejected("the centre does not know it"), True) for row in rows if row.case_id not in standings]
        self._settler.settle(claim, missing)
        found = [row for row in rows if row.case_id in standings]
        with self._spool.database.begin() as connection:
            ours = self._spool.outbox.finish(connection, claim, [row.id for row in found])
            replies = [
                self._reply(row, cases[row.case_id], self._status_text(standings[row.case_id]), asked=True)
                for row in found
                if row.id in ours and cases[row.case_id].contact
            ]
            self._queue(connection, replies)

    def _queue(self, connection: Any, replies: Sequence[NewReply]) -> None:
        for held in self._spool.outbox.add_replies(connection, replies, self._replies_per_hour):
            held_back(self._metrics, held)

    def _reply(self, row: Any, case: Case, text: str, *, asked: bool = False) -> NewReply:
        return NewReply(
            region=row.region,
            channel=row.channel,
            to=case.contact or "",
            text=text,
            correlation_id=row.correlation_id,
            case_id=row.case_id,
            asked=asked,
        )

    def _ticket_text(self, case: Case, ticket: str) -> str:
        complaint = _complaint(case)
        return self._templates.ticket.format(
            ticket=ticket,
            agency=complaint.agency.value,
            region=self._region_names.get(complaint.place.code or case.region, ""),
        )

    def _status_text(self, standing: Standing) -> str:
        words = self._templates.status_words.get(standing.status, Status(standing.status).value)
        return self._templates.status.format(
            ticket=standing.ticket,
            status=words,
            agency=standing.agency,
            date=standing.updated_at.astimezone(_WIB).strftime("%d-%m-%Y"),
        )


def _complaint(case: Case) -> Complaint:
    assert case.complaint is not None  # noqa: S101  `_from_outbox` lets no other case through
    return case.complaint
