"""Stages 2 to 5 for a claimed batch: translate, assemble, enrich, route, and one transaction for all results.

A batch with one bad row fails that row alone: what cannot be interpreted is known before the transaction, and where
the batch cannot be written, its rows are written one by one. Behind a row that is to be tried again, its sender's
later ones wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from gateway.domain.channel import ChannelId
from gateway.domain.errors import Unavailable
from gateway.domain.events import CitizenMessage, DeliveryReceipt, MessagePart, Notice
from gateway.domain.ids import new_id
from gateway.observe.metrics import Metrics
from gateway.pipeline.effects import EffectWriter
from gateway.pipeline.interpret.compose import Composer
from gateway.pipeline.interpret.message import InterpretedMessage
from gateway.pipeline.interpret.translate import Channels, channel_of, translate
from gateway.pipeline.join import Joining
from gateway.pipeline.settle import Failure, Settler
from gateway.spool import Spool
from gateway.spool.activity import ActivityLog
from gateway.spool.queue import Claim
from gateway.spool.rows import InboxRow


@dataclass(frozen=True, slots=True)
class _InterpretedRow:
    """A row and what it turned out to be."""

    row: InboxRow
    kinds: list[str] = field(default_factory=list)  # of its events
    said: list[InterpretedMessage] = field(default_factory=list)
    parts: list[MessagePart] = field(default_factory=list)
    receipts: list[DeliveryReceipt] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


class _Failures:
    """What of a batch did not work, and what must wait behind it so that a sender's messages keep their order."""

    def __init__(self, settler: Settler) -> None:
        self._settler = settler
        self._lanes: set[UUID] = set()
        self.all: list[Failure] = []
        self.behind: list[UUID] = []

    def add(self, row: InboxRow, error: Exception) -> None:
        """Note a failed row; if it will be tried again, its lane is blocked."""
        self.all.append(Failure(row, error))
        if not self._settler.gives_up(row, error):
            self._lanes.add(row.lane)

    def hold(self, row: InboxRow) -> bool:
        """Tell whether the row must wait for an earlier one of its sender, and remember that it does."""
        if row.lane in self._lanes:
            self.behind.append(row.id)
            return True
        return False


class Intake:
    """Empties the inbox."""

    name = "intake"

    def __init__(
        self,
        spool: Spool,
        channels: Channels,
        composer: Composer,
        joining: Joining,
        effects: EffectWriter,
        metrics: Metrics,
        activity: ActivityLog,
        settler: Settler,
        *,
        batch: int,
        lease: timedelta,
    ) -> None:
        self._spool, self._channels, self._composer, self._joining = spool, channels, composer, joining
        self._consequences, self._metrics, self._activity, self._settler = effects, metrics, activity, settler
        self._batch = batch
        self._lease = lease

    def run_once(self) -> int:
        """Work on one batch; return how many rows it had. Raises `Unavailable` where the database fails."""
        claim = self._spool.inbox.claim(self._batch, self._lease)
        if not claim.rows:
            return 0
        self._metrics.batch.labels(self.name).observe(len(claim.rows))
        interpreted: list[_InterpretedRow] = []
        failures = _Failures(self._settler)
        for row in claim.rows:
            if failures.hold(row):
                continue
            try:
                interpreted.append(self._interpret(row))
            except Exception as exc:  # noqa: BLE001  decided per row: retry or dead letter
                failures.add(row, exc)
        self._count(interpreted)
        self._write(claim, interpreted, failures)
        self._settler.settle(claim.id, failures.all, failures.behind)
        return len(claim.rows)

    def close(self) -> None:
        """Nothing to release."""

    def _interpret(self, row: InboxRow) -> _InterpretedRow:
        raw = self._spool.inbox.unseal(row)
        found = _InterpretedRow(row)
        channel = channel_of(self._channels, raw.region, raw.channel)
        for event in translate(self._channels, raw):
            found.kinds.append(type(event).__name__)
            if isinstance(event, DeliveryReceipt):
                found.receipts.append(event)
            elif isinstance(event, Notice):
                found.notices.append(event)
            elif isinstance(event, MessagePart):
                found.parts.append(event)
            elif isinstance(event, CitizenMessage):
                found.said.append(
                    InterpretedMessage(
                        composed=self._composer.compose(event, raw, channel, new_id()),
                        region=raw.region,
                        channel=raw.channel,
                        correlation_id=raw.id,
                        received_at=raw.received_at,
                    )
                )
        return found

    def _count(self, interpreted: Sequence[_InterpretedRow]) -> None:
        """Count once a batch: a label is looked up at the cost of a regular expression."""
        events = Counter((one.row.region, one.row.channel, kind) for one in interpreted for kind in one.kinds)
        for labels, count in events.items():
            self._metrics.translated.labels(*labels).inc(count)
        receipts = Counter(
            (one.row.region, one.row.channel, r.state.value) for one in interpreted for r in one.receipts
        )
        for labels, count in receipts.items():
            self._metrics.receipts.labels(*labels).inc(count)

    def _write(self, claim: Claim[InboxRow], interpreted: Sequence[_InterpretedRow], failures: _Failures) -> None:
        if not interpreted:
            return
        try:
            self._write_together(claim, interpreted)
        except Unavailable:
            raise  # the database has not answered: whatever the rows hold, it is not their fault
        except Exception as exc:  # noqa: BLE001  decided per row: retry or dead letter
            if len(interpreted) == 1:
                failures.add(interpreted[0].row, exc)
                return
            for one in interpreted:
                if not failures.hold(one.row):
                    self._write(claim, [one], failures)

    def _write_together(self, claim: Claim[InboxRow], interpreted: Sequence[_InterpretedRow]) -> None:
        spool = self._spool
        with spool.database.begin() as connection:
            # First, and only what is still ours goes on: a batch that took too long may have been taken over.
            ours = spool.inbox.finish(connection, claim.id, [one.row.id for one in interpreted])
            kept = [one for one in interpreted if one.row.id in ours]
            said: list[InterpretedMessage] = []
            for one in kept:
                said += one.said
                for part in one.parts:
                    if joined := self._joining.add(connection, one.row, part):
                        said.append(joined)
            written = self._consequences.write(connection, said)
            for one in kept:
                channel = ChannelId(one.row.region, one.row.channel)
                for receipt in one.receipts:
                    spool.receipts.note(connection, channel, receipt.external_id, receipt.state, receipt.error)
        self._consequences.committed(written)
        for one in kept:
            for notice in one.notices:
                what = "well" if notice.well else "unwell"
                self._activity.note(one.row.region, one.row.channel, what, one.row.received_at, notice.text)
