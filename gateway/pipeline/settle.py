"""What becomes of a row whose attempt failed: the one rule for messages, deliveries and replies."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from gateway.domain.errors import Action, GatewayError
from gateway.observe.logs import describe, log
from gateway.observe.metrics import Metrics
from gateway.spool.outbox import NewReply
from gateway.spool.queue import Queue, backoff
from gateway.storage.database import Database

Failure = tuple[Any, Exception, bool]  # row, error, whether that was its last attempt


class Settler:
    """Puts off or buries rows of one queue."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        metrics: Metrics,
        stage: str,
        *,
        base: float,
        cap: float,
        foreign: bool,
    ) -> None:
        """`foreign`: the errors are those of somebody we call."""
        self._database, self._queue, self._metrics, self._stage = database, queue, metrics, stage
        self._base, self._cap, self._foreign = base, cap, foreign

    def settle(self, claim: UUID, failures: Sequence[Failure], behind: Collection[UUID] = ()) -> None:
        """Record failed rows, and give back those that must wait `behind` them.

        An error that no retry can mend buries its row at once.
        """
        retries: dict[UUID, tuple[timedelta, str]] = {}
        dead: dict[UUID, str] = {}
        for row, error, last in failures:
            known = isinstance(error, GatewayError)
            code = error.code if isinstance(error, GatewayError) else "unexpected"
            if self._foreign:
                self._metrics.provider_errors.labels(row.region, row.channel, code).inc()
            if last or (isinstance(error, GatewayError) and error.action is Action.DEAD):
                dead[row.id] = describe(error)
                self._metrics.dead.labels(self._stage, code).inc()
            else:
                wait = backoff(row.attempts, base=self._base, cap=self._cap)
                asked = getattr(error, "retry_after", None)
                retries[row.id] = (max(wait, timedelta(seconds=asked)) if asked else wait, describe(error))
                self._metrics.retries.labels(self._stage, code).inc()
            log.warning(
                "dead letter" if row.id in dead else "put off",
                stage=self._stage,
                kind=getattr(row, "kind", None),
                region=row.region,
                channel=row.channel,
                correlation_id=getattr(row, "correlation_id", row.id).hex,
                attempts=row.attempts,
                reason=describe(error),
                exc_info=None if known else error,
            )
        if failures:
            with self._database.begin() as connection:
                self._queue.retry(connection, claim, retries)
                self._queue.bury(connection, claim, dead)
                self._queue.give_back(connection, claim, behind)


def held_back(metrics: Metrics, reply: NewReply) -> None:
    """Count and log a reply that is not sent: too many to this address within the hour, or its owner said STOP."""
    metrics.replies.labels(reply.region, reply.channel, "suppressed").inc()
    log.warning("reply held back", region=reply.region, channel=reply.channel, correlation_id=reply.correlation_id.hex)
