"""Sends stored messages through stages 2 to 5 again: dead letters after a fix, or a time range after a mistake.

A preview tells what would change before anything does. A complaint that is already at the centre is amended there; it
keeps its ticket, its id and who may ask about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.domain.complaint import Complaint
from gateway.domain.errors import GatewayError, Unavailable
from gateway.domain.events import CitizenMessage, Event, MessagePart
from gateway.domain.ids import new_id
from gateway.pipeline.casework import Casework
from gateway.pipeline.effects import with_identity
from gateway.pipeline.interpret.compose import Composed, Composer
from gateway.pipeline.interpret.translate import Channels, channel_of, translate
from gateway.pipeline.join import Joining
from gateway.ports import Channel, RawMessage
from gateway.spool import Spool
from gateway.spool.rows import InboxRow
from gateway.spool.tables import State

_PAGE = 200
_COMPARED = (
    "title",
    "description",
    "classification",
    "category",
    "agency",
    "place",
    "anonymous",
    "confidential",
    "attachments",
)
_SHOWN = frozenset({"classification", "category", "agency"})  # the rest may quote the citizen


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What a replay of one message would do."""

    message: UUID
    received_at: datetime
    address: str  # region/channel
    action: str  # open, amend, retry, none, fail
    detail: str


class Replay:
    """Previews and applies replays."""

    def __init__(
        self, spool: Spool, channels: Channels, composer: Composer, joining: Joining, casework: Casework
    ) -> None:
        self._spool, self._channels, self._composer = spool, channels, composer
        self._joining, self._casework = joining, casework

    def dead(self, limit: int) -> Iterator[Change]:
        """Tell what each dead letter would become; those of the outbox are tried again as they are."""
        for row in reversed(self._spool.inbox.dead(limit)):
            yield self._preview(row)[0]
        for job in reversed(self._spool.outbox.dead(limit)):
            yield Change(
                message=job.id,
                received_at=job.created_at,
                address=f"{job.region}/{job.channel}",
                action="retry",
                detail=f"{job.kind} once more, after {job.reason}",
            )

    def between(self, start: datetime, end: datetime) -> Iterator[Change]:
        """Tell what each message received in a time range would change."""
        for row in self._rows(start, end):
            yield self._preview(row)[0]

    def apply_dead(self, limit: int) -> int:
        """Give dead letters, of the inbox and the outbox, back to the workers; return how many."""
        count = 0
        for queue in (self._spool.inbox, self._spool.outbox):
            ids = [row.id for row in queue.dead(limit)]
            if ids:
                with self._spool.database.begin() as connection:
                    count += queue.reopen(connection, ids)
        return count

    def apply_between(self, start: datetime, end: datetime) -> dict[str, int]:
        """Do what `between` told; return how many messages each action touched. Safe to repeat."""
        counts: dict[str, int] = {}
        for row in self._rows(start, end):
            change, amended = self._preview(row)
            with self._spool.database.begin() as connection:
                if change.action in ("open", "retry"):
                    self._spool.inbox.reopen(connection, [row.id])
                for complaint in amended:
                    self._casework.amend(connection, complaint, row.id, "read again by a replay")
            counts[change.action] = counts.get(change.action, 0) + 1
        return counts

    def _rows(self, start: datetime, end: datetime) -> Iterator[InboxRow]:
        after: UUID | None = None
        while page := self._spool.inbox.between(start, end, after, _PAGE):
            yield from page
            after = page[-1].id

    def _preview(self, row: InboxRow) -> tuple[Change, list[Complaint]]:
        def change(action: str, detail: str) -> Change:
            return Change(
                message=row.id,
                received_at=row.received_at,
                address=f"{row.region}/{row.channel}",
                action=action,
                detail=detail,
            )

        if row.state in (State.PENDING, State.CLAIMED):
            return change("none", "still waits to be read"), []
        try:
            raw = self._spool.inbox.unseal(row)
            channel = channel_of(self._channels, raw.region, raw.channel)
            events = translate(self._channels, raw)
            readings = [] if row.state == State.DEAD else list(self._readings(raw, channel, events))
        except Unavailable:
            raise  # the database is away: that says nothing of this message
        except GatewayError as exc:
            return change("fail", exc.reason), []
        except Exception as exc:  # noqa: BLE001  shown to the operator: it is what the worker would meet
            return change("fail", type(exc).__name__), []
        if row.state == State.DEAD:
            kinds = ", ".join(type(event).__name__ for event in events) or "nothing"
            return change("retry", f"now reads as {kinds}"), []
        details: list[str] = []
        amended: list[Complaint] = []
        opens = False
        for complaint, before in readings:
            if before is None:
                opens = True
                details.append(f"a complaint for {complaint.agency.value}")
            elif differences := _differences(before, complaint):
                amended.append(with_identity(complaint, before))
                details += differences
        action = "open" if opens else "amend" if amended else "none"
        return change(action, "; ".join(details) or "reads the same"), amended

    def _readings(
        self, raw: RawMessage, channel: Channel, events: Sequence[Event]
    ) -> Iterator[tuple[Complaint, Complaint | None]]:
        """Yield each report as it reads now, and as it was read when it came, if it was."""
        with self._spool.database.read() as connection:
            for event in events:
                composed: Composed | None = None
                if isinstance(event, CitizenMessage):
                    composed = self._composer.compose(event, raw, channel, new_id())
                elif isinstance(event, MessagePart) and (said := self._joining.again(connection, raw.id)):
                    composed = said.composed
                if composed is None or (complaint := composed.complaint) is None:
                    continue
                address = (raw.region, raw.channel, complaint.source.external_id)
                if self._spool.cases.followed(connection, *address):
                    continue
                case = self._spool.cases.of_message(connection, *address)
                if case is None:
                    yield complaint, None
                elif case.complaint is not None:
                    yield complaint, case.complaint


def _differences(before: Complaint, after: Complaint) -> list[str]:
    found = []
    for name in _COMPARED:
        old, new = getattr(before, name), getattr(after, name)
        if name in _SHOWN:
            old, new = (value.value if value else "-" for value in (old, new))
        if old != new:
            found.append(f"{name}: {old} → {new}" if name in _SHOWN else f"{name} changes")
    return found
