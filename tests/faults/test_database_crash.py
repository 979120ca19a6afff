"""PostgreSQL dies, or stops answering, under load: no false yes, and all goes on by itself once it is back."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlsplit

import psutil
import pytest
from rig.books import Books, few
from rig.installation import Installation, until
from rig.load import Load, Written, outcomes
from rig.proxy import Proxy

from adapters.sms.twilio.simulator import Message
from gateway.testing.postgres import PostgresServer

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]

Databases = Callable[[], str]
Install = Callable[..., Installation]
Tell = Callable[[object], None]

_ROLES = ("web", "work-1", "work-2")


def test_server_killed(
    fault_server: PostgresServer,
    new_database: Databases,
    install: Install,
    tell: Tell,
    rounds: Callable[[int], int],
    seed: int,
) -> None:
    installation, rng = install(new_database()), random.Random(seed)
    for names in (("web",), ("work", "work-1"), ("work", "work-2")):
        installation.program(*names).start(wait=False)
    for role in _ROLES:
        installation.program(role).wait_up()
    books = Books(installation)
    outages: list[tuple[float, float]] = []
    accepting, working = [], []
    with Load(installation.twilio, seed, threads=4, pause=0.03) as load:
        for _ in range(rounds(6)):
            time.sleep(rng.uniform(0.5, 1.2))
            fault_server.crash()
            dead = time.time()
            time.sleep(rng.uniform(0.3, 1.5))
            outages.append((dead, time.time()))
            fault_server.start()
            back = time.time()
            accepting.append(
                until(lambda back=back: _accepted_since(load.written, back), 30, "a message to be accepted")
            )
            replies = len(_replies(installation))
            until(lambda replies=replies: len(_replies(installation)) > replies, 45, "a citizen to be answered")
            working.append(time.time() - back)
        load.finish()
    drained = books.wait_drained()
    found = books.audit(load.written)
    during = Counter(
        attempt.status or attempt.error
        for written in load.written
        for attempt in written.attempts
        if any(dead <= attempt.began and attempt.ended <= end for dead, end in outages)
    )
    tell(f"{len(outages)} crashes; answers while it was dead: {dict(during)}; drained {drained:.1f} s after the end")
    tell(
        f"after its return a message was accepted within {_show(accepting)} s, a citizen answered within {_show(working)} s"
    )
    tell(found)
    tell(f"deliveries were answered: {outcomes(load.written)}")
    assert set(during) == {503}, "while the database is dead the one true answer is 503"
    assert [installation.program(role).starts for role in _ROLES] == [1, 1, 1]
    assert all(installation.program(role).alive for role in _ROLES)
    assert max(accepting) < 5
    assert max(working) < 20
    assert len(found.repeated) <= few(found.replies)


def test_server_silent(new_database: Databases, install: Install, tell: Tell, seed: int) -> None:
    """The line to the database is open and nothing comes over it: 503 after `commit_timeout`, then all goes on."""
    database = new_database()
    with Proxy(urlsplit(database).port or 0) as proxy:
        parts = urlsplit(database)
        url = parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{proxy.port}").geturl()
        installation = install(url, server={"commit_timeout": 1.5})
        installation.start("web", "work")
        with Load(installation.twilio, seed, threads=4, pause=0.03) as load:
            until(lambda: len(load.written) > 50, 30, "some load")
            proxy.hold()
            began = time.time()
            until(lambda: _refused_since(load.written, began) >= 8, 30, "refusals")
            proxy.mend()
            back = time.time()
            accepting = until(lambda: _accepted_since(load.written, back), 30, "a message to be accepted")
            load.finish()
        books = Books(installation)
        drained = books.wait_drained()
        found = books.audit(load.written)
    silent = Counter(
        attempt.status or attempt.error
        for written in load.written
        for attempt in written.attempts
        if began + 0.2 <= attempt.began and attempt.ended <= back
    )
    tell(
        f"answers while it was silent: {dict(silent)}; accepted again after {accepting:.2f} s, drained after {drained:.1f} s"
    )
    tell(found)
    assert set(silent) == {503}
    assert len(found.repeated) <= few(found.replies)


def test_connections_ended(
    fault_server: PostgresServer, new_database: Databases, install: Install, tell: Tell, seed: int
) -> None:
    """Every connection is ended at once, as a failover or an administrator does, several times a second."""
    installation = install(new_database())
    installation.start("web", "work")
    books = Books(installation)
    name = urlsplit(installation.database_url).path[1:]
    ended = 0
    with Load(installation.twilio, seed, threads=4, pause=0.03) as load:
        for _ in range(20):
            time.sleep(0.25)
            ended += len(
                books.rows(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    f" WHERE datname = '{name}' AND pid <> pg_backend_pid()"
                )
            )
        load.finish()
    drained = books.wait_drained()
    found = books.audit(load.written)
    tell(f"{ended} connections ended in 20 strokes; drained after {drained:.1f} s; {found}")
    tell(f"deliveries were answered: {outcomes(load.written)}")
    assert psutil.pid_exists(installation.program("web").pid)
    assert len(found.repeated) <= few(found.replies)


def _accepted_since(written: list[Written], moment: float) -> int:
    return sum(a.accepted for w in written[-400:] for a in w.attempts[-3:] if a.began >= moment)


def _refused_since(written: list[Written], moment: float) -> int:
    return sum(a.status == 503 for w in written[-400:] for a in w.attempts if a.began >= moment)


def _replies(installation: Installation) -> list[Message]:
    return installation.twilio.messages("outbound-api")


def _show(seconds: list[float]) -> str:
    return " ".join(f"{value:.2f}" for value in seconds)
