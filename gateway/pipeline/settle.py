"""What becomes of an outbox row whose attempt failed: the one rule for deliveries and replies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from gateway.errors import Action, GatewayError
from gateway.observe import Metrics, describe, log
from gateway.spool import Spool
from gateway.spool.queue import backoff


class Settler:
    """Puts off or buries rows of the outbox."""

    def __init__(self, spool: Spool, metrics: Metrics, stage: str, *, base: float, cap: float) -> None:
        self._spool, self._metrics, self._stage = spool, metrics, stage
        self._base, self._cap = base, cap

    def settle(self, claim: UUID, failures: Sequence[tuple[Any, Exception, bool]]) -> None:
        """Record failed rows as (row, error, last attempt). An error that no retry can mend buries at once."""
        retries: dict[UUID, tuple[timedelta, str]] = {}
        dead: dict[UUID, str] = {}
        for row, error, last in failures:
            known = isinstance(error, GatewayError)
            code = error.code if isinstance(error, GatewayError) else "unexpected"
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
                kind=row.kind,
                region=row.region,
                channel=row.channel,
                correlation_id=row.correlation_id.hex,
                attempts=row.attempts,
                reason=describe(error),
                exc_info=None if known else error,
            )
        if failures:
            with self._spool.database.begin() as connection:
                self._spool.outbox.retry(connection, claim, retries)
                self._spool.outbox.bury(connection, claim, dead)
