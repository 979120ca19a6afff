"""What flows, what is stuck, since when and why: for every channel, in words.

The words are Bahasa Indonesia with English beside them, for whoever is called at night. Nothing here names a citizen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from gateway.bootstrap import Gateway
from gateway.domain.channel import ChannelId
from gateway.domain.errors import GatewayError
from gateway.ports import Listener
from gateway.spool.activity import ALIVE
from gateway.spool.queue import Backlog

_FRESH = timedelta(minutes=15)  # anybody can send us nonsense: it must not keep the page red
ALIVE_FOR = timedelta(seconds=30)  # a running process says so every 5 seconds
_SLOW = timedelta(minutes=2)  # a healthy queue is emptied in seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelReport:
    """One channel's health."""

    region: str
    name: str
    adapter: str
    healthy: bool
    indonesian: list[str]
    english: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Everything the status page says."""

    at: datetime
    healthy: bool
    stopped: tuple[str, str] | None = None  # where no process runs: since when, in both languages
    channels: list[ChannelReport] = field(default_factory=list)
    problem: str | None = None  # where the database itself cannot be asked
    waiting: int = 0
    dead: int = 0


def report(gateway: Gateway) -> Report:
    """Ask the database once, and say it in words."""
    now = gateway.spool.clock()
    try:
        spool = gateway.spool
        inbox = {(b.region, b.channel): b for b in spool.inbox.backlog()}
        outbox = {(b.region, b.channel): b for b in spool.outbox.backlog()}
        dead_in, dead_out = spool.inbox.dead_counts(), spool.outbox.dead_counts()
        seen = spool.activity.all()
        leases = {(row.region, row.channel): row for row in spool.leases.all()}
    except GatewayError as exc:
        return Report(at=now, healthy=False, problem=exc.reason)
    stopped = _stopped(now, seen.get(ALIVE, (None, None))[0])
    known = dict.fromkeys([*gateway.channels, *inbox, *outbox, *dead_in, *dead_out])
    channels = []
    for address in map(ChannelId._make, known):
        channel = gateway.channels.get(address)
        words = _Words(now)
        words.activity({what: found for (*where, what), found in seen.items() if tuple(where) == address})
        words.backlog(inbox.get(address), "pesan menunggu dibaca", "messages wait to be read")
        words.backlog(outbox.get(address), "kiriman menunggu dikirim", "deliveries or replies wait to be sent")
        words.dead(dead_in.get(address, 0) + dead_out.get(address, 0))
        if channel is not None and isinstance(channel.adapter, Listener):
            words.line(leases.get(address))
        else:
            words.cursor(leases.get(address))
        if channel is None:
            words.trouble("kanal ini tidak lagi dikonfigurasi", "this channel is not configured any more")
        channels.append(
            ChannelReport(
                region=address[0],
                name=address[1],
                adapter=channel.adapter_key if channel else "-",
                healthy=words.healthy,
                indonesian=words.indonesian,
                english=words.english,
            )
        )
    return Report(
        at=now,
        healthy=stopped is None and all(channel.healthy for channel in channels),
        stopped=stopped,
        channels=channels,
        waiting=_waiting(inbox.values()) + _waiting(outbox.values()),
        dead=sum(dead_in.values()) + sum(dead_out.values()),
    )


def _stopped(now: datetime, alive: datetime | None) -> tuple[str, str] | None:
    """Say in both languages that no process runs, and since when; `None` where one does."""
    if alive is None:
        return (
            "belum ada proses gerbang yang berjalan; jalankan: run_gateway.py serve, atau web dan work",
            "no process of the gateway has run yet; start it: run_gateway.py serve, or web and work",
        )
    if now - alive <= ALIVE_FOR:
        return None
    (since, ago), moment = _age(now - alive), f"{alive:%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"tidak ada proses gerbang sejak {moment} ({since} lalu); jalankan lagi: run_gateway.py serve, atau web dan work",
        f"no process of the gateway has run since {moment} ({ago} ago); start it: run_gateway.py serve, or web and work",
    )


def _waiting(backlogs: Iterable[Backlog]) -> int:
    return sum(backlog.waiting for backlog in backlogs)


class _Words:
    """Collects sentences about one channel, in both languages."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self.healthy = True
        self.indonesian: list[str] = []
        self.english: list[str] = []

    def say(self, indonesian: str, english: str) -> None:
        self.indonesian.append(indonesian)
        self.english.append(english)

    def trouble(self, indonesian: str, english: str) -> None:
        self.healthy = False
        self.say(indonesian, english)

    def activity(self, seen: dict[str, tuple[datetime, str | None]]) -> None:
        if "accepted" not in seen:
            self.say("belum pernah ada pesan masuk", "no message has come in yet")
        for what, indonesian, english in (
            ("accepted", "pesan terakhir masuk", "last message came in"),
            ("delivered", "terakhir sampai di pusat", "last delivery to the centre"),
            ("replied", "balasan terakhir terkirim", "last reply sent"),
        ):
            if what in seen:
                since, ago = _age(self._now - seen[what][0])
                self.say(f"{indonesian} {since} lalu", f"{english} {ago} ago")
        if "refused" in seen:
            at, why = seen["refused"]
            since, ago = _age(self._now - at)
            # One refusal is anybody's; where nothing was accepted since, the channel's own secret may be wrong.
            fresh = self._now - at < _FRESH and ("accepted" not in seen or seen["accepted"][0] < at)
            tell = self.trouble if fresh else self.say
            tell(f"permintaan terakhir ditolak {since} lalu: {why}", f"last refused a request {ago} ago: {why}")
        for what, tell in (("unwell", self.trouble), ("well", self.say)):
            if what in seen and seen[what][0] == max(seen[name][0] for name in ("well", "unwell") if name in seen):
                at, told = seen[what]
                since, ago = _age(self._now - at)
                tell(f"perangkat melapor {since} lalu: {told}", f"its device reported {ago} ago: {told}")
                break

    def backlog(self, backlog: Backlog | None, indonesian: str, english: str) -> None:
        if backlog is None or not backlog.waiting or backlog.oldest is None:
            return
        age = self._now - backlog.oldest
        since, ago = _age(age)
        why = f": {backlog.reason}" if backlog.reason else ""
        tell = self.trouble if age > _SLOW else self.say
        tell(
            f"{backlog.waiting} {indonesian}, yang tertua {since}{why}",
            f"{backlog.waiting} {english}, the oldest for {ago}{why}",
        )

    def dead(self, count: int) -> None:
        if count:
            self.trouble(
                f"{count} surat mati; lihat: run_gateway.py dead list",
                f"{count} dead letters; see: run_gateway.py dead list",
            )

    def line(self, row: Any) -> None:
        """Tell how a held connection stands, by its lease and its last failure."""
        if row is not None and row.failing_since is not None:
            since, ago = _age(self._now - row.failing_since)
            self.trouble(
                f"sambungan ke penyedia terputus sejak {since} lalu: {row.reason}",
                f"the connection to the provider has been down for {ago}: {row.reason}",
            )
        elif row is None or row.lease_until is None or row.lease_until < self._now:
            self.trouble(
                "tidak ada proses yang memegang sambungannya; jalankan: run_gateway.py serve, atau work",
                "no process holds its connection; start it: run_gateway.py serve, or work",
            )
        elif row.succeeded_at is not None:
            since, ago = _age(self._now - row.succeeded_at)
            self.say(f"tersambung sejak {since} lalu", f"connected for {ago}")

    def cursor(self, row: Any) -> None:
        if row is not None and row.failing_since is not None:
            since, ago = _age(self._now - row.failing_since)
            self.trouble(
                f"penarikan dari penyedia gagal sejak {since} lalu: {row.reason}",
                f"polling the provider has failed for {ago}: {row.reason}",
            )


def _age(age: timedelta) -> tuple[str, str]:
    """Return a duration in both languages, in its largest sensible unit."""
    seconds = max(0, int(age.total_seconds()))
    for size, indonesian, english in ((86_400, "hari", "days"), (3_600, "jam", "hours"), (60, "menit", "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {indonesian}", f"{seconds // size} {english}"
    return f"{seconds} detik", "1 second" if seconds == 1 else f"{seconds} seconds"
