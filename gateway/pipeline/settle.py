"""Settle failed rows: decide between retry and dead letter, by one rule for messages, deliveries and replies."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from gateway.domain.errors import Action, GatewayError
from gateway.observe.logs import describe, failure_fields, log
from gateway.observe.metrics import Metrics
from gateway.ports import Clock
from gateway.spool.outbox import Job, NewReply
from gateway.spool.queue import Queue, backoff
from gateway.spool.rows import InboxRow, OutboxRow
from gateway.storage.database import Database

Row = InboxRow | OutboxRow | Job


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """The retries of a stage. An error whose action is `Action.DEAD` is never retried."""

    base: float  # seconds before the second attempt; doubles with each
    cap: float  # most seconds between two attempts
    attempts: int | None = None  # attempts before a row is dead; `None`: no limit
    # True: `attempts` counts for unexpected errors only; after a `GatewayError` a row is retried without limit.
    patient: bool = False
    give_up: timedelta | None = None  # age at which a reply is dead
    foreign: bool = False  # the errors come from a system that we call: they are counted per channel


class Failure(NamedTuple):
    """A row and the error of its attempt."""

    row: Row
    error: Exception
    final: bool = False  # True: no other attempt can help, so the policy is not used


class Settler:
    """Retry or bury the failed rows of one queue, by the policy of one stage."""

    def __init__(
        self,
        database: Database,
        queue: Queue[InboxRow] | Queue[OutboxRow],
        metrics: Metrics,
        stage: str,
        policy: Policy,
        clock: Clock,
    ) -> None:
        self._database = database
        self._queue = queue
        self._metrics = metrics
        self._stage = stage
        self._policy = policy
        self._clock = clock

    def gives_up(self, row: Row, error: Exception) -> bool:
        """Return whether the row is dead after this error: no retry can help, or the policy's limits are reached."""
        policy, known = self._policy, isinstance(error, GatewayError)
        if isinstance(error, GatewayError) and error.action is Action.DEAD:
            return True
        if policy.attempts is not None and not (policy.patient and known) and row.attempts >= policy.attempts:
            return True
        return (
            policy.give_up is not None
            and isinstance(row, OutboxRow)
            and self._clock() - row.created_at > policy.give_up
        )

    def settle(self, claim: UUID, failures: Sequence[Failure], waiting: Collection[UUID] = ()) -> None:
        """Record failed rows, and give back the rows with the ids `waiting`, which must wait for them."""
        if not failures:
            return
        retries: dict[UUID, tuple[timedelta, str]] = {}
        dead: dict[UUID, str] = {}
        for failure in failures:
            row, error, _ = failure
            code = error.code if isinstance(error, GatewayError) else "unexpected"
            if self._policy.foreign:
                self._metrics.provider_errors.labels(row.region, row.channel, code).inc()
            if failure.final or self.gives_up(row, error):
                dead[row.id] = describe(error)
                self._metrics.dead.labels(self._stage, code).inc()
            else:
                retries[row.id] = (self._wait(row, error), describe(error))
                self._metrics.retries.labels(self._stage, code).inc()
            self._log(row, error, dead=row.id in dead)
        with self._database.begin() as transaction:
            self._queue.retry(transaction, claim, retries)
            self._queue.bury(transaction, claim, dead)
            self._queue.give_back(transaction, claim, waiting)

    def _wait(self, row: Row, error: Exception) -> timedelta:
        """Return the time until the next attempt: the backoff, or the error's `retry_after` if that is longer."""
        wait = backoff(row.attempts, base=self._policy.base, cap=self._policy.cap)
        retry_after = error.retry_after if isinstance(error, GatewayError) else None
        return max(wait, timedelta(seconds=retry_after)) if retry_after else wait

    def _log(self, row: Row, error: Exception, *, dead: bool) -> None:
        log.warning(
            "dead letter" if dead else "retry later",
            stage=self._stage,
            kind=None if isinstance(row, InboxRow) else row.kind,
            region=row.region,
            channel=row.channel,
            correlation_id=(row.id if isinstance(row, InboxRow) else row.correlation_id).hex,
            attempts=row.attempts,
            **failure_fields(error),
        )


def count_held_back(metrics: Metrics, reply: NewReply) -> None:
    """Count and log a reply that is not sent, because of `[replies] per_hour` or of STOP."""
    metrics.replies.labels(reply.region, reply.channel, "suppressed").inc()
    log.warning("reply held back", region=reply.region, channel=reply.channel, correlation_id=reply.correlation_id.hex)
