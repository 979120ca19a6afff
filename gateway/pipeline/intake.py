"""Stages 2 to 5 for a claimed batch: translate, assemble, enrich, route, and one transaction for all results.

A batch with one bad row fails that row alone: what cannot be understood is known before the transaction, and where
the batch cannot be written, its rows are written one by one. Behind a row that is to be tried again, its sender's
later ones wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from gateway.complaint import Complaint
from gateway.errors import Action, GatewayError, Unavailable
from gateway.events import CitizenMessage, DeliveryReceipt
from gateway.ids import new_id
from gateway.observe import Metrics, describe, log
from gateway.pipeline.assemble import HelpRequest, MistypedTicket, StatusQuery
from gateway.pipeline.compose import Composed, Composer
from gateway.pipeline.handover import Handed, Handover
from gateway.pipeline.translate import Channels, channel_of, translate
from gateway.settings import Templates
from gateway.spool import Spool
from gateway.spool.cases import NewCase, opened
from gateway.spool.outbox import Draft, Hold
from gateway.spool.queue import Claim, backoff
from gateway.spool.tables import Kind


@dataclass(frozen=True, slots=True)
class _Understood:
    """A row and what it turned out to be."""

    row: Any
    kinds: list[str] = field(default_factory=list)  # of its events
    cases: list[NewCase] = field(default_factory=list)
    requests: list[Composed] = field(default_factory=list)  # commands
    receipts: list[DeliveryReceipt] = field(default_factory=list)


class _Failures:
    """What of a batch did not work, and what must wait behind it so that a sender's messages keep their order."""

    def __init__(self, attempts: int) -> None:
        self._attempts = attempts
        self._lanes: set[UUID] = set()
        self.all: list[tuple[Any, Exception, bool]] = []  # row, error, whether that was its last attempt
        self.behind: list[UUID] = []

    def add(self, row: Any, error: Exception) -> None:
        """Note a failed row: dead where no retry can mend it, or where it was retried often enough."""
        final = isinstance(error, GatewayError) and error.action is Action.DEAD
        dead = final or row.attempts >= self._attempts
        self.all.append((row, error, dead))
        if not dead:
            self._lanes.add(row.lane)

    def hold(self, row: Any) -> bool:
        """Tell whether the row must wait for an earlier one of its sender, and remember that it does."""
        if row.lane in self._lanes:
            self.behind.append(row.id)
            return True
        return False


class Intake:
    """Empties the inbox."""

    stage = "translate"

    def __init__(
        self,
        spool: Spool,
        channels: Channels,
        composer: Composer,
        templates: Templates,
        metrics: Metrics,
        handover: Handover,
        *,
        batch: int,
        lease: timedelta,
        attempts: int,
        retry_base: float,
        retry_cap: float,
        replies_per_hour: int,
    ) -> None:
        self._spool, self._channels, self._composer = spool, channels, composer
        self._templates, self._metrics, self._handover = templates, metrics, handover
        self._batch, self._lease, self._attempts = batch, lease, attempts
        self._retry_base, self._retry_cap = retry_base, retry_cap
        self._replies_per_hour = replies_per_hour

    def run_once(self) -> int:
        """Work on one batch; return how many rows it had. Raises `Unavailable` where the database fails."""
        claim = self._spool.inbox.claim(self._batch, self._lease)
        if not claim.rows:
            return 0
        self._metrics.batch.labels(self.stage).observe(len(claim.rows))
        understood: list[_Understood] = []
        failures = _Failures(self._attempts)
        for row in claim.rows:
            if failures.hold(row):
                continue
            try:
                understood.append(self._understand(row))
            except Exception as exc:  # noqa: BLE001  decided per row: retry or dead letter
                failures.add(row, exc)
        self._count(understood)
        self._write(claim, understood, failures)
        self._settle(claim, failures)
        return len(claim.rows)

    def close(self) -> None:
        """Hold nothing between batches."""

    def _understand(self, row: Any) -> _Understood:
        raw = self._spool.inbox.open(row)
        found = _Understood(row)
        channel = channel_of(self._channels, raw.region, raw.channel)
        for event in translate(self._channels, raw):
            found.kinds.append(type(event).__name__)
            if isinstance(event, DeliveryReceipt):
                found.receipts.append(event)
            elif isinstance(event, CitizenMessage):
                composed = self._composer.compose(event, raw, channel, new_id())
                if composed.complaint is None:
                    found.requests.append(composed)
                else:
                    found.cases.append(_case(composed.complaint, composed, row))
        return found

    def _count(self, understood: Sequence[_Understood]) -> None:
        """Count once a batch: a label is looked up at the cost of a regular expression."""
        events = Counter((one.row.region, one.row.channel, kind) for one in understood for kind in one.kinds)
        for labels, count in events.items():
            self._metrics.translated.labels(*labels).inc(count)
        receipts = Counter((one.row.region, one.row.channel, r.state.value) for one in understood for r in one.receipts)
        for labels, count in receipts.items():
            self._metrics.receipts.labels(*labels).inc(count)

    def _write(self, claim: Claim, understood: Sequence[_Understood], failures: _Failures) -> None:
        if not understood:
            return
        try:
            self._write_together(claim, understood)
        except Unavailable:
            raise  # the database has not answered: whatever the rows hold, it is not their fault
        except Exception as exc:  # noqa: BLE001  decided per row: retry or dead letter
            if len(understood) == 1:
                failures.add(understood[0].row, exc)
                return
            for one in understood:
                if not failures.hold(one.row):
                    self._write(claim, [one], failures)

    def _write_together(self, claim: Claim, understood: Sequence[_Understood]) -> None:
        spool = self._spool
        with spool.database.begin() as connection:
            # First, and only what is still ours goes on: a batch that took too long may have been taken over.
            ours = spool.inbox.finish(connection, claim.id, [one.row.id for one in understood])
            kept = [one for one in understood if one.row.id in ours]
            handed = self._open(connection, [case for one in kept for case in one.cases])
            drafts = [d for one in kept for c in one.requests if (d := self._answer(connection, c, one.row))]
            held = spool.outbox.add_replies(connection, drafts, self._replies_per_hour)
            for one in kept:
                address = (one.row.region, one.row.channel)
                for receipt in one.receipts:
                    spool.outbox.note_receipt(connection, address, receipt.external_id, receipt.state, receipt.error)
        if handed:
            self._handover.put(handed)
        for draft in held:
            self._metrics.replies.labels(draft.region, draft.channel, "suppressed").inc()
        _tell(kept)

    def _open(self, connection: Any, new: Sequence[NewCase]) -> Handed | None:
        """Open cases and queue their deliveries; what may go straight to the deliverer beside us is returned."""
        rows = self._spool.cases.open(connection, new)
        claim = self._handover.reserve() if rows else None
        hold = Hold(claim, self._lease) if claim else None
        jobs = self._spool.outbox.add_cases(connection, Kind.DELIVER, rows, hold)
        if claim is None:
            return None
        by_id = {case.complaint.id: case for case in new}
        return Handed(claim, jobs, {row["id"]: opened(by_id[row["id"]], row) for row in rows})

    def _answer(self, connection: Any, composed: Composed, row: Any) -> Draft | None:
        """Return the reply to a command; a status the centre must be asked for is queued instead."""
        if composed.contact is None:
            return None
        templates, request = self._templates, composed.request
        if isinstance(request, StatusQuery):
            spool = self._spool
            case_id = spool.cases.owned(connection, request.ticket, row.region, row.channel, composed.sender)
            if case_id is not None:
                job = {"id": case_id, "region": row.region, "channel": row.channel, "correlation_id": row.id}
                spool.outbox.add_cases(connection, Kind.INQUIRE, [job])
                return None
            text = templates.status_unknown.format(ticket=request.ticket)
        elif isinstance(request, MistypedTicket):
            text = templates.status_format
        else:
            assert isinstance(request, HelpRequest)  # noqa: S101  the closed list of requests
            text = templates.help
        return Draft(region=row.region, channel=row.channel, to=composed.contact, text=text, correlation_id=row.id)

    def _settle(self, claim: Claim, failures: _Failures) -> None:
        """Dead-letter what cannot work, put off what failed unexpectedly, and give back what waits behind that."""
        if not failures.all:
            return
        retries: dict[UUID, tuple[timedelta, str]] = {}
        dead: dict[UUID, str] = {}
        for row, error, last in failures.all:
            reason = describe(error)
            code = error.code if isinstance(error, GatewayError) else "unexpected"
            if last:
                dead[row.id] = reason
                self._metrics.dead.labels(self.stage, code).inc()
            else:
                retries[row.id] = (backoff(row.attempts, base=self._retry_base, cap=self._retry_cap), reason)
                self._metrics.retries.labels(self.stage, code).inc()
            log.warning(
                "dead letter" if last else "put off",
                stage=self.stage,
                region=row.region,
                channel=row.channel,
                correlation_id=row.id.hex,
                attempts=row.attempts,
                reason=reason,
                exc_info=None if isinstance(error, GatewayError) else error,
            )
        with self._spool.database.begin() as connection:
            self._spool.inbox.retry(connection, claim.id, retries)
            self._spool.inbox.bury(connection, claim.id, dead)
            self._spool.inbox.give_back(connection, claim.id, failures.behind)


def _case(complaint: Complaint, composed: Composed, row: Any) -> NewCase:
    return NewCase(
        complaint=complaint,
        sender=composed.sender,
        contact=composed.contact,
        correlation_id=row.id,
        opened_at=row.received_at,
    )


def _tell(understood: Sequence[_Understood]) -> None:
    """Log what citizens said; receipts and what asks nothing are told by the metrics."""
    spoken = [one for one in understood if one.cases or one.requests]
    if len(spoken) == 1:
        row = spoken[0].row
        log.info("translated", region=row.region, channel=row.channel, correlation_id=row.id.hex)
    elif spoken:
        log.info("translated", count=len(spoken))
