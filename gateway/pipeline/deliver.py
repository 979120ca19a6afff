"""Deliver complaints to the central store, which gives the tickets.

Claim, commit, call, record: no call is made inside a transaction. A delivery is repeated until the centre answers; this
is safe, because the complaint's id is the idempotency key. A job becomes a dead letter if the centre refuses it for
good, if its case is missing or unreadable, or if an unexpected error ends its last attempt (`[work] attempts`).
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
from gateway.domain.texts import text
from gateway.observe.logs import log_batch
from gateway.observe.metrics import Metrics
from gateway.pipeline.handover import Handover
from gateway.pipeline.interpret.replies import Replies
from gateway.pipeline.settle import Failure, Settler, count_held_back
from gateway.spool import Spool
from gateway.spool.activity import ActivityLog
from gateway.spool.case import Case
from gateway.spool.outbox import Job, NewReply
from gateway.spool.tables import Kind
from gateway.storage import Transaction

_NEEDS_COMPLAINT = frozenset({Kind.DELIVER, Kind.AMEND})
_OUTBOX_TURN = 4  # every fourth batch is claimed from the outbox, so that new cases do not keep other jobs waiting

_Work = Callable[[UUID, Sequence[Job], Mapping[UUID, Case]], None]


class Deliverer:
    """The stage that empties the outbox of jobs for the centre."""

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
        self._turn = 0  # number of batches, modulo _OUTBOX_TURN
        self._batch = batch
        self._lease = lease
        self._replies_per_hour = replies_per_hour

    def _works(self) -> dict[Kind, _Work]:
        """Return the method per kind of job, in the order of the calls: deliveries come before all other jobs."""
        return {
            Kind.DELIVER: self._deliver,
            Kind.AMEND: self._amend,
            Kind.ADD: self._add,
            Kind.WITHDRAW: self._withdraw,
            Kind.INQUIRE: self._inquire,
        }

    def run_once(self) -> int:
        """Process one batch; return the number of its rows."""
        self._turn = (self._turn + 1) % _OUTBOX_TURN
        if self._turn and (preclaimed := self._handover.take()):
            self._metrics.batch.labels(self.name).observe(len(preclaimed.jobs))
            self._attempt(self._deliver, preclaimed.claim, preclaimed.jobs, preclaimed.cases)
            return len(preclaimed.jobs)
        return self._from_outbox()

    def close(self) -> None:
        """Give back the claimed batches that were not begun. Raises `Unavailable`."""
        for preclaimed in self._handover.close():
            with self._spool.database.begin() as transaction:
                ids = [job.id for job in preclaimed.jobs]
                self._spool.outbox.give_back(transaction, preclaimed.claim, ids, pause=timedelta())

    def _from_outbox(self) -> int:
        works = self._works()
        claim = self._spool.outbox.claim(self._batch, self._lease, kinds=list(works))
        if not claim.rows:
            return 0
        self._metrics.batch.labels(self.name).observe(len(claim.rows))
        jobs = [job for row in claim.rows if (job := Job.of(row))]
        caseless = Rejected(text("the job's case is missing"))
        failures = [Failure(row, caseless, final=True) for row in claim.rows if row.case_id is None]
        with self._spool.database.read() as transaction:
            cases, unreadable = self._spool.cases.get(transaction, [job.case_id for job in jobs])
        by_kind: dict[str, list[Job]] = {}
        for job in jobs:
            if job.case_id not in cases:
                failures.append(Failure(job, unreadable.get(job.case_id, caseless), final=True))
            elif job.kind in _NEEDS_COMPLAINT and cases[job.case_id].complaint is None:
                purged = Rejected(text("the complaint was purged here, because the centre has it"))
                failures.append(Failure(job, purged, final=True))
            else:
                by_kind.setdefault(job.kind, []).append(job)
        self._settler.settle(claim.id, failures)
        for kind, work in works.items():
            if jobs_of_kind := by_kind.get(kind):
                self._attempt(work, claim.id, jobs_of_kind, cases)
        return len(claim.rows)

    def _attempt(self, work: _Work, claim: UUID, jobs: Sequence[Job], cases: Mapping[UUID, Case]) -> None:
        """Call `work` for the jobs together; if that fails, once per job, so that only the bad job fails."""
        try:
            work(claim, jobs, cases)
        except Exception as exc:  # noqa: BLE001  the settler decides: retry or dead letter
            if len(jobs) > 1 and not isinstance(exc, Unavailable):
                for job in jobs:
                    self._attempt(work, claim, [job], cases)
                return
            self._settler.settle(claim, [Failure(job, exc) for job in jobs])

    def _deliver(self, claim: UUID, jobs: Sequence[Job], cases: Mapping[UUID, Case]) -> None:
        outcome = self.central.deliver([for_centre(_complaint(cases[job.case_id])) for job in jobs])
        tickets, refused = outcome.tickets, outcome.refused
        done = [job for job in jobs if job.case_id in tickets]
        with self._spool.database.begin() as transaction:
            finished = self._spool.outbox.finish(transaction, claim, [job.id for job in done])
            done = [job for job in done if job.id in finished]
            self._spool.cases.add_tickets(transaction, {job.case_id: tickets[job.case_id] for job in done})
            replies = [
                self._reply(job, case, self._ticket_text(case, tickets[job.case_id]))
                for job in done
                if (case := cases[job.case_id]).contact
            ]
            self._queue(transaction, replies)
        self._count(done)
        log_batch("delivered", done, **({"ticket": tickets[done[0].case_id]} if done else {}))
        failures = [Failure(job, refused[job.case_id], final=True) for job in jobs if job.case_id in refused]
        self._settler.settle(claim, failures)

    def _count(self, delivered: Sequence[Job]) -> None:
        now = self._spool.clock()
        for channel, count in Counter((job.region, job.channel) for job in delivered).items():
            self._metrics.delivered.labels(*channel).inc(count)
            self._activity.note(*channel, "delivered", now)

    def _amend(self, claim: UUID, jobs: Sequence[Job], cases: Mapping[UUID, Case]) -> None:
        for job in jobs:
            try:
                why = self._spool.outbox.content(job).decode() if job.payload else "read again by a replay"
                self.central.amend(for_centre(_complaint(cases[job.case_id])), why)
            except GatewayError as exc:
                self._settler.settle(claim, [Failure(job, exc)])
                continue
            with self._spool.database.begin() as transaction:
                self._spool.outbox.finish(transaction, claim, [job.id])

    def _add(self, claim: UUID, jobs: Sequence[Job], cases: Mapping[UUID, Case]) -> None:
        def add(job: Job) -> str:
            addition = msgspec.json.decode(self._spool.outbox.content(job), type=Addition)
            return self._replies.added(self.central.add(job.case_id, addition).ticket)

        self._one_by_one(claim, jobs, cases, add, asked=False)

    def _withdraw(self, claim: UUID, jobs: Sequence[Job], cases: Mapping[UUID, Case]) -> None:
        def withdraw(job: Job) -> str:
            standing = self.central.withdraw(job.case_id, "withdrawn by the reporter (BATAL)")
            if standing.status is Status.ARCHIVED:
                return self._replies.withdrawn(standing.ticket)
            return self._status_text(standing)

        self._one_by_one(claim, jobs, cases, withdraw, asked=True)

    def _one_by_one(
        self,
        claim: UUID,
        jobs: Sequence[Job],
        cases: Mapping[UUID, Case],
        call: Callable[[Job], str],
        *,
        asked: bool,
    ) -> None:
        """Make one call to the centre per job (such jobs are few), and queue the text that `call` returns as a reply.

        `asked` is true if the job answers a command of the citizen.
        """
        for job in jobs:
            try:
                reply_text = call(job)
            except GatewayError as exc:
                self._settler.settle(claim, [Failure(job, exc)])
                continue
            with self._spool.database.begin() as transaction:
                finished = self._spool.outbox.finish(transaction, claim, [job.id])
                if finished and cases[job.case_id].contact:
                    self._queue(transaction, [self._reply(job, cases[job.case_id], reply_text, asked=asked)])

    def _inquire(self, claim: UUID, jobs: Sequence[Job], cases: Mapping[UUID, Case]) -> None:
        standings = self.central.find([job.case_id for job in jobs])
        unknown = Rejected(text("the centre does not have the complaint"))
        missing = [Failure(job, unknown, final=True) for job in jobs if job.case_id not in standings]
        self._settler.settle(claim, missing)
        answered = [job for job in jobs if job.case_id in standings]
        with self._spool.database.begin() as transaction:
            finished = self._spool.outbox.finish(transaction, claim, [job.id for job in answered])
            replies = [
                self._reply(job, case, self._status_text(standings[job.case_id]), asked=True)
                for job in answered
                if job.id in finished and (case := cases[job.case_id]).contact
            ]
            self._queue(transaction, replies)

    def _queue(self, transaction: Transaction, replies: Sequence[NewReply]) -> None:
        for reply in self._spool.outbox.add_replies(transaction, replies, self._replies_per_hour):
            count_held_back(self._metrics, reply)

    def _reply(self, job: Job, case: Case, reply_text: str, *, asked: bool = False) -> NewReply:
        return NewReply(
            region=job.region,
            channel=job.channel,
            to=case.contact or "",
            text=reply_text,
            correlation_id=job.correlation_id,
            case_id=job.case_id,
            asked=asked,
        )

    def _ticket_text(self, case: Case, ticket: str) -> str:
        return self._replies.ticket(_complaint(case), case.region, ticket)

    def _status_text(self, standing: Standing) -> str:
        return self._replies.status(standing.ticket, standing.status, standing.agency, standing.updated_at)


def _complaint(case: Case) -> Complaint:
    assert case.complaint is not None  # noqa: S101  `_from_outbox` takes out every other case
    return case.complaint
