"""A worker that dies again and again over one batch: whoever is to blame, the others must not wait long for it."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from rig.books import Books
from rig.installation import Installation, until
from rig.load import Phone, write
from rig.proxy import Proxy

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


def test_batch_survives_a_crash_loop(
    new_database: Callable[[], str], install: Callable[..., Installation], tell: Callable[[object], None]
) -> None:
    """After a few crashes every row of the batch is a suspect and is worked on alone; that must not take minutes."""
    central = new_database()
    with Proxy(urlsplit(central).port or 0) as proxy:
        parts = urlsplit(central)
        through = parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{proxy.port}").geturl()
        installation = install(new_database(), central_url=through, work={"batch": 200})
        books = Books(installation)
        installation.start("web")
        phone, messages = Phone(), [write(number) for number in range(150)]
        for written in messages:
            written.attempts.append(phone.post(installation.twilio.webhook(written.message)))
        phone.close()
        translator = installation.program("work", "translator", "--stages", "intake").start()
        until(lambda: not books.rows("SELECT 1 FROM inbox WHERE due_at IS NOT NULL"), 30, "all to be translated")
        translator.kill()
        proxy.hold()
        work, crashes = installation.program("work"), 3
        for crash in range(crashes):
            work.start(wait=False)
            held = f"SELECT count(*) FROM outbox WHERE state = 'claimed' AND attempts > {crash}"
            until(lambda held=held: books.rows(held)[0][0] == len(messages), 30, "the batch in a worker's hands")
            work.kill()
        proxy.mend()
        work.start()
        drained = books.wait_drained(150)
        found = books.audit(messages)
    tell(
        f"{crashes} crashes over the same batch; {len(messages)} messages drained {drained:.1f} s after the last; {found}"
    )
    assert found.complaints == len(messages)
    assert drained < 30
