"""Interpret a claimed batch of the inbox (stages 2 to 5), and write all effects in one transaction.

A row that fails does not fail the others: a row that cannot be interpreted is left out of the transaction, and if the
transaction fails, the rows are written one by one. If a row is tried again, later rows of the same sender wait for it.
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
    """A row with its events, by type."""

    row: InboxRow
    event_types: list[str] = field(default_factory=list)
    messages: list[InterpretedMessage] = field(default_factory=list)
    parts: list[MessagePart] = field(default_factory=list)
    receipts: list[DeliveryReceipt] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


class _Failures:
    """The failed rows of a batch, and later rows of their senders, which wait: a sender's messages keep their order."""

    def __init__(self, settler: Settler) -> None:
        self._settler = settler
        self._lanes: set[UUID] = set()
        self.all: list[Failure] = []
        self.waiting: list[UUID] = []

    def add(self, row: InboxRow, error: Exception) -> None:
        """Add a failed row; block its lane if it will be tried again."""
        self.all.append(Failure(row, error))
        if not self._settler.gives_up(row, error):
            self._lanes.add(row.lane)

    def must_wait(self, row: InboxRow) -> bool:
        """Return whether a row must wait for an earlier row of its lane; if so, add it to `waiting`."""
        if row.lane in self._lanes:
            self.waiting.append(row.id)
            return True
        return False


class Intake:
    """The stage that empties the inbox."""

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
        self._spool = spool
        self._channels = channels
        self._composer = composer
        self._joining = joining
        self._effects = effects
        self._metrics = metrics
        self._activity = activity
        self._settler = settler
        self._batch = batch
        self._lease = lease

    def run_once(self) -> int:
        """Process one batch; return the number of claimed rows. Raises `Unavailable` if the database fails."""
        claim = self._spool.inbox.claim(self._batch, self._lease)
        if not claim.rows:
            return 0
        self._metrics.batch.labels(self.name).observe(len(claim.rows))
        interpreted: list[_InterpretedRow] = []
        failures = _Failures(self._settler)
        for row in claim.rows:
            if failures.must_wait(row):
                continue
            try:
                interpreted.append(self._interpret(row))
            except Exception as exc:  # noqa: BLE001  the settler decides: retry or dead letter
                failures.add(row, exc)
        self._count(interpreted)
        self._write(claim, interpreted, failures)
        self._settler.settle(claim.id, failures.all, failures.waiting)
        return len(claim.rows)

    def close(self) -> None:
        """Nothing to release."""

    def _interpret(self, row: InboxRow) -> _InterpretedRow:
        raw = self._spool.inbox.unseal(row)
        interpreted = _InterpretedRow(row)
        channel = channel_of(self._channels, raw.region, raw.channel)
        for event in translate(self._channels, raw):
            interpreted.event_types.append(type(event).__name__)
            if isinstance(event, DeliveryReceipt):
                interpreted.receipts.append(event)
            elif isinstance(event, Notice):
                interpreted.notices.append(event)
            elif isinstance(event, MessagePart):
                interpreted.parts.append(event)
            elif isinstance(event, CitizenMessage):
                interpreted.messages.append(
                    InterpretedMessage(
                        composed=self._composer.compose(event, raw, channel, new_id()),
                        region=raw.region,
                        channel=raw.channel,
                        correlation_id=raw.id,
                        received_at=raw.received_at,
                    )
                )
        return interpreted

    def _count(self, interpreted: Sequence[_InterpretedRow]) -> None:
        """Count events and receipts once per batch: each look-up of a label costs a regular expression."""
        events = Counter(
            (entry.row.region, entry.row.channel, event_type)
            for entry in interpreted
            for event_type in entry.event_types
        )
        for labels, count in events.items():
            self._metrics.translated.labels(*labels).inc(count)
        receipts = Counter(
            (entry.row.region, entry.row.channel, receipt.state.value)
            for entry in interpreted
            for receipt in entry.receipts
        )
        for labels, count in receipts.items():
            self._metrics.receipts.labels(*labels).inc(count)

    def _write(self, claim: Claim[InboxRow], interpreted: Sequence[_InterpretedRow], failures: _Failures) -> None:
        if not interpreted:
            return
        try:
            self._write_together(claim, interpreted)
        except Unavailable:
            raise  # the database did not answer: no row is the cause
        except Exception as exc:  # noqa: BLE001  the settler decides: retry or dead letter
            if len(interpreted) == 1:
                failures.add(interpreted[0].row, exc)
                return
            for entry in interpreted:
                if not failures.must_wait(entry.row):
                    self._write(claim, [entry], failures)

    def _write_together(self, claim: Claim[InboxRow], interpreted: Sequence[_InterpretedRow]) -> None:
        spool = self._spool
        with spool.database.begin() as transaction:
            # Finish first, and use the finished rows only: if the lease has ended, another worker has the other rows.
            finished = spool.inbox.finish(transaction, claim.id, [entry.row.id for entry in interpreted])
            interpreted = [entry for entry in interpreted if entry.row.id in finished]
            messages: list[InterpretedMessage] = []
            for entry in interpreted:
                messages += entry.messages
                for part in entry.parts:
                    if joined := self._joining.add(transaction, entry.row, part):
                        messages.append(joined)
            effects = self._effects.write(transaction, messages)
            for entry in interpreted:
                channel = ChannelId(entry.row.region, entry.row.channel)
                for receipt in entry.receipts:
                    spool.receipts.note(transaction, channel, receipt.external_id, receipt.state, receipt.error)
        self._effects.committed(effects)
        for entry in interpreted:
            for notice in entry.notices:
                state = "well" if notice.well else "unwell"
                self._activity.note(entry.row.region, entry.row.channel, state, entry.row.received_at, notice.text)
