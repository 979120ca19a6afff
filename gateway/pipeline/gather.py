"""Join long messages whose missing parts did not come in time; a note in the message says that it is incomplete."""

from __future__ import annotations

from gateway.domain.errors import GatewayError, Unavailable
from gateway.domain.texts import text
from gateway.observe.logs import describe, failure_fields, log
from gateway.observe.metrics import Metrics
from gateway.pipeline.effects import EffectWriter
from gateway.pipeline.join import Joining
from gateway.spool import Spool
from gateway.spool.partial_messages import PartialMessage

_BATCH = 50  # messages, each in its own transaction, so that a bad one does not stop the others; they are few


class Gatherer:
    """The stage that joins partial messages after their waiting time."""

    name = "gather"

    def __init__(self, spool: Spool, joining: Joining, effects: EffectWriter, metrics: Metrics) -> None:
        self._spool = spool
        self._joining = joining
        self._effects = effects
        self._metrics = metrics

    def run_once(self) -> int:
        """Join the messages that are due; return their number."""
        count = 0
        while count < _BATCH and self._join_next():
            count += 1
        return count

    def close(self) -> None:
        """Nothing to release."""

    def _join_next(self) -> bool:
        partial: PartialMessage | None = None
        try:
            with self._spool.database.begin() as transaction:
                partial = self._spool.partial_messages.due(transaction)
                if partial is None:
                    return False
                effects = self._effects.write(transaction, [self._joining.join_now(transaction, partial)])
        except Unavailable:
            raise  # the database did not answer: the message is not the cause
        except Exception as exc:
            if partial is None:
                raise
            self._bury_parts(partial, exc)
            return True
        log.info("incomplete", region=partial.region, channel=partial.channel, count=len(partial.missing))
        self._effects.committed(effects)
        return True

    def _bury_parts(self, partial: PartialMessage, error: Exception) -> None:
        """Make the parts dead letters; if they are replayed after a fix, they are joined again."""
        with self._spool.database.begin() as transaction:
            current = self._spool.partial_messages.waiting(transaction, partial.id)
            if current is None:  # its last part has come meanwhile
                return
            self._spool.partial_messages.dissolve(transaction, [partial.id])
            reason = str(text("its parts cannot be joined: {reason}", reason=describe(error)))
            self._spool.inbox.bury_parts(transaction, list(current.numbers.values()), reason)
        code = error.code if isinstance(error, GatewayError) else "unexpected"
        self._metrics.dead.labels(self.name, code).inc(len(current.numbers))
        log.warning(
            "dead letter",
            stage=self.name,
            region=partial.region,
            channel=partial.channel,
            count=len(current.numbers),
            **failure_fields(error),
        )
