"""Report the health of each channel: its state, and each trouble with its time, cause and remedy.

The texts are English `Text` values; `localize` translates them. No text has data of a citizen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import StrEnum

from gateway.bootstrap import Gateway
from gateway.domain.channel import ChannelId
from gateway.domain.errors import GatewayError
from gateway.domain.texts import Text, text
from gateway.i18n.moments import common_zone, since, zone_of
from gateway.operations.sentences import Facts, Remedy, Sentence, Times, describe
from gateway.ports import Channel
from gateway.spool.activity import ALIVE

ALIVE_FOR = timedelta(seconds=30)  # a running process records every 5 seconds that it runs


class ChannelState(StrEnum):
    """The state of a channel. The worst state comes first."""

    STOPPED = "stopped"  # no process works on its messages
    DISCONNECTED = "disconnected"  # its provider cannot be reached, or provider and gateway have different secrets
    SLOW = "slow"  # its messages wait too long
    WAITING = "waiting"  # no message has come yet
    CONNECTED = "connected"


STATE_NAMES = {
    ChannelState.STOPPED: text("stopped"),
    ChannelState.DISCONNECTED: text("disconnected"),
    ChannelState.SLOW: text("slow"),
    ChannelState.WAITING: text("waiting"),
    ChannelState.CONNECTED: text("connected"),
}
_STATE_OF = {
    Remedy.NO_PROCESS: ChannelState.STOPPED,
    Remedy.NOT_CONFIGURED: ChannelState.STOPPED,
    Remedy.LINE: ChannelState.DISCONNECTED,
    Remedy.POLL: ChannelState.DISCONNECTED,
    Remedy.REFUSED: ChannelState.DISCONNECTED,
    Remedy.BACKLOG: ChannelState.SLOW,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelReport:
    """The health of one channel."""

    region: str  # Kemendagri code
    region_name: str
    name: str
    adapter: str
    state: ChannelState
    waiting: int
    dead: int
    sentences: list[Sentence]

    @property
    def healthy(self) -> bool:
        """Return whether none of the sentences is a trouble."""
        return all(sentence.remedy is None for sentence in self.sentences)


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusReport:
    """The content of the status page."""

    at: datetime
    zone: timezone  # of the configured regions, else of Jakarta
    healthy: bool
    stopped: Text | None = None  # since when no process runs; `None` if one runs
    channels: list[ChannelReport] = field(default_factory=list)
    problem: str | None = None  # the error of the database, if it does not answer
    waiting: int = 0
    dead: int = 0


def report(gateway: Gateway) -> StatusReport:
    """Return the report of all channels. If the database fails, no error is raised, and `problem` is set."""
    now, spool = gateway.spool.clock(), gateway.spool
    names = {region.file.code: region.file.name for region in gateway.settings.regions}
    zone = common_zone(channel.region for channel in gateway.channels)
    try:
        facts = Facts(
            inbox={ChannelId(row.region, row.channel): row for row in spool.inbox.backlog()},
            outbox={ChannelId(row.region, row.channel): row for row in spool.outbox.backlog()},
            dead=_summed(spool.inbox.dead_counts(), spool.outbox.dead_counts()),
            seen=spool.activity.all(),
            leases={ChannelId(row.region, row.channel): row for row in spool.leases.all()},
        )
    except GatewayError as exc:
        return StatusReport(at=now, zone=zone, healthy=False, problem=exc.reason)
    stopped = _stopped(now, zone, facts.seen.get(ALIVE, (None, None))[0])
    known = dict.fromkeys([*gateway.channels, *facts.inbox, *facts.outbox, *facts.dead])
    channels = [
        _channel(ChannelId(*key), gateway.channels.get(key), facts, names, now, stopped=stopped is not None)
        for key in known
    ]
    return StatusReport(
        at=now,
        zone=zone,
        healthy=stopped is None and all(channel.healthy for channel in channels),
        stopped=stopped,
        channels=channels,
        waiting=sum(channel.waiting for channel in channels),
        dead=sum(channel.dead for channel in channels),
    )


def _summed(*counts: Mapping[ChannelId, int]) -> dict[ChannelId, int]:
    return {channel: sum(count.get(channel, 0) for count in counts) for count in counts for channel in count}


def _channel(
    channel_id: ChannelId,
    channel: Channel | None,
    facts: Facts,
    names: Mapping[str, str],
    now: datetime,
    *,
    stopped: bool,
) -> ChannelReport:
    backlogs = [backlog for backlog in (facts.inbox.get(channel_id), facts.outbox.get(channel_id)) if backlog]
    dead = facts.dead.get(channel_id, 0)
    sentences = list(describe(channel_id, channel, facts, Times(now, zone_of(channel_id.region))))
    return ChannelReport(
        region=channel_id.region,
        region_name=names.get(channel_id.region, channel_id.region),
        name=channel_id.name,
        adapter=channel.adapter_key if channel else "-",
        state=ChannelState.STOPPED if stopped else _state(sentences, used="accepted" in facts.last_events(channel_id)),
        waiting=sum(backlog.waiting for backlog in backlogs),
        dead=dead,
        sentences=sentences,
    )


def _state(sentences: Iterable[Sentence], *, used: bool) -> ChannelState:
    """Return the worst state of the troubles; without one, `CONNECTED` if a message has ever come, else `WAITING`."""
    states = {_STATE_OF[sentence.remedy] for sentence in sentences if sentence.remedy in _STATE_OF}
    if not states:
        return ChannelState.CONNECTED if used else ChannelState.WAITING
    return next(state for state in ChannelState if state in states)


def _stopped(now: datetime, zone: timezone, alive: datetime | None) -> Text | None:
    """Return the text that no process runs, with its time; `None` if one runs."""
    if alive is None:
        return text("no process of the gateway has run yet; start it: run_gateway.py serve, or web and work")
    if now - alive <= ALIVE_FOR:
        return None
    return text(
        "no process of the gateway has run {since}; start it: run_gateway.py serve, or web and work",
        since=since(alive, now, zone),
    )
