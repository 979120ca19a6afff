"""Run the stages, each in its own thread. A thread works when an earlier stage wakes it, and at regular times."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Protocol

from gateway.domain.errors import Unavailable
from gateway.observe.logs import failure_fields, log
from gateway.spool.queue import backoff


class Stage(Protocol):
    """A step of the pipeline that empties a queue."""

    name: str

    def run_once(self) -> int:
        """Work on one batch; return its number of rows, 0 if the queue is empty."""

    def close(self) -> None:
        """Release claims and threads after the stage has stopped. If it raises `Unavailable`, the leases end later."""


class Worker:
    """The stages of a process, in the order of the flow; a finished batch wakes the stages after its own."""

    def __init__(self, stages: Sequence[Stage], idle: float) -> None:
        """Prepare; `idle` is the time in seconds between two queries of an empty queue."""
        self._stages = stages
        self._idle = idle
        self._wake = [threading.Event() for _ in stages]
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start a thread for every stage."""
        for position, stage in enumerate(self._stages):
            thread = threading.Thread(target=self._run, args=(position,), name=stage.name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def wake(self) -> None:
        """Wake the first stage at once, because a message came."""
        self._wake[0].set()

    def stop(self, timeout: float) -> bool:
        """Finish the current batches, then close the stages; return whether all ended within the timeout (seconds)."""
        deadline = time.monotonic() + timeout
        self._stop.set()
        for event in self._wake:
            event.set()
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            return False
        for stage in self._stages:
            try:
                stage.close()
            except Unavailable as exc:
                log.warning("claims not released", stage=stage.name, **failure_fields(exc))
        return True

    def _run(self, position: int) -> None:
        stage, wake = self._stages[position], self._wake[position]
        failures = 0
        while not self._stop.is_set():
            wake.clear()
            try:
                worked = stage.run_once()
            except Exception as exc:  # noqa: BLE001  the lease of the batch ends by itself; the other stages go on
                failures += 1
                _log_failure(stage.name, failures, exc)
                self._stop.wait(backoff(failures, base=0.5, cap=15).total_seconds())
                continue
            failures = 0
            if worked:
                for later in self._wake[position + 1 :]:
                    later.set()
            else:
                wake.wait(self._idle)


def _log_failure(stage: str, failures: int, error: Exception) -> None:
    """Log a failed batch: a warning if the database cannot be reached, an error if the gateway has a bug."""
    if isinstance(error, Unavailable):
        log.warning("stage waits", stage=stage, attempts=failures, **failure_fields(error))
    else:
        log.error("stage failed", stage=stage, attempts=failures, **failure_fields(error))
