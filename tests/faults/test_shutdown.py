"""SIGTERM under load: what is in flight gets its answer, what was answered yes is kept, and the end comes in time."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable

import pytest
from rig.books import Books
from rig.installation import SIGTERM, Installation, until
from rig.load import Load, Phone, outcomes, write

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]

Install = Callable[..., Installation]
Tell = Callable[[object], None]

_TIMEOUT = 6.0


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_sigterm(
    kind: str, sqlite_url: str, new_database: Callable[[], str], install: Install, tell: Tell, seed: int
) -> None:
    installation = install(sqlite_url if kind == "sqlite" else new_database(), server={"shutdown_timeout": _TIMEOUT})
    programs = [installation.program(role) for role in (["serve"] if kind == "sqlite" else ["web", "work"])]
    rng, ends, ends_at = random.Random(seed), [], []
    with Load(installation.twilio, seed, threads=8, pause=0.01) as load:
        for _ in range(5):
            for program in programs:
                program.start(wait=False)
            for program in programs:
                program.wait_up()
            time.sleep(rng.uniform(0.3, 0.8))
            began = time.time()
            for program in programs:
                program.signal(SIGTERM)
            codes = [program.wait(_TIMEOUT + 2) for program in programs]
            ends.append(time.time() - began)
            ends_at.append((began, time.time()))
            assert codes == [0] * len(programs)
        # Before anybody delivers again: what of the refused is stored all the same?
        quiet = [
            (written, attempt)
            for written in load.written
            for attempt in written.attempts
            if any(began <= attempt.ended <= end for began, end in ends_at)
        ]
        for program in programs:
            program.start(wait=False)
        load.finish()
    books = Books(installation)
    books.wait_drained()
    found = books.audit(load.written)
    answers = Counter(str(attempt.status or attempt.error) for _, attempt in quiet)
    torn = [attempt for written in load.written for attempt in written.attempts if attempt.torn]
    tell(f"5 ends by SIGTERM, each with 0, after {' '.join(f'{value:.2f}' for value in ends)} s")
    tell(f"answered while ending: {dict(answers)}; torn answers: {len(torn)}")
    tell(found)
    tell(f"deliveries were answered: {outcomes(load.written)}")
    assert not torn
    assert max(ends) < _TIMEOUT
    assert found.unknown_stored == 0, "no answer, and stored all the same: a sender that is refused was not refused"
    assert not found.repeated


def test_sigterm_while_the_provider_is_silent(sqlite_url: str, install: Install, tell: Tell) -> None:
    """A provider that does not answer holds no process beyond its time; the reply goes out after the next start."""
    installation = install(sqlite_url, server={"shutdown_timeout": 2}, channel={"timeout": 30})
    serve = installation.program("serve").start()
    twilio = installation.twilio
    twilio.fail("timeout", next=4)
    messages = [write(number) for number in range(8)]
    phone = Phone()
    for written in messages:
        written.attempts.append(phone.post(twilio.webhook(written.message)))
    phone.close()
    books = Books(installation)
    claimed = "SELECT count(*) FROM outbox WHERE kind = 'reply' AND state = 'claimed'"
    until(
        lambda: books.rows(claimed)[0][0] > 0 and not books.rows("SELECT 1 FROM inbox WHERE state <> 'done'"),
        20,
        "a claim",
    )
    began = time.monotonic()
    serve.signal(SIGTERM)
    code = serve.wait(40)
    took = time.monotonic() - began
    twilio.recover()
    serve.start()
    books.wait_drained()
    found = books.audit(messages)
    tell(f"ended with {code} after {took:.2f} s, shutdown_timeout 2 s; {found}")
    assert code == 0
    assert took < 4
    assert not found.repeated
