"""The clock's work: polls, the purge, and writing down when channels last did what. The only APScheduler."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from gateway.domain.errors import GatewayError
from gateway.domain.ids import new_id
from gateway.observe.logs import describe, log
from gateway.observe.metrics import Metrics
from gateway.pipeline.receive import Receiver
from gateway.ports import Channel
from gateway.spool import Spool
from gateway.spool.activity import ALIVE, ActivityLog

_FLUSH_EVERY = 5  # seconds
_PURGE_EVERY = 3600  # seconds
_PURGE_BATCH = 1000  # rows a transaction
_FIRST_POLL = timedelta(seconds=5)
_POLL_AGAIN = timedelta(seconds=30)  # after a failure, where the usual interval is longer


class Jobs:
    """Everything that runs by the clock. Running it in several processes is harmless: polls hold a lease."""

    def __init__(
        self, spool: Spool, receiver: Receiver, activity: ActivityLog, metrics: Metrics, retention: timedelta
    ) -> None:
        self._spool, self._receiver, self._activity, self._metrics = spool, receiver, activity, metrics
        self._retention = retention
        self._holder = new_id()
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(4)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def start(self, polled: list[Channel], *, purge: bool = True) -> None:
        """Begin; the first poll is soon, for what came while nobody listened.

        A process without polls and purge still writes down what it saw: the status page lives on that.
        """
        add, now = self._scheduler.add_job, datetime.now(UTC)
        add(self.beat, "interval", seconds=_FLUSH_EVERY, id="beat", next_run_time=now)
        if purge:
            add(self.purge, "interval", seconds=_PURGE_EVERY, id="purge", next_run_time=now + timedelta(minutes=1))
        for channel in polled:
            poller = channel.poller
            add(
                self.poll,
                "interval",
                args=[channel],
                seconds=poller.poll_every,
                jitter=min(10, int(poller.poll_every / 10)),
                id=f"poll {channel.id}",
                next_run_time=now + _FIRST_POLL,
            )
        self._scheduler.start()

    def stop(self) -> None:
        """End after the jobs under way, and write down what is left."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        self.flush()

    def poll(self, channel: Channel) -> None:
        """Poll one channel, and write down how that went."""
        try:
            stored = self._receiver.poll(channel, self._holder)
        except Exception as exc:  # noqa: BLE001  recorded for the status page; the next poll starts where this one did
            self._metrics.polls.labels(channel.region, channel.name, "failed").inc()
            reason = describe(exc)
            known = isinstance(exc, GatewayError)
            log.warning(
                "poll failed",
                region=channel.region,
                channel=channel.name,
                reason=reason,
                exc_info=None if known else exc,
            )
            try:
                self._spool.leases.fail(channel.region, channel.name, reason)
            except GatewayError as also:
                log.warning(
                    "poll failure not recorded", region=channel.region, channel=channel.name, reason=also.reason
                )
            self._hasten(channel)
            return
        outcome = "elsewhere" if stored is None else "done"
        self._metrics.polls.labels(channel.region, channel.name, outcome).inc()
        if stored is None:  # another process polls; or one did, and died before it could give the lease back
            self._hasten(channel)

    def _hasten(self, channel: Channel) -> None:
        """Do not let a short trouble of the provider last a whole interval."""
        job = self._scheduler.get_job(f"poll {channel.id}")
        soon = datetime.now(UTC) + _POLL_AGAIN
        if job is not None and (job.next_run_time is None or job.next_run_time > soon):
            job.modify(next_run_time=soon)

    def beat(self) -> None:
        """Write down that this process runs, and when channels last did what."""
        self._activity.note(*ALIVE, self._spool.clock(), f"{socket.gethostname()}:{os.getpid()}")
        self.flush()

    def flush(self) -> None:
        """Write down when channels last did what."""
        try:
            self._activity.flush()
        except GatewayError as exc:
            log.warning("activity not recorded", reason=exc.reason)

    def purge(self) -> None:
        """Delete finished messages and replies, and our copies of delivered complaints, that were kept long enough."""
        before = self._spool.clock() - self._retention
        drops: dict[str, Callable[[], int]] = {
            "drafts": lambda: self._spool.partial_messages.purge(
                before, _PURGE_BATCH
            ),  # first: a draft keeps its parts
            "inbox": lambda: len(self._spool.inbox.purge(before, _PURGE_BATCH)),
            "outbox": lambda: len(self._spool.outbox.purge(before, _PURGE_BATCH)),
            "cases": lambda: self._spool.cases.purge(before, _PURGE_BATCH),
        }
        try:
            for name, drop in drops.items():
                total = 0
                while dropped := drop():
                    total += dropped
                if total:
                    log.info("purged", queue=name, count=total)
        except GatewayError as exc:
            log.warning("purge failed", reason=exc.reason)
