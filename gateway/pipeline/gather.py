"""Sends long messages on whose missing parts did not come in time: flagged as incomplete, never in silence."""

from __future__ import annotations

from gateway.domain.errors import GatewayError, Unavailable
from gateway.observe.logs import describe, log
from gateway.observe.metrics import Metrics
from gateway.pipeline.effects import EffectWriter
from gateway.pipeline.join import Joining
from gateway.spool import Spool
from gateway.spool.partial_messages import PartialMessage

_BATCH = 50  # drafts, each in a transaction of its own: they are few, and a bad one must not hold up the others


class Gatherer:
    """Empties the drafts that have waited long enough."""

    name = "gather"

    def __init__(self, spool: Spool, joining: Joining, effects: EffectWriter, metrics: Metrics) -> None:
        self._spool, self._joining, self._consequences, self._metrics = spool, joining, effects, metrics

    def run_once(self) -> int:
        """Send on what is due; return how many messages that were."""
        count = 0
        while count < _BATCH and self._send_one():
            count += 1
        return count

    def close(self) -> None:
        """Nothing to release."""

    def _send_one(self) -> bool:
        partial: PartialMessage | None = None
        try:
            with self._spool.database.begin() as connection:
                partial = self._spool.partial_messages.due(connection)
                if partial is None:
                    return False
                written = self._consequences.write(connection, [self._joining.send_on(connection, partial)])
        except Unavailable:
            raise  # the database has not answered: that is no fault of the message
        except Exception as exc:
            if partial is None:
                raise
            self._condemn(partial, exc)
            return True
        log.info("incomplete", region=partial.region, channel=partial.channel, count=len(partial.missing))
        self._consequences.committed(written)
        return True

    def _condemn(self, partial: PartialMessage, error: Exception) -> None:
        """Make the parts dead letters; replayed after a fix they find together again."""
        with self._spool.database.begin() as connection:
            now = self._spool.partial_messages.waiting(connection, partial.id)
            if now is None:  # its last part has come meanwhile
                return
            self._spool.partial_messages.dissolve(connection, [partial.id])
            reason = f"its parts do not join: {describe(error)}"
            self._spool.inbox.condemn(connection, list(now.numbers.values()), reason)
        known = isinstance(error, GatewayError)
        code = error.code if isinstance(error, GatewayError) else "unexpected"
        self._metrics.dead.labels(self.name, code).inc(len(now.numbers))
        log.warning(
            "dead letter",
            stage=self.name,
            region=partial.region,
            channel=partial.channel,
            count=len(now.numbers),
            reason=describe(error),
            exc_info=None if known else error,
        )
