"""A worker that stands still for longer than its lease, as a paused machine does, and then goes on as if nothing were."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from rig.books import Books
from rig.installation import Installation, until
from rig.load import Load, Phone, Written, write
from rig.proxy import Proxy

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]


def test_paused_workers(
    new_database: Callable[[], str],
    install: Callable[..., Installation],
    tell: Callable[[object], None],
    rounds: Callable[[int], int],
    seed: int,
) -> None:
    installation, rng = install(new_database(), work={"lease": 1, "reply_lease": 2}), random.Random(seed)
    workers = [installation.program("work", f"work-{number}").start(wait=False) for number in range(2)]
    installation.start("web")
    for worker in workers:
        worker.wait_up()
    books, pauses = Books(installation), rounds(6)
    installation.twilio.subscribe(lambda _reply: time.sleep(0.15))  # so that a pause falls into the middle of a batch
    with Load(installation.twilio, seed, threads=2, pause=0.07) as load:
        for turn in range(pauses):
            time.sleep(rng.uniform(0.3, 0.6))
            paused = workers[turn % 2]
            paused.signal(signal.SIGSTOP)
            time.sleep(3.2)
            # The other one has had the time to take over; now both believe that the rows are theirs.
            paused.signal(signal.SIGCONT)
        load.finish()
    until(lambda: all(worker.alive for worker in workers), 1, "both workers to live")
    drained = books.wait_drained()
    found = books.audit(load.written)
    tell(f"{pauses} pauses of 3.2 s with leases of 1 and 2 s; drained {drained:.1f} s after the last; {found}")
    assert max(found.taken_over.values()) > 0
    # A pause that falls between a worker's last look at its lease and the provider cannot be noticed by anybody.
    assert len(found.repeated) <= pauses


def test_provider_slower_than_the_lease(
    new_database: Callable[[], str], install: Callable[..., Installation], tell: Callable[[object], None]
) -> None:
    """A worker whose batch outlives its lease stops: what is left of it belongs to another by then."""
    installation = install(new_database(), work={"reply_lease": 2})
    installation.start("web")
    books, phone, messages = Books(installation), Phone(), [write(number) for number in range(32)]
    for written in messages:
        written.attempts.append(phone.post(installation.twilio.webhook(written.message)))
    phone.close()
    before = installation.program("work", "translator", "--stages", "intake,deliver").start()
    ready = "SELECT count(*) FROM outbox WHERE kind = 'reply'"
    until(lambda: books.rows(ready)[0][0] == len(messages), 30, "all replies to be due")
    before.kill()
    # The message is with the provider at once; its answer comes late.
    installation.twilio.subscribe(lambda _reply: time.sleep(1.5))
    workers = [installation.program("work", f"work-{number}").start(wait=False) for number in range(3)]
    drained = books.wait_drained()
    found = books.audit(messages)
    tell(f"a provider that takes 1.5 s, leases of 2 s, {len(workers)} workers; drained in {drained:.1f} s; {found}")
    assert found.taken_over["outbox"] > 0
    assert not found.repeated


def test_late_delivery_counts_for_nothing(
    new_database: Callable[[], str], install: Callable[..., Installation], tell: Callable[[object], None]
) -> None:
    """A worker stands still in the middle of a delivery; another does the whole of it; then the first one comes back."""
    central = new_database()
    with Proxy(urlsplit(central).port or 0) as proxy:
        parts = urlsplit(central)
        through = parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{proxy.port}").geturl()
        installation = install(new_database(), central_url=through)
        first, second = installation.program("work", "work-1"), installation.program("work", "work-2")
        installation.start("web")
        first.start()
        books, phone, messages = Books(installation), Phone(), [write(number) for number in range(22)]

        def accept(written: Written) -> None:
            written.attempts.append(phone.post(installation.twilio.webhook(written.message)))

        accept(messages[0])  # so that its connection to the centre is there already
        books.wait_drained()
        proxy.hold()
        for written in messages[1:-1]:
            accept(written)
        taken = "SELECT count(*) FROM outbox WHERE kind = 'deliver' AND state = 'claimed'"
        until(lambda: books.rows(taken)[0][0] > 0, 20, "a delivery under way")
        first.signal(signal.SIGSTOP)
        proxy.mend()
        second.start()
        books.wait_drained()
        second.signal(signal.SIGTERM)
        assert second.wait(15) == 0
        first.signal(signal.SIGCONT)
        accept(messages[-1])  # nobody else is there to deliver it, and what was begun comes first
        phone.close()
        books.wait_drained()
        found = books.audit(messages)
    tell(f"{found}")
    assert found.taken_over["outbox"] > 0
    assert found.complaints == found.replies == len(messages)
