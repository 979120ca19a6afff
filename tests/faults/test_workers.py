"""Several workers on one queue: each message is worked on by one of them, and by nobody twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from rig.books import Books
from rig.installation import Installation, Program, until
from rig.load import Phone, Written, write

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]


@pytest.mark.parametrize("workers", [2, 4])
def test_race(
    workers: int, new_database: Callable[[], str], install: Callable[..., Installation], tell: Callable[[object], None]
) -> None:
    # Leases longer than the test: here a second pair of hands would be a fault.
    installation = install(new_database(), work={"lease": 60, "reply_lease": 60, "batch": 20})
    installation.start("web")
    messages = _fill(installation, 600)
    books = Books(installation)
    assert books.unfinished() == len(messages)
    programs = [installation.program("work", f"work-{number}").start(wait=False) for number in range(workers)]
    for program in programs:
        program.wait_up()
    drained = books.wait_drained()
    for program in programs:  # so that its last line is in the log
        program.signal(15)
    until(lambda: not any(program.alive for program in programs), 15, "the workers to end")
    found = books.audit(messages)
    shares = {
        stage: [_lines(program, stage) for program in programs] for stage in ("intake", "delivered", "acknowledged")
    }
    acknowledged: Counter[str] = Counter()
    for program in programs:
        acknowledged.update(str(line["correlation_id"]) for line in _log(program) if line["event"] == "acknowledged")
    tell(f"{workers} workers, drained in {drained:.1f} s, shares {shares}; {found}")
    assert found.complaints == found.replies == len(messages)
    assert not found.repeated
    assert set(acknowledged.values()) == {1}
    for stage, counts in shares.items():
        assert sum(counts) == len(messages), f"{stage}: {counts}"
    assert all(sum(counts[number] for counts in shares.values()) for number in range(workers)), "one worker got nothing"
    assert found.taken_over == {"inbox": 0, "outbox": 0}


def _fill(installation: Installation, count: int) -> list[Written]:
    """Have messages accepted; some of their senders write again and again."""
    messages = [
        write(number, sender=f"+6285700000{number % 25:03d}" if number % 4 == 0 else None) for number in range(count)
    ]

    def post(chunk: list[Written]) -> None:
        phone = Phone()
        for written in chunk:
            written.attempts.append(phone.post(installation.twilio.webhook(written.message)))
            assert written.accepted
        phone.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(post, (messages[first::4] for first in range(4))))
    return messages


def _log(program: Program) -> list[dict[str, object]]:
    return [json.loads(line) for line in program.log.read_text().splitlines() if line.startswith("{")]


def _lines(program: Program, event: str) -> int:
    return sum(int(str(line.get("count", 1))) for line in _log(program) if line["event"] == event)
