"""Describe one channel in sentences: its last events, queues and connection, and the remedy of each trouble."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import NamedTuple

from gateway.domain.channel import ChannelId
from gateway.domain.texts import Text, text
from gateway.i18n.moments import at, since
from gateway.ports import Channel, Listener
from gateway.spool.queue_reader import Backlog
from gateway.spool.rows import LeaseRow

_FRESH = timedelta(minutes=15)  # an older refusal is no trouble, because anybody can send a request that is refused
_SLOW = timedelta(minutes=2)  # a healthy queue is emptied in seconds

LastEvents = Mapping[str, tuple[datetime, str | None]]  # of a channel: {kind of event: (moment, detail)}


class Remedy(StrEnum):
    """The kinds of trouble; each has a section with its remedy on the help page."""

    NO_PROCESS = "no-process"
    DATABASE = "database"
    REFUSED = "refused"
    DEVICE = "device"
    BACKLOG = "backlog"
    DEAD = "dead"
    LINE = "line"
    POLL = "poll"
    NOT_CONFIGURED = "not-configured"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence about a channel."""

    text: Text
    remedy: Remedy | None = None  # set if the sentence is a trouble


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """The facts about all channels, read from the database."""

    inbox: Mapping[ChannelId, Backlog]
    outbox: Mapping[ChannelId, Backlog]
    dead: Mapping[ChannelId, int]
    seen: Mapping[tuple[str, str, str], tuple[datetime, str | None]]
    leases: Mapping[ChannelId, LeaseRow]

    def last_events(self, channel: ChannelId) -> LastEvents:
        """Return the last events of one channel."""
        return {what: entry for (region, name, what), entry in self.seen.items() if (region, name) == channel}


class Times(NamedTuple):
    """The present moment, and the time zone in which a channel's moments are shown."""

    now: datetime
    zone: timezone

    def at(self, moment: datetime) -> Text:
        """Return "at 21:14 WIB (12 minutes ago)"."""
        return at(moment, self.now, self.zone)

    def since(self, moment: datetime) -> Text:
        """Return "since 21:14 WIB (12 minutes ago)"."""
        return since(moment, self.now, self.zone)


def describe(channel_id: ChannelId, channel: Channel | None, facts: Facts, times: Times) -> Iterable[Sentence]:
    """Yield the sentences of a channel, troubles among them; `channel` is `None` if it is not configured any more."""
    seen = facts.last_events(channel_id)
    yield from _activity(seen, times)
    yield from _device(seen, times)
    if backlog := facts.inbox.get(channel_id):
        yield from _backlog(backlog, _TO_BE_READ, times)
    if backlog := facts.outbox.get(channel_id):
        yield from _backlog(backlog, _TO_BE_SENT, times)
    if dead := facts.dead.get(channel_id):
        yield Sentence(text("{count} dead letters; see: run_gateway.py dead list", count=dead), Remedy.DEAD)
    lease = facts.leases.get(channel_id)
    if channel is not None and isinstance(channel.adapter, Listener):
        yield from _line(lease, times)
    else:
        yield from _poll(lease, times)
    if channel is None:
        yield Sentence(text("this channel is not configured any more"), Remedy.NOT_CONFIGURED)


def _activity(seen: LastEvents, times: Times) -> Iterable[Sentence]:
    if "accepted" not in seen:
        yield Sentence(text("no message has come in yet"))
    else:
        yield Sentence(text("last message came in {at}", at=times.at(seen["accepted"][0])))
    if "delivered" in seen:
        yield Sentence(text("last delivery to the centre {at}", at=times.at(seen["delivered"][0])))
    if "replied" in seen:
        yield Sentence(text("last reply sent {at}", at=times.at(seen["replied"][0])))
    if "refused" in seen:
        moment, why = seen["refused"]
        # Anybody can cause a refusal, but if no message was accepted after it, the channel's secret may be wrong.
        fresh = times.now - moment < _FRESH and ("accepted" not in seen or seen["accepted"][0] < moment)
        refused = text("last refused a request {at}: {reason}", at=times.at(moment), reason=why or "")
        yield Sentence(refused, Remedy.REFUSED if fresh else None)


def _device(seen: LastEvents, times: Times) -> Iterable[Sentence]:
    """Yield the last report of the provider's device."""
    reports = [(seen[what], what) for what in ("unwell", "well") if what in seen]
    if reports:
        (moment, notice), what = max(reports, key=lambda entry: (entry[0][0], entry[1] == "unwell"))
        reported = text("its device reported {at}: {notice}", at=times.at(moment), notice=notice or "")
        yield Sentence(reported, Remedy.DEVICE if what == "unwell" else None)


# Patterns: `_backlog` fills them.
_TO_BE_READ = text("{count} messages wait to be read, the oldest {since}")
_TO_BE_SENT = text("{count} deliveries or replies wait to be sent, the oldest {since}")


def _backlog(backlog: Backlog, pattern: str, times: Times) -> Iterable[Sentence]:
    if not backlog.waiting or backlog.oldest is None:
        return
    waiting = Text(pattern, count=backlog.waiting, since=times.since(backlog.oldest))
    if backlog.reason:
        waiting = text("{waiting}: {reason}", waiting=waiting, reason=backlog.reason)
    yield Sentence(waiting, Remedy.BACKLOG if times.now - backlog.oldest > _SLOW else None)


def _line(lease: LeaseRow | None, times: Times) -> Iterable[Sentence]:
    """Yield the state of a held connection, by its lease and its last failure."""
    if lease is not None and lease.failing_since is not None:
        down = text(
            "the connection to the provider has been down {since}: {reason}",
            since=times.since(lease.failing_since),
            reason=lease.reason or "",
        )
        yield Sentence(down, Remedy.LINE)
    elif lease is None or lease.lease_until is None or lease.lease_until < times.now:
        unheld = text("no process holds its connection; start it: run_gateway.py serve, or work")
        yield Sentence(unheld, Remedy.NO_PROCESS)
    elif lease.succeeded_at is not None:
        yield Sentence(text("connected {since}", since=times.since(lease.succeeded_at)))


def _poll(lease: LeaseRow | None, times: Times) -> Iterable[Sentence]:
    if lease is not None and lease.failing_since is not None:
        failing = text(
            "polling the provider has failed {since}: {reason}",
            since=times.since(lease.failing_since),
            reason=lease.reason or "",
        )
        yield Sentence(failing, Remedy.POLL)
