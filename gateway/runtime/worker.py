"""Runs the stages: one thread each, woken by the stage before it, or by the clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Protocol

from gateway.domain.errors import Unavailable
from gateway.observe.logs import log
from gateway.spool.queue import backoff


class Stage(Protocol):
    """A step of the pipeline that empties a queue."""

    name: str

    def run_once(self) -> int:
        """Work on one batch; return how many rows it had."""

    def close(self) -> None:
        """Let go of what is held, when nothing runs any more. Raises `Unavailable`: then leases end by themselves."""


class Worker:
    """Stages in the order of the flow; a batch done by one wakes the next."""

    def __init__(self, stages: Sequence[Stage], idle: float) -> None:
        self._stages, self._idle = stages, idle
        self._wake = [threading.Event() for _ in stages]
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin work on every stage."""
        for position, stage in enumerate(self._stages):
            thread = threading.Thread(target=self._run, args=(position,), name=stage.name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def wake(self) -> None:
        """Tell the first stage that a message came, so that it need not wait for the clock."""
        self._wake[0].set()

    def stop(self, timeout: float) -> bool:
        """Finish the batches under way; return whether all were done in time (seconds)."""
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
                log.warning("not given back", stage=stage.name, reason=exc.reason)
        return True

    def _run(self, position: int) -> None:
        stage, wake = self._stages[position], self._wake[position]
        failures = 0
        while not self._stop.is_set():
            wake.clear()
            try:
                worked = stage.run_once()
            except Exception as exc:  # noqa: BLE001
                failures += 1
                if isinstance(exc, Unavailable):
                    log.warning("stage waits", stage=stage.name, attempts=failures, reason=exc.reason)
                else:
                    # A fault of ours. The batch's lease ends by itself; the other stages must go on meanwhile.
                    log.error("stage failed", stage=stage.name, attempts=failures, exc_info=exc)
                self._stop.wait(backoff(failures, base=0.5, cap=15).total_seconds())
                continue
            failures = 0
            if worked:
                for later in self._wake[position + 1 :]:
                    later.set()
            else:
                wake.wait(self._idle)
