"""From intake straight to the deliverer of the same process: the way through the outbox's claim is spared.

The rows are in the outbox all the same, already claimed: if this process dies, their lease ends and another delivers
them. There is room for a few batches; what finds none is queued for whoever comes first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from gateway.domain.ids import new_id
from gateway.spool.cases import Case
from gateway.spool.outbox import Job

_ROOM = 2  # batches: they wait for one batch's delivery at most twice, far less than a lease


class PreclaimedBatch(NamedTuple):
    """Deliveries that are claimed for the deliverer beside us, with their cases."""

    claim: UUID
    jobs: Sequence[Job]
    cases: Mapping[UUID, Case]


class Handover:
    """A small queue between two threads of one process."""

    def __init__(self) -> None:
        self._waiting: deque[PreclaimedBatch] = deque()
        self._open = False

    def reserve(self) -> UUID | None:
        """Return the claim under which to write the next batch's deliveries; `None` where nobody would take them."""
        return new_id() if self._open and len(self._waiting) < _ROOM else None

    def put(self, handed: PreclaimedBatch) -> None:
        """Give a batch whose transaction has committed."""
        if handed.jobs:
            self._waiting.append(handed)

    def take(self) -> PreclaimedBatch | None:
        """Return the oldest batch. Who calls this once is relied on to go on calling, or to `close`."""
        self._open = True
        return self._waiting.popleft() if self._waiting else None

    def close(self) -> list[PreclaimedBatch]:
        """Take no more; return what still waits, to be given back."""
        self._open = False
        left = list(self._waiting)
        self._waiting.clear()
        return left
