"""Connections that we hold open. Of all processes one holds each, by a lease; the others stand by.

Around an adapter's `listen` this does what every held connection needs: the lease, the waiting after a failure, storing
what comes, and writing down how it stands.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta

from gateway.domain.channel import ChannelId
from gateway.domain.errors import GatewayError, Unavailable
from gateway.domain.ids import new_id
from gateway.observe.logs import describe, log
from gateway.pipeline.commit import Committer
from gateway.pipeline.receive import incoming
from gateway.ports import Channel, FetchedMessage, Listener
from gateway.spool import Spool
from gateway.spool.queue import backoff

_LOOKS = 6  # so often in the time of a lease it is renewed, and those who stand by look whether its holder is gone
_LONGEST_WAIT = 60.0  # seconds between two attempts: an operator's outage must not outlast itself here


class Lines:
    """All connections of this process."""

    def __init__(self, spool: Spool, committer: Committer, channels: Iterable[Channel], lease: timedelta) -> None:
        """Prepare; `lease` is how long the connections of a process that died stay without a holder."""
        self._stop = threading.Event()
        self._look = lease.total_seconds() / _LOOKS
        self._lines = [
            _Line(channel, spool, committer, lease, self._stop)
            for channel in channels
            if isinstance(channel.adapter, Listener)
        ]
        self._keeper = threading.Thread(target=self._keep, name="lines", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        for line in self._lines:
            line.start()
        if self._lines:
            self._keeper.start()

    def stop(self, timeout: float) -> bool:
        """End all connections in good order; return whether that worked within so many seconds."""
        self._stop.set()
        deadline = time.monotonic() + timeout
        ended = [line.join(max(0.0, deadline - time.monotonic())) for line in self._lines]
        return all(ended)

    def elsewhere(self) -> frozenset[ChannelId]:
        """Return the channels whose connection this process does not hold: it cannot send on them."""
        return frozenset(line.id for line in self._lines if not line.held)

    def _keep(self) -> None:
        """Renew the leases. Apart from the connections: one that waits for its operator must not lose its lease."""
        while not self._stop.wait(self._look):
            for line in self._lines:
                line.renew()


class _Line:
    """One connection: what `listen` is given, and the thread that calls it."""

    def __init__(
        self, channel: Channel, spool: Spool, committer: Committer, lease: timedelta, stop: threading.Event
    ) -> None:
        self.id = channel.id
        self._channel, self._spool, self._committer, self._stop = channel, spool, committer, stop
        self._length = lease
        self._holder = new_id()
        self._until = 0.0  # until when the lease is ours, by time.monotonic(); 0: it is not
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=f"line {channel.id}", daemon=True)

    # --- what the adapter sees: `ports.Line` ---

    @property
    def ending(self) -> bool:
        """Whether to stop: the process ends, or the lease is lost."""
        return self._stop.is_set() or not self.held

    def up(self) -> None:
        """Write down that the connection stands."""
        self._failures = 0
        self._spool.leases.succeed(*self.id)
        log.info("connected", region=self.id.region, channel=self.id.name)

    def accept(self, found: Sequence[FetchedMessage]) -> Sequence[GatewayError | None]:
        """Store messages in one transaction; `None` for each that is durable."""
        now, inbox = self._spool.clock(), self._committer.inbox
        rows = [inbox.seal(incoming(self._channel, one, now)) for one in found]
        if not rows:
            return []
        outcomes = self._committer.write(rows)
        self._committer.count(rows, outcomes)
        return [outcome if isinstance(outcome, GatewayError) else None for outcome in outcomes]

    # --- what the process sees ---

    @property
    def held(self) -> bool:
        """Whether the lease is ours."""
        return time.monotonic() < self._until

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Wait for the end; return whether it came."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def renew(self) -> None:
        """Extend the lease, if it is ours."""
        if not self.held:
            return
        try:
            self._lease()
        except Unavailable as exc:  # the lease still runs a while, and the next renewal may work
            log.warning("lease not renewed", region=self.id.region, channel=self.id.name, reason=exc.reason)

    def _lease(self) -> bool:
        asked = time.monotonic()
        ours = self._spool.leases.lease(*self.id, self._holder, self._length)
        self._until = asked + self._length.total_seconds() if ours else 0.0
        return ours

    def _run(self) -> None:
        while not self._stop.is_set():
            if not self._take():
                self._stop.wait(self._length.total_seconds() / _LOOKS)
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
            log.warning("lease not taken", region=self.id.region, channel=self.id.name, reason=exc.reason)
            return False

    def _hold(self) -> Exception | None:
        """Let the adapter listen; return why that ended, where it should not have."""
        try:
            self._channel.listener.listen(self)
        except Exception as exc:  # noqa: BLE001  recorded for the status page, and tried again
            cut_short = self.ending and isinstance(exc, Unavailable)  # ours was the end: no failure of theirs
            return None if cut_short else exc
        return None if self.ending else Unavailable("the other side ended the connection")

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        region, channel = self.id
        known = isinstance(error, GatewayError)
        log.warning(
            "connection lost",
            region=region,
            channel=channel,
            attempts=self._failures,
            reason=describe(error),
            exc_info=None if known else error,
        )
        try:
            self._spool.leases.fail(region, channel, describe(error))
        except GatewayError as also:
            log.warning("failure not recorded", region=region, channel=channel, reason=also.reason)

    def _release(self) -> None:
        """Let another process try: the trouble may be this machine's."""
        self._until = 0.0
        try:
            self._spool.leases.release(*self.id, self._holder)
        except GatewayError as exc:  # it ends by itself
            log.warning("lease not given back", region=self.id.region, channel=self.id.name, reason=exc.reason)
