"""Run the scheduled jobs: polls, the purge, and storing when channels were last active."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from gateway.domain.errors import GatewayError
from gateway.domain.ids import new_id
from gateway.observe.logs import describe, failure_fields, log
from gateway.observe.metrics import Metrics
from gateway.pipeline.receive import Receiver
from gateway.ports import Channel
from gateway.spool import Spool
from gateway.spool.activity import ALIVE, ActivityLog

_FLUSH_EVERY = 5  # seconds
_PURGE_EVERY = 3600  # seconds
_PURGE_BATCH = 1000  # rows per transaction
_FIRST_POLL = timedelta(seconds=5)
_POLL_AGAIN = timedelta(seconds=30)  # until the next poll after a failure, if the channel's interval is longer


class Jobs:
    """The jobs of a process. Several processes may run them: a poll takes a lease, and a purge may run twice."""

    def __init__(
        self, spool: Spool, receiver: Receiver, activity: ActivityLog, metrics: Metrics, retention: timedelta
    ) -> None:
        """Prepare; `retention` is the age at which finished rows are deleted."""
        self._spool = spool
        self._receiver = receiver
        self._activity = activity
        self._metrics = metrics
        self._retention = retention
        self._holder = new_id()
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(4)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def start(self, polled: list[Channel], *, purge: bool = True) -> None:
        """Start the jobs. The first poll is soon, because messages may have come while no process ran.

        A process without polls and purge still records its activity, because the status page shows it.
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

    @property
    def scheduled(self) -> frozenset[str]:
        """Return the names of the jobs that this process runs."""
        return frozenset(job.id for job in self._scheduler.get_jobs())

    def stop(self) -> None:
        """Wait for the running jobs, then record the remaining activity."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        self.flush()

    def poll(self, channel: Channel) -> None:
        """Poll one channel, and record success or failure."""
        try:
            stored = self._receiver.poll(channel, self._holder)
        except Exception as exc:  # noqa: BLE001  recorded for the status page; the next poll has the same cursor
            self._poll_failed(channel, exc)
            return
        outcome = "elsewhere" if stored is None else "done"
        self._metrics.polls.labels(channel.region, channel.name, outcome).inc()
        if stored is None:  # another process polls, or it died and its lease has not ended yet
            self._poll_soon(channel)

    def _poll_failed(self, channel: Channel, error: Exception) -> None:
        region, name = channel.id
        self._metrics.polls.labels(region, name, "failed").inc()
        log.warning("poll failed", region=region, channel=name, **failure_fields(error))
        try:
            self._spool.leases.fail(region, name, describe(error))
        except GatewayError as exc:
            log.warning("poll failure not recorded", region=region, channel=name, **failure_fields(exc))
        self._poll_soon(channel)

    def _poll_soon(self, channel: Channel) -> None:
        """Poll again within 30 seconds, so that after a short failure nobody waits for a whole interval."""
        job = self._scheduler.get_job(f"poll {channel.id}")
        soon = datetime.now(UTC) + _POLL_AGAIN
        if job is not None and (job.next_run_time is None or job.next_run_time > soon):
            job.modify(next_run_time=soon)

    def beat(self) -> None:
        """Record that this process is alive, and the activity of its channels."""
        self._activity.note(*ALIVE, self._spool.clock(), f"{socket.gethostname()}:{os.getpid()}")
        self.flush()

    def flush(self) -> None:
        """Store when channels were last active; log a warning if the database fails."""
        try:
            self._activity.flush()
        except GatewayError as exc:
            log.warning("activity not recorded", **failure_fields(exc))

    def purge(self) -> None:
        """Delete finished messages, replies and local copies of complaints that are older than the retention."""
        before = self._spool.clock() - self._retention
        purges: dict[str, Callable[[], int]] = {
            # First, because the inbox keeps parts until their partial message is deleted.
            "drafts": lambda: self._spool.partial_messages.purge(before, _PURGE_BATCH),
            "inbox": lambda: len(self._spool.inbox.purge(before, _PURGE_BATCH)),
            "outbox": lambda: len(self._spool.outbox.purge(before, _PURGE_BATCH)),
            "cases": lambda: self._spool.cases.purge(before, _PURGE_BATCH),
        }
        try:
            for name, purge_batch in purges.items():
                total = 0
                while deleted := purge_batch():
                    total += deleted
                if total:
                    log.info("purged", queue=name, count=total)
        except GatewayError as exc:
            log.warning("purge failed", **failure_fields(exc))
