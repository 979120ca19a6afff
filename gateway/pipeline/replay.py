"""Replay stored messages through stages 2 to 5: dead letters after a fix, or a time range after a mistake.

A preview shows all changes before they are made. A complaint that is already at the centre is amended there and keeps
its id and its ticket.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from gateway.domain.channel import ChannelId
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
_SHOWN = frozenset(
    {"classification", "category", "agency"}
)  # with old and new value; other fields may quote the citizen


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """The effect of a replay on one message."""

    message: UUID
    received_at: datetime
    channel: ChannelId
    action: str  # open, amend, retry, none, fail
    detail: str  # the reason or the differences, in English


class _Reading(NamedTuple):
    """The complaint of a report by today's rules, and the stored one; `before` is `None` if the report has no case."""

    now: Complaint
    before: Complaint | None


class _Preview(NamedTuple):
    """The change of one message, and the complaints to amend."""

    change: Change
    amended: Sequence[Complaint] = ()


class Replay:
    """Preview and apply replays."""

    def __init__(
        self, spool: Spool, channels: Channels, composer: Composer, joining: Joining, casework: Casework
    ) -> None:
        self._spool = spool
        self._channels = channels
        self._composer = composer
        self._joining = joining
        self._casework = casework

    def dead(self, limit: int) -> Iterator[Change]:
        """Yield the change of the `limit` newest dead letters of each queue, oldest first; the inbox comes first."""
        for row in reversed(self._spool.inbox.dead(limit)):
            yield self._preview(row).change
        for job in reversed(self._spool.outbox.dead(limit)):
            yield Change(
                message=job.id,
                received_at=job.created_at,
                channel=ChannelId(job.region, job.channel),
                action="retry",
                detail=f"{job.kind} once more, after {job.reason}",
            )

    def between(self, start: datetime, end: datetime) -> Iterator[Change]:
        """Yield the change of each message received in a time range, oldest first."""
        for row in self._rows(start, end):
            yield self._preview(row).change

    def apply_dead(self, limit: int) -> int:
        """Make up to `limit` dead letters of each queue pending again; return their number."""
        count = 0
        for queue in (self._spool.inbox, self._spool.outbox):
            ids = [row.id for row in queue.dead(limit)]
            if ids:
                with self._spool.database.begin() as transaction:
                    count += queue.reopen(transaction, ids)
        return count

    def apply_between(self, start: datetime, end: datetime) -> dict[str, int]:
        """Apply the changes that `between` yields; return the number of messages per action. Safe to repeat."""
        counts: dict[str, int] = {}
        for row in self._rows(start, end):
            change, amended = self._preview(row)
            with self._spool.database.begin() as transaction:
                if change.action in ("open", "retry"):
                    self._spool.inbox.reopen(transaction, [row.id])
                for complaint in amended:
                    self._casework.amend(transaction, complaint, row.id, "read again by a replay")
            counts[change.action] = counts.get(change.action, 0) + 1
        return counts

    def _rows(self, start: datetime, end: datetime) -> Iterator[InboxRow]:
        after: UUID | None = None
        while page := self._spool.inbox.between(start, end, after, _PAGE):
            yield from page
            after = page[-1].id

    def _preview(self, row: InboxRow) -> _Preview:
        if row.state in (State.PENDING, State.CLAIMED):
            return _Preview(_change(row, "none", "still waits to be read"))
        try:
            raw = self._spool.inbox.unseal(row)
            channel = channel_of(self._channels, raw.region, raw.channel)
            events = translate(self._channels, raw)
            readings = [] if row.state == State.DEAD else list(self._readings(raw, channel, events))
        except Unavailable:
            raise  # the database did not answer: the message is not the cause
        except GatewayError as exc:
            return _Preview(_change(row, "fail", exc.reason))
        except Exception as exc:  # noqa: BLE001  shown to the operator; intake would fail with the same error
            return _Preview(_change(row, "fail", type(exc).__name__))
        if row.state == State.DEAD:
            types = ", ".join(type(event).__name__ for event in events) or "nothing"
            return _Preview(_change(row, "retry", f"now reads as {types}"))
        return _compare(row, readings)

    def _readings(self, raw: RawMessage, channel: Channel, events: Sequence[Event]) -> Iterator[_Reading]:
        """Yield each report among the events, unless it was added to a case or its stored complaint was purged."""
        with self._spool.database.read() as transaction:
            for event in events:
                composed: Composed | None = None
                if isinstance(event, CitizenMessage):
                    composed = self._composer.compose(event, raw, channel, new_id())
                elif isinstance(event, MessagePart) and (message := self._joining.again(transaction, raw.id)):
                    composed = message.composed
                if composed is None or (complaint := composed.complaint) is None:
                    continue
                cases = self._spool.cases
                message_key = cases.message_key(raw.region, raw.channel, complaint.source.external_id)
                if cases.followed(transaction, message_key):
                    continue
                case = cases.of_message(transaction, message_key)
                if case is None:
                    yield _Reading(complaint, None)
                elif case.complaint is not None:
                    yield _Reading(complaint, case.complaint)


def _change(row: InboxRow, action: str, detail: str) -> Change:
    channel = ChannelId(row.region, row.channel)
    return Change(message=row.id, received_at=row.received_at, channel=channel, action=action, detail=detail)


def _compare(row: InboxRow, readings: Sequence[_Reading]) -> _Preview:
    """Return the change of a message that was interpreted before."""
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
    action = "none"
    if opens:
        action = "open"
    elif amended:
        action = "amend"
    return _Preview(_change(row, action, "; ".join(details) or "reads the same"), amended)


def _differences(before: Complaint, after: Complaint) -> list[str]:
    """Return one text per field that differs."""
    differences = []
    for name in _COMPARED:
        old, new = getattr(before, name), getattr(after, name)
        if name in _SHOWN:
            old, new = (judgement.value if judgement else "-" for judgement in (old, new))
        if old != new:
            differences.append(f"{name}: {old} → {new}" if name in _SHOWN else f"{name} changes")
    return differences
