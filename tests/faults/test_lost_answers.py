"""An answer lost on its way: whoever asked does not know that it happened, and asks again. It happens once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from rig.books import Books, few
from rig.installation import Installation, until
from rig.load import Attempt, Load, Phone, Written, outcomes, write
from rig.proxy import Proxy

from adapters.sms.twilio.simulator import FakeTwilio

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]

Databases = Callable[[], str]
Install = Callable[..., Installation]
Tell = Callable[[object], None]


@pytest.mark.parametrize("loses", ["the answer", "whatever follows"])
def test_accept_lost(sqlite_url: str, install: Install, tell: Tell, seed: int, loses: str) -> None:
    installation = install(sqlite_url)
    installation.start("serve")
    with Proxy(installation.port, seed) as proxy:
        proxy.cut(b"MessageSid=", share=0.5, loses=loses)
        with Load(installation.twilio, seed, persistent=0.8, deliver_to=[proxy.port]) as load:
            until(lambda: proxy.cuts >= 100, 60, "100 cuts")
            proxy.mend()
            load.finish()
    books = Books(installation)
    books.wait_drained()
    found = books.audit(load.written)
    tell(f"{proxy.cuts} connections cut between webhook and answer; {found}")
    tell(f"deliveries were answered: {outcomes(load.written)}")
    assert not found.repeated
    if loses == "the answer":
        # Every one of them was answered, so every one is stored, whether its sender came back or not.
        assert found.unknown_stored == found.unknown > 0


def test_reply_answer_lost(sqlite_url: str, install: Install, tell: Tell) -> None:
    installation = install(sqlite_url)
    twilio = installation.twilio
    installation.start("serve")
    dropped = 20
    twilio.fail("drop_after_accept", next=dropped)
    written = _deliver(twilio, 60)
    books = Books(installation)
    books.wait_drained()
    found = books.audit(written)
    retried = books.rows("SELECT count(*) FROM outbox WHERE kind = 'reply' AND attempts > 1")[0][0]
    tell(f"{dropped} answers of the provider lost after it took the SMS, {retried} replies looked up; {found}")
    assert retried == dropped
    assert found.replies == found.complaints
    assert not found.repeated


@pytest.mark.parametrize("loses", ["the answer", "the question"])
def test_commit_of_the_centre_lost(
    new_database: Databases, install: Install, tell: Tell, seed: int, loses: str
) -> None:
    """The central store is another database, behind a line that breaks after COMMIT."""
    central = new_database()
    with Proxy(urlsplit(central).port or 0, seed) as proxy:
        installation = install(new_database(), central_url=_through(central, proxy))
        installation.start("web", "work")
        proxy.cut(b"COMMIT", share=0.4, loses=loses)
        with Load(installation.twilio, seed, threads=3, pause=0.05, persistent=1) as load:
            until(lambda: proxy.cuts >= 30, 90, "30 cuts")
            proxy.mend()
            load.finish()
        books = Books(installation)
        books.wait_drained()
        found = books.audit(load.written)
    tried = books.rows("SELECT max(attempts), count(*) FROM outbox WHERE kind = 'deliver' AND attempts > 1")[0]
    tell(
        f"{proxy.cuts} times {loses} of a COMMIT to the centre lost, {tried[1]} deliveries repeated, at most {tried[0]} times; {found}"
    )
    assert not found.repeated


@pytest.mark.parametrize("loses", ["the answer", "the question"])
def test_commit_of_our_own_lost(new_database: Databases, install: Install, tell: Tell, seed: int, loses: str) -> None:
    """The line to our own database breaks after COMMIT: of an accept, a claim, a result, a sent reply."""
    database = new_database()
    with Proxy(urlsplit(database).port or 0, seed) as proxy:
        installation = install(_through(database, proxy))
        installation.start("web", "work")
        # An accept is one statement that commits by itself; what it stores is an HTTP request.
        proxy.cut(b"COMMIT|message/http", share=0.15, loses=loses)
        with Load(installation.twilio, seed, threads=3, pause=0.05) as load:
            until(lambda: proxy.cuts >= 60, 90, "60 cuts")
            proxy.mend()
            load.finish()
        books = Books(installation)
        drained = books.wait_drained()
        found = books.audit(load.written)
    tell(f"{proxy.cuts} times {loses} of a COMMIT of our own lost; drained {drained:.1f} s after the last; {found}")
    tell(f"deliveries were answered: {outcomes(load.written)}")
    assert len(found.repeated) <= few(found.replies)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_ten_deliveries_at_once(
    kind: str, sqlite_url: str, new_database: Databases, install: Install, tell: Tell
) -> None:
    installation = install(sqlite_url if kind == "sqlite" else new_database())
    if kind == "sqlite":
        installation.start("serve")
    else:  # two processes on one port: the same message comes in through both
        installation.start("web", "work")
        installation.program("web", "web-2").start()
    messages = [write(number) for number in range(30)]
    start = threading.Barrier(10)

    def deliver(_caller: int) -> list[Attempt]:
        phone, made = Phone(), []
        for written in messages:
            request = installation.twilio.webhook(written.message)
            start.wait(30)
            made.append(phone.post(request))
        phone.close()
        return made

    with ThreadPoolExecutor(10) as pool:
        for attempts in pool.map(deliver, range(10)):
            for written, attempt in zip(messages, attempts, strict=True):
                written.attempts.append(attempt)
    books = Books(installation)
    books.wait_drained()
    found = books.audit(messages)
    answers = Counter(attempt.status for written in messages for attempt in written.attempts)
    tell(f"{len(messages)} messages, each delivered 10 times at once: answers {dict(answers)}; {found}")
    assert answers == {200: 10 * len(messages)}
    assert found.complaints == found.replies == len(messages)


def _through(url: str, proxy: Proxy) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{proxy.port}").geturl()


def _deliver(twilio: FakeTwilio, count: int) -> list[Written]:
    phone = Phone()
    messages = [write(number) for number in range(count)]
    for written in messages:
        written.attempts.append(phone.post(twilio.webhook(written.message)))
    phone.close()
    return messages
