"""A worker that stands still for longer than its lease, as a paused machine does, and then goes on as if nothing were."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

import pytest
from rig.books import Books
from rig.installation import Installation, until
from rig.load import Load

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]


def test_paused_workers(
    new_database: Callable[[], str],
    install: Callable[..., Installation],
    tell: Callable[[object], None],
    rounds: Callable[[int], int],
    seed: int,
) -> None:
    installation, rng = install(new_database(), work={"lease": 1, "reply_lease": 1}), random.Random(seed)
    workers = [installation.program("work", f"work-{number}").start(wait=False) for number in range(2)]
    installation.start("web")
    for worker in workers:
        worker.wait_up()
    books, pauses = Books(installation), rounds(12)
    with Load(installation.twilio, seed, threads=6, pause=0.01) as load:
        for turn in range(pauses):
            time.sleep(rng.uniform(0.1, 0.4))
            paused, other = workers[turn % 2], workers[1 - turn % 2]
            paused.signal(signal.SIGSTOP)
            time.sleep(1.3)
            # The other one has had the time to take over; now both believe that the rows are theirs.
            paused.signal(signal.SIGCONT)
            assert other.alive
        load.finish()
    until(lambda: all(worker.alive for worker in workers), 1, "both workers to live")
    drained = books.wait_drained()
    found = books.audit(load.written)
    tell(f"{pauses} pauses of 1.3 s with leases of 1 s; drained {drained:.1f} s after the last; {found}")
    assert max(found.taken_over.values()) > 0
    # A pause that falls between a worker's last look at its lease and the provider cannot be noticed by anybody.
    assert len(found.repeated) <= pauses
