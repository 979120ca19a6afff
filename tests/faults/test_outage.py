"""Webhooks that never came, because nobody listened: the recovery poll brings the messages in, each once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from rig.books import Books
from rig.installation import SIGTERM, Installation, until
from rig.load import Attempt, Written

from adapters.sms.twilio.simulator import Message

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]

Install = Callable[..., Installation]
Tell = Callable[[object], None]


@pytest.mark.parametrize(("kind", "ending"), [("sqlite", "kill -9"), ("postgresql", "SIGTERM")])
def test_gateway_down(
    kind: str, ending: str, sqlite_url: str, new_database: Callable[[], str], install: Install, tell: Tell
) -> None:
    url = sqlite_url if kind == "sqlite" else new_database()
    installation = install(url, channel={"poll_every": 5, "poll_overlap": 60})
    roles = ["serve"] if kind == "sqlite" else ["web", "work"]
    installation.start(*roles)
    books = Books(installation)
    before = _send(installation, 20, 0, call=True)
    missed_while_up = _send(installation, 10, 100, call=False)  # a webhook may get lost at any time
    until(lambda: books.rows("SELECT count(*) FROM inbox")[0][0] == 30, 30, "the poll while up")
    for role in roles:
        program = installation.program(role)
        if ending == "SIGTERM":
            program.signal(SIGTERM)
            assert program.wait(15) == 0
        else:
            program.kill()
    # More than one page of the provider's list, some of it older than the outage seems.
    missed = _send(installation, 700, 1000, call=False, ago=timedelta(seconds=30))
    refused = _send(installation, 20, 5000, call=True)
    assert all(written.attempts[0].status is None for written in refused)
    installation.start(*roles)
    late = _send(installation, 20, 6000, call=True)
    written = [*before, *missed_while_up, *missed, *refused, *late]
    took = until(
        lambda: books.rows("SELECT count(*) FROM inbox")[0][0] >= len(written), 60, "the poll after the outage"
    )
    books.wait_drained()
    found = books.audit(written)
    (polled,) = books.rows("SELECT failing_since, reason FROM cursor")
    tell(
        f"down by {ending}: {len(missed)} without a webhook, {len(refused)} with one that found nobody, {len(before) + len(late)}"
        f" with one that arrived; all there {took:.1f} s after the start; {found}"
    )
    assert found.complaints == found.replies == len(written)
    assert not found.repeated
    assert tuple(polled) == (None, None)


def _send(
    installation: Installation, count: int, first: int, *, call: bool, ago: timedelta = timedelta()
) -> list[Written]:
    """Have the provider register messages, each from another number."""
    made = []
    for number in range(first, first + count):
        sent = installation.twilio.send(
            f"+62813{number:08d}",
            f"Lampu jalan mati di Jl. Melati {number}",
            sent_at=datetime.now(UTC) - ago,
            call=call,
        )
        message = Message(sent.sid, "inbound", f"+62813{number:08d}", "", "", "received", datetime.now(UTC), None)
        made.append(Written(message, [Attempt(0, 0, sent.status, error=sent.error)] if call else []))
    return made


def test_killed_in_the_middle_of_a_poll(sqlite_url: str, install: Install, tell: Tell) -> None:
    """The right to poll, which the dead process held, must not keep its only successor from polling."""
    installation = install(sqlite_url, channel={"poll_every": 5, "poll_overlap": 60})
    missed = _send(installation, 20, 0, call=False)
    installation.twilio.fail("timeout", on="list")
    serve = installation.program("serve").start()
    books = Books(installation)
    until(lambda: not installation.twilio.failing("list"), 20, "a poll to be under way")
    assert books.rows("SELECT 1 FROM cursor WHERE lease_until IS NOT NULL")
    serve.kill()
    serve.start()
    took = until(lambda: books.rows("SELECT count(*) FROM inbox")[0][0] == len(missed), 60, "the poll after the crash")
    books.wait_drained()
    found = books.audit(missed)
    tell(f"killed while polling: all there {took:.1f} s after the next start; {found}")
    assert took < 15
    assert found.complaints == found.replies == len(missed)
