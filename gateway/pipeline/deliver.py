"""To the central store, which gives the ticket.

Claim, commit, call, record: no call happens inside a transaction. A delivery is repeated until the centre answers;
its id makes that harmless, and only a complaint that the centre refuses for good becomes a dead letter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from gateway.central.port import CentralStore, Standing
from gateway.domain.complaint import Addition, Complaint, Status, for_centre
from gateway.domain.errors import GatewayError, Rejected, Unavailable
from gateway.observe.logs import log_batch
from gateway.observe.metrics import Metrics
from gateway.pipeline.handover import Handover
from gateway.pipeline.interpret.replies import Replies
from gateway.pipeline.settle import Failure, Settler, count_held_back
from gateway.spool import Spool
from gateway.spool.activity import ActivityLog
from gateway.spool.cases import Case
from gateway.spool.outbox import Job, NewReply
from gateway.spool.tables import Kind
from gateway.storage import Transaction

_KINDS = [Kind.DELIVER, Kind.AMEND, Kind.ADD, Kind.WITHDRAW, Kind.INQUIRE]
_NEEDS_COMPLAINT = frozenset({Kind.DELIVER, Kind.AMEND})
_EVERY = 4  # of so many batches one is claimed from the outbox, however much is handed over

_Work = Callable[[UUID, Sequence[Job], Mapping[UUID, Case]], None]


class Deliverer:
    """Empties the part of the outbox that is meant for the centre."""

    name = "deliver"

    def __init__(
        self,
        spool: Spool,
        central: CentralStore,
        replies: Replies,
        metrics: Metrics,
        activity: ActivityLog,
        settler: Settler,
        handover: Handover,
        *,
        batch: int,
        lease: timedelta,
        replies_per_hour: int,
    ) -> None:
        self.central = central
        self._spool = spool
        self._replies = replies
        self._metrics = metrics
        self._activity = activity
        self._settler = settler
        self._handover = handover
        self._turn = 0  # counts batches, modulo _EVERY
        self._works: Mapping[str, _Work] = {  # in this order: nothing is told of a complaint before it is delivered
            Kind.DELIVER: self._deliver,
            Kind.AMEND: self._amend,
            Kind.ADD: self._add,
            Kind.WITHDRAW: self._withdraw,
            Kind.INQUIRE: self._inquire,
        }
        self._batch = batch
        self._lease = lease
        self._replies_per_hour = replies_per_hour

    def run_once(self) -> int:
        """Work on one batch; return how many rows it had."""
        self._turn = (self._turn + 1) % _EVERY
        if self._turn and (handed := self._handover.take()):
            self._metrics.batch.labels(self.name).observe(len(handed.jobs))
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
        self._metrics.batch.labels(self.name).observe(len(claim.rows))
        jobs = [job for row in claim.rows if (job := Job.of(row))]
        caseless = Rejected("its case is not there")
        failures = [Failure(row, caseless, final=True) for row in claim.rows if row.case_id is None]
        with self._spool.database.read() as transaction:
            cases, unreadable = self._spool.cases.get(transaction, [job.case_id for job in jobs])
        by_kind: dict[str, list[Job]] = {}
        for job in jobs:
            if job.case_id not in cases:
                failures.append(Failure(job, unreadable.get(job.case_id, caseless), final=True))
            elif job.kind in _NEEDS_COMPLAINT and cases[job.case_id].complaint is None:
                purged = Rejected("our copy was purged: the centre has it")
                failures.append(Failure(job, purged, final=True))
            else:
                by_kind.setdefault(job.kind, []).append(job)
        self._settler.settle(claim.id, failures)
        for kind, work in self._works.items():
            if jobs_of_kind := by_kind.get(kind):
                self._attempt(work, claim.id, jobs_of_kind, cases)
        return len(claim.rows)

    def _attempt(self, work: _Work, claim: UUID, rows: Sequence[Job], cases: Mapping[UUID, Case]) -> None:
        """Do one kind of work; what fails is done again row by row, so that only the bad row pays."""
        try:
            work(claim, rows, cases)
        except Exception as exc:  # noqa: BLE001  decided by the settler
            if len(rows) > 1 and not isinstance(exc, Unavailable):
                for row in rows:
                    self._attempt(work, claim, [row], cases)
                return
            self._settler.settle(claim, [Failure(row, exc) for row in rows])

    def _deliver(self, claim: UUID, rows: Sequence[Job], cases: Mapping[UUID, Case]) -> None:
        outcome = self.central.deliver([for_centre(_complaint(cases[row.case_id])) for row in rows])
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
        log_batch("delivered", done, **({"ticket": outcome.tickets[done[0].case_id]} if done else {}))
        refused = [
            Failure(row, outcome.refused[row.case_id], final=True) for row in rows if row.case_id in outcome.refused
        ]
        self._settler.settle(claim, refused)

    def _amend(self, claim: UUID, rows: Sequence[Job], cases: Mapping[UUID, Case]) -> None:
        for row in rows:
            try:
                why = self._spool.outbox.content(row).decode() if row.payload else "read again by a replay"
                self.central.amend(for_centre(_complaint(cases[row.case_id])), why)
            except GatewayError as exc:
                self._settler.settle(claim, [Failure(row, exc)])
                continue
            with self._spool.database.begin() as connection:
                self._spool.outbox.finish(connection, claim, [row.id])

    def _add(self, claim: UUID, rows: Sequence[Job], cases: Mapping[UUID, Case]) -> None:
        def add(row: Job) -> str:
            addition = msgspec.json.decode(self._spool.outbox.content(row), type=Addition)
            return self._replies.added(self.central.add(row.case_id, addition).ticket)

        self._one_by_one(claim, rows, cases, add, asked=False)

    def _withdraw(self, claim: UUID, rows: Sequence[Job], cases: Mapping[UUID, Case]) -> None:
        def withdraw(row: Job) -> str:
            standing = self.central.withdraw(row.case_id, "withdrawn by the reporter (BATAL)")
            if standing.status is Status.ARCHIVED:
                return self._replies.withdrawn(standing.ticket)
            return self._status_text(standing)

        self._one_by_one(claim, rows, cases, withdraw, asked=True)

    def _one_by_one(
        self,
        claim: UUID,
        rows: Sequence[Job],
        cases: Mapping[UUID, Case],
        tell: Callable[[Job], str],
        *,
        asked: bool,
    ) -> None:
        """Tell the centre something about each case, and the citizen what came of it. They are few."""
        for row in rows:
            try:
                text = tell(row)
            except GatewayError as exc:
                self._settler.settle(claim, [Failure(row, exc)])
                continue
            with self._spool.database.begin() as connection:
                ours = self._spool.outbox.finish(connection, claim, [row.id])
                if ours and cases[row.case_id].contact:
                    self._queue(connection, [self._reply(row, cases[row.case_id], text, asked=asked)])

    def _inquire(self, claim: UUID, rows: Sequence[Job], cases: Mapping[UUID, Case]) -> None:
        standings = self.central.find([row.case_id for row in rows])
        unknown = Rejected("the centre does not know it")
        missing = [Failure(row, unknown, final=True) for row in rows if row.case_id not in standings]
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

    def _queue(self, connection: Transaction, replies: Sequence[NewReply]) -> None:
        for held in self._spool.outbox.add_replies(connection, replies, self._replies_per_hour):
            count_held_back(self._metrics, held)

    def _reply(self, row: Job, case: Case, text: str, *, asked: bool = False) -> NewReply:
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
        return self._replies.ticket(_complaint(case), case.region, ticket)

    def _status_text(self, standing: Standing) -> str:
        return self._replies.status(standing.ticket, standing.status, standing.agency, standing.updated_at)


def _complaint(case: Case) -> Complaint:
    assert case.complaint is not None  # noqa: S101  `_from_outbox` lets no other case through
    return case.complaint
