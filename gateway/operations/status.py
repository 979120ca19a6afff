"""Report what flows and what is stuck, since when and why, per channel.

The report holds texts and not yet a language: `localize` shows them. Nothing here names a citizen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from gateway.bootstrap import Gateway
from gateway.domain.channel import ChannelId
from gateway.domain.errors import GatewayError
from gateway.domain.texts import Text, text
from gateway.i18n.moments import WIB, age
from gateway.ports import Channel, Listener
from gateway.spool.activity import ALIVE
from gateway.spool.queue_reader import Backlog
from gateway.spool.rows import LeaseRow

_FRESH = timedelta(minutes=15)  # anybody can send us nonsense: it must not keep the page red
ALIVE_FOR = timedelta(seconds=30)  # a running process says so every 5 seconds
_SLOW = timedelta(minutes=2)  # a healthy queue is emptied in seconds

Seen = Mapping[str, tuple[datetime, str | None]]  # what a channel did last, and when: see `spool.activity`


class Remedy(StrEnum):
    """A section of the help page: what to do about a trouble."""

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
    """One sentence about a channel; a trouble has a remedy."""

    text: Text
    remedy: Remedy | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelReport:
    """The health of one channel."""

    region: str  # Kemendagri code
    region_name: str
    name: str
    adapter: str
    waiting: int
    dead: int
    sentences: list[Sentence]

    @property
    def healthy(self) -> bool:
        """Return whether no sentence is a trouble."""
        return all(sentence.remedy is None for sentence in self.sentences)


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Everything that the status page says."""

    at: datetime
    healthy: bool
    stopped: Text | None = None  # since when no process runs, if none does
    channels: list[ChannelReport] = field(default_factory=list)
    problem: str | None = None  # why the database itself cannot be asked, if it cannot
    waiting: int = 0
    dead: int = 0


def report(gateway: Gateway) -> Report:
    """Ask the database once, and report what flows and what is stuck."""
    now, spool = gateway.spool.clock(), gateway.spool
    try:
        facts = _Facts(
            inbox={ChannelId(row.region, row.channel): row for row in spool.inbox.backlog()},
            outbox={ChannelId(row.region, row.channel): row for row in spool.outbox.backlog()},
            dead=_summed(spool.inbox.dead_counts(), spool.outbox.dead_counts()),
            seen=spool.activity.all(),
            leases={ChannelId(row.region, row.channel): row for row in spool.leases.all()},
        )
    except GatewayError as exc:
        return Report(at=now, healthy=False, problem=exc.reason)
    stopped = _stopped(now, facts.seen.get(ALIVE, (None, None))[0])
    names = {region.file.code: region.file.name for region in gateway.settings.regions}
    known = dict.fromkeys([*gateway.channels, *facts.inbox, *facts.outbox, *facts.dead])
    channels = [_channel(ChannelId(*key), gateway.channels.get(key), facts, names, now) for key in known]
    return Report(
        at=now,
        healthy=stopped is None and all(channel.healthy for channel in channels),
        stopped=stopped,
        channels=channels,
        waiting=sum(channel.waiting for channel in channels),
        dead=sum(channel.dead for channel in channels),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Facts:
    """What the database tells of all channels."""

    inbox: Mapping[ChannelId, Backlog]
    outbox: Mapping[ChannelId, Backlog]
    dead: Mapping[ChannelId, int]
    seen: Mapping[tuple[str, str, str], tuple[datetime, str | None]]
    leases: Mapping[ChannelId, LeaseRow]


def _summed(*counts: Mapping[ChannelId, int]) -> dict[ChannelId, int]:
    return {channel: sum(count.get(channel, 0) for count in counts) for count in counts for channel in count}


def _channel(
    channel_id: ChannelId, channel: Channel | None, facts: _Facts, names: Mapping[str, str], now: datetime
) -> ChannelReport:
    seen = {what: entry for (*where, what), entry in facts.seen.items() if tuple(where) == channel_id}
    backlogs = [backlog for backlog in (facts.inbox.get(channel_id), facts.outbox.get(channel_id)) if backlog]
    dead = facts.dead.get(channel_id, 0)
    sentences = [*_activity(seen, now), *_device(seen, now)]
    if (backlog := facts.inbox.get(channel_id)) and (sentence := _backlog(backlog, _TO_BE_READ, now)):
        sentences.append(sentence)
    if (backlog := facts.outbox.get(channel_id)) and (sentence := _backlog(backlog, _TO_BE_SENT, now)):
        sentences.append(sentence)
    if dead:
        listed = text("{count} dead letters; see: run_gateway.py dead list", count=dead)
        sentences.append(Sentence(listed, Remedy.DEAD))
    held = channel is not None and isinstance(channel.adapter, Listener)
    lease = facts.leases.get(channel_id)
    sentences += _line(lease, now) if held else _poll(lease, now)
    if channel is None:
        sentences.append(Sentence(text("this channel is not configured any more"), Remedy.NOT_CONFIGURED))
    return ChannelReport(
        region=channel_id.region,
        region_name=names.get(channel_id.region, channel_id.region),
        name=channel_id.name,
        adapter=channel.adapter_key if channel else "-",
        waiting=sum(backlog.waiting for backlog in backlogs),
        dead=dead,
        sentences=sentences,
    )


def _stopped(now: datetime, alive: datetime | None) -> Text | None:
    """Return since when no process runs; `None` if one does."""
    if alive is None:
        return text("no process of the gateway has run yet; start it: run_gateway.py serve, or web and work")
    if now - alive <= ALIVE_FOR:
        return None
    return text(
        "no process of the gateway has run since {moment} ({age} ago); start it: run_gateway.py serve, or web and work",
        moment=f"{alive.astimezone(WIB):%Y-%m-%d %H.%M.%S} WIB",
        age=age(now - alive),
    )


def _activity(seen: Seen, now: datetime) -> Iterable[Sentence]:
    if "accepted" not in seen:
        yield Sentence(text("no message has come in yet"))
    else:
        yield Sentence(text("last message came in {age} ago", age=age(now - seen["accepted"][0])))
    if "delivered" in seen:
        yield Sentence(text("last delivery to the centre {age} ago", age=age(now - seen["delivered"][0])))
    if "replied" in seen:
        yield Sentence(text("last reply sent {age} ago", age=age(now - seen["replied"][0])))
    if "refused" in seen:
        at, why = seen["refused"]
        # One refusal may be anybody's; if nothing was accepted since, the channel's own secret may be wrong.
        fresh = now - at < _FRESH and ("accepted" not in seen or seen["accepted"][0] < at)
        refused = text("last refused a request {age} ago: {reason}", age=age(now - at), reason=why or "")
        yield Sentence(refused, Remedy.REFUSED if fresh else None)


def _device(seen: Seen, now: datetime) -> Iterable[Sentence]:
    """Yield what the provider's device reported last."""
    reports = [(seen[what], what) for what in ("unwell", "well") if what in seen]
    if reports:
        (at, notice), what = max(reports, key=lambda entry: (entry[0][0], entry[1] == "unwell"))
        reported = text("its device reported {age} ago: {notice}", age=age(now - at), notice=notice or "")
        yield Sentence(reported, Remedy.DEVICE if what == "unwell" else None)


_TO_BE_READ = "{count} messages wait to be read, the oldest for {age}"
_TO_BE_SENT = "{count} deliveries or replies wait to be sent, the oldest for {age}"


def _backlog(backlog: Backlog, pattern: str, now: datetime) -> Sentence | None:
    if not backlog.waiting or backlog.oldest is None:
        return None
    oldest = now - backlog.oldest
    waiting = Text(pattern, count=backlog.waiting, age=age(oldest))
    if backlog.reason:
        waiting = text("{waiting}: {reason}", waiting=waiting, reason=backlog.reason)
    return Sentence(waiting, Remedy.BACKLOG if oldest > _SLOW else None)


def _line(lease: LeaseRow | None, now: datetime) -> Iterable[Sentence]:
    """Yield how a held connection is, by its lease and its last failure."""
    if lease is not None and lease.failing_since is not None:
        down = text(
            "the connection to the provider has been down for {age}: {reason}",
            age=age(now - lease.failing_since),
            reason=lease.reason or "",
        )
        yield Sentence(down, Remedy.LINE)
    elif lease is None or lease.lease_until is None or lease.lease_until < now:
        unheld = text("no process holds its connection; start it: run_gateway.py serve, or work")
        yield Sentence(unheld, Remedy.NO_PROCESS)
    elif lease.succeeded_at is not None:
        yield Sentence(text("connected for {age}", age=age(now - lease.succeeded_at)))


def _poll(lease: LeaseRow | None, now: datetime) -> Iterable[Sentence]:
    if lease is not None and lease.failing_since is not None:
        failing = text(
            "polling the provider has failed for {age}: {reason}",
            age=age(now - lease.failing_since),
            reason=lease.reason or "",
        )
        yield Sentence(failing, Remedy.POLL)
