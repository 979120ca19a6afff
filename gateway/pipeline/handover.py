"""Pass new cases from intake to the deliverer of the same process, which then needs no query to claim them.

The jobs are in the outbox too, already claimed: if this process dies, their lease ends and another process delivers
them. There is room for a few batches; if there is none, the jobs are queued unclaimed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from gateway.domain.ids import new_id
from gateway.spool.case import Case
from gateway.spool.outbox import Job

_ROOM = 2  # batches: a batch waits for two deliveries at most, far less than its lease


class PreclaimedBatch(NamedTuple):
    """Jobs that are claimed for the deliverer of the same process, with their cases by id."""

    claim: UUID
    jobs: Sequence[Job]
    cases: Mapping[UUID, Case]


class Handover:
    """A small queue between two threads of one process."""

    def __init__(self) -> None:
        self._waiting: deque[PreclaimedBatch] = deque()
        self._open = False

    def reserve(self) -> UUID | None:
        """Return the id of a claim for the next batch, or `None` if there is no room or no deliverer."""
        return new_id() if self._open and len(self._waiting) < _ROOM else None

    def put(self, batch: PreclaimedBatch) -> None:
        """Add a batch; its transaction must have committed."""
        if batch.jobs:
            self._waiting.append(batch)

    def take(self) -> PreclaimedBatch | None:
        """Remove and return the oldest batch, or `None` if there is none.

        The first call opens the handover. Its caller must call `take` again and again, and `close` when it ends.
        """
        self._open = True
        return self._waiting.popleft() if self._waiting else None

    def close(self) -> list[PreclaimedBatch]:
        """Accept no more batches; return the waiting ones. The caller must give their jobs back to the outbox."""
        self._open = False
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting
