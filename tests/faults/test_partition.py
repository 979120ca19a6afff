"""A worker vanishes in the middle of a transaction, and its line stays open: what it had locked must not stay so."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from rig.books import Books
from rig.installation import Installation, until
from rig.load import Phone, write
from rig.proxy import Proxy

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]

# Statements after which a row or key is locked until a COMMIT that never comes.
LOCKS = {
    "the ticket counter": (rb"UPDATE ticket_counter", "centre"),
    "a claim": (rb"UPDATE outbox", "own"),
    "cases": (rb"INSERT INTO cases", "own"),
}


@pytest.mark.parametrize("lock", LOCKS)
def test_vanished_in_a_transaction(
    lock: str, new_database: Callable[[], str], install: Callable[..., Installation], tell: Callable[[object], None]
) -> None:
    pattern, which = LOCKS[lock]
    central, own = new_database(), new_database()
    with Proxy(urlsplit(central).port or 0) as proxy:
        urls = [central, own]
        turn = 0 if which == "centre" else 1
        parts = urlsplit(urls[turn])
        urls[turn] = parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{proxy.port}").geturl()
        installation = install(urls[1], central_url=urls[0])
        installation.start("web")
        books, phone, messages = Books(installation), Phone(), [write(number) for number in range(40)]
        for written in messages[:20]:
            written.attempts.append(phone.post(installation.twilio.webhook(written.message)))
        proxy.cut(pattern, share=1, loses="the line")
        first = installation.program("work", "work-1").start()
        until(lambda: proxy.cuts > 0, 20, "a worker to vanish")
        proxy.mend()
        first.signal(19)  # SIGSTOP: it will not notice anything, nor end anything, by itself
        for written in messages[20:]:
            written.attempts.append(phone.post(installation.twilio.webhook(written.message)))
        phone.close()
        installation.program("work", "work-2").start()
        drained = books.wait_drained(60)
        found = books.audit(messages)
    tell(f"vanished holding {lock}; another worker was done with everything after {drained:.1f} s; {found}")
    assert all(written.accepted for written in messages)
    assert drained < 20
    assert not found.repeated
