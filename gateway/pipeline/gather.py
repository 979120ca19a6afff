"""Sends long messages on whose missing parts did not come in time: flagged as incomplete, never in silence."""

from __future__ import annotations

from typing import Any

from gateway.errors import GatewayError, Unavailable
from gateway.ids import new_id
from gateway.observe import Metrics, describe, log
from gateway.pipeline.compose import Composer
from gateway.pipeline.consequences import Consequences, Said
from gateway.pipeline.join import Joined, Joining
from gateway.pipeline.translate import Channels, channel_of
from gateway.spool import Spool
from gateway.spool.drafts import Draft

_BATCH = 50  # drafts in one transaction; they are few


def said(joined: Joined, composer: Composer, channels: Channels) -> Said:
    """Return what a joined message says, under the correlation id of its first part."""
    raw = joined.raw
    channel = channel_of(channels, raw.region, raw.channel)
    return Said(
        composed=composer.compose(joined.message, raw, channel, new_id()),
        region=raw.region,
        channel=raw.channel,
        correlation_id=raw.id,
        received_at=raw.received_at,
        late=joined.late,
    )


class Gatherer:
    """Empties the drafts that have waited long enough."""

    stage = "gather"

    def __init__(
        self,
        spool: Spool,
        joining: Joining,
        composer: Composer,
        channels: Channels,
        consequences: Consequences,
        metrics: Metrics,
    ) -> None:
        self._spool, self._joining, self._composer, self._channels = spool, joining, composer, channels
        self._consequences, self._metrics = consequences, metrics

    def run_once(self) -> int:
        """Send on what is due; return how many messages that were. No call leaves the transaction."""
        with self._spool.database.begin() as connection:
            due = self._spool.drafts.due(connection, _BATCH)
            found = [one for draft in due if (one := self._joined(connection, draft))]
            written = self._consequences.write(connection, found)
        self._consequences.committed(written)
        return len(due)

    def close(self) -> None:
        """Hold nothing between batches."""

    def _joined(self, connection: Any, draft: Draft) -> Said | None:
        """Join a draft; where that cannot be done its parts become dead letters, to be replayed after a fix."""
        try:
            joined = self._joining.join(connection, draft)
            log.info("incomplete", region=draft.region, channel=draft.channel, count=len(draft.missing))
            return said(joined, self._composer, self._channels)
        except Unavailable:
            raise
        except Exception as exc:  # noqa: BLE001  whatever the adapter met, the others go on
            code = exc.code if isinstance(exc, GatewayError) else "unexpected"
            self._metrics.dead.labels(self.stage, code).inc(len(draft.numbers))
            log.warning("dead letter", stage=self.stage, region=draft.region, channel=draft.channel, exc_info=exc)
            self._spool.inbox.condemn(
                connection, list(draft.numbers.values()), f"its parts do not join: {describe(exc)}"
            )
            self._spool.drafts.close(connection, draft.id)
            return None
