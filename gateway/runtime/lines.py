"""Hold connections to providers open. A lease allows one process per connection; the others wait until it ends.

This module does the common work for every adapter's `listen`: the lease, the wait after a failure, storing messages,
and recording the state of the connection.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta

from gateway.domain.channel import ChannelId
from gateway.domain.errors import GatewayError, Unavailable
from gateway.domain.ids import new_id
from gateway.domain.texts import text
from gateway.observe.logs import describe, failure_fields, log
from gateway.pipeline.commit import Committer
from gateway.pipeline.receive import incoming
from gateway.ports import Channel, FetchedMessage, Listener
from gateway.spool import Spool
from gateway.spool.queue import backoff

_CHECKS_PER_LEASE = 6  # how often the holder renews its lease, and other processes try to take it
_LONGEST_WAIT = 60.0  # seconds between two attempts to connect


class Lines:
    """The connections of this process."""

    def __init__(self, spool: Spool, committer: Committer, channels: Iterable[Channel], lease: timedelta) -> None:
        """Prepare; `lease` is the time after which another process takes over the connections of a dead process."""
        self._stop = threading.Event()
        self._renew_every = lease.total_seconds() / _CHECKS_PER_LEASE
        self._lines = [
            _Line(channel, spool, committer, lease, self._stop)
            for channel in channels
            if isinstance(channel.adapter, Listener)
        ]
        self._renewer = threading.Thread(target=self._renew_leases, name="lines", daemon=True)

    def start(self) -> None:
        """Start a thread for every connection."""
        for line in self._lines:
            line.start()
        if self._lines:
            self._renewer.start()

    def stop(self, timeout: float) -> bool:
        """Ask all connections to end, and wait; return whether all ended within the timeout (seconds)."""
        self._stop.set()
        deadline = time.monotonic() + timeout
        ended = [line.join(max(0.0, deadline - time.monotonic())) for line in self._lines]
        return all(ended)

    def elsewhere(self) -> frozenset[ChannelId]:
        """Return the channels with a connection that this process does not hold, so that it cannot send on them."""
        return frozenset(line.id for line in self._lines if not line.held)

    def _renew_leases(self) -> None:
        """Renew the leases, on a separate thread: a connection that waits for its provider must not lose its lease."""
        while not self._stop.wait(self._renew_every):
            for line in self._lines:
                line.renew()


class _Line:
    """One connection: the argument of the adapter's `listen`, and the thread that calls it."""

    def __init__(
        self, channel: Channel, spool: Spool, committer: Committer, lease: timedelta, stop: threading.Event
    ) -> None:
        self.id = channel.id
        self._channel = channel
        self._spool = spool
        self._committer = committer
        self._stop = stop
        self._length = lease
        self._holder = new_id()
        self._until = 0.0  # end of this process's lease, by time.monotonic(); 0 if it has none
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=f"line {channel.id}", daemon=True)

    # --- for the adapter: `ports.Line` ---

    @property
    def ending(self) -> bool:
        """Return whether to stop: the process ends, or the lease is lost."""
        return self._stop.is_set() or not self.held

    def up(self) -> None:
        """Record that the connection is up."""
        self._failures = 0
        self._spool.leases.succeed(*self.id)
        log.info("connected", region=self.id.region, channel=self.id.name)

    def accept(self, messages: Sequence[FetchedMessage]) -> Sequence[GatewayError | None]:
        """Store messages in one transaction; return per message `None` if it is durable, else the error."""
        now, inbox = self._spool.clock(), self._committer.inbox
        rows = [inbox.seal(incoming(self._channel, message, now)) for message in messages]
        if not rows:
            return []
        outcomes = self._committer.write(rows)
        self._committer.count(rows, outcomes)
        return [outcome if isinstance(outcome, GatewayError) else None for outcome in outcomes]

    # --- for the process ---

    @property
    def held(self) -> bool:
        """Return whether this process has the lease."""
        return time.monotonic() < self._until

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Wait for the end of the thread; return whether it ended within the timeout (seconds)."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def renew(self) -> None:
        """Renew the lease, if this process has it."""
        if not self.held:
            return
        try:
            self._lease()
        except Unavailable as exc:  # the lease has not ended yet, and the next renewal may work
            self._warn("lease not renewed", exc)

    def _lease(self) -> bool:
        """Take or renew the lease; return whether this process has it now."""
        asked_at = time.monotonic()  # before the query, so that the lease does not seem longer here than it is
        leased = self._spool.leases.lease(*self.id, self._holder, self._length)
        self._until = asked_at + self._length.total_seconds() if leased else 0.0
        return leased

    def _run(self) -> None:
        while not self._stop.is_set():
            if not self._take():
                self._stop.wait(self._length.total_seconds() / _CHECKS_PER_LEASE)
                continue
            error = self._hold()
            if error is not None:
                self._failed(error)
            self._release()
            if error is not None:
                self._stop.wait(backoff(self._failures, base=1.0, cap=_LONGEST_WAIT).total_seconds())

    def _take(self) -> bool:
        try:
            return self._lease()
        except GatewayError as exc:
            self._warn("lease not taken", exc)
            return False

    def _hold(self) -> Exception | None:
        """Let the adapter listen; return the error that ended it, or `None` if the end was intended."""
        try:
            self._channel.listener.listen(self)
        except Exception as exc:  # noqa: BLE001  recorded for the status page, and tried again
            ended_by_us = self.ending and isinstance(exc, Unavailable)  # not a failure of the provider
            return None if ended_by_us else exc
        return None if self.ending else Unavailable(text("the provider ended the connection"))

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        region, channel = self.id
        log.warning("connection lost", region=region, channel=channel, attempts=self._failures, **failure_fields(error))
        try:
            self._spool.leases.fail(region, channel, describe(error))
        except GatewayError as exc:
            self._warn("failure not recorded", exc)

    def _warn(self, event: str, error: GatewayError) -> None:
        log.warning(event, region=self.id.region, channel=self.id.name, **failure_fields(error))

    def _release(self) -> None:
        """Release the lease, so that another process can connect: the cause of the failure may be on this machine."""
        self._until = 0.0
        try:
            self._spool.leases.release(*self.id, self._holder)
        except GatewayError as exc:  # the lease then ends by itself
            self._warn("lease not released", exc)
