"""`kill -9` at random moments under load: nothing accepted is lost, one message makes one complaint."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from threading import Event

import pytest
from rig.books import Books, Reckoning, few
from rig.installation import SIGKILL, Installation, Program
from rig.load import Load, outcomes

from adapters.sms.twilio.simulator import Message

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]


class Reaper:
    """Kills programs at a random moment, or in the instant in which the provider has taken a reply.

    The second is the one place where a citizen could be told twice: the SMS is out, and nothing of ours says so.
    """

    def __init__(self, installation: Installation, rng: random.Random) -> None:
        self._rng = rng
        self._victims: Sequence[Program] = ()
        self._struck = Event()
        self.kills: list[tuple[float, str]] = []  # time.time() and role
        self.on_reply = self.while_starting = 0
        installation.twilio.subscribe(self._took)

    def _took(self, _reply: Message) -> None:
        """Runs before the provider answers, on its thread."""
        victims, self._victims = self._victims, ()
        for victim in victims:
            victim.signal(SIGKILL)
        if victims:
            self._struck.set()

    def strike(self, victims: Sequence[Program], longest: float) -> None:
        """Kill within so many seconds, in one round of four on a reply, and start again without waiting."""
        wait = self._rng.uniform(0, longest)
        if self._rng.random() < 0.25:
            self._struck.clear()
            self._victims = victims
            self.on_reply += self._struck.wait(2 * longest)
            self._victims = ()
        else:
            time.sleep(wait)
        self.while_starting += sum(not victim.up for victim in victims)
        self.kills += [(time.time(), victim.role) for victim in victims]
        for victim in victims:
            victim.signal(SIGKILL)
        for victim in victims:
            victim.kill()
            victim.start(wait=False)

    def explain(self, repeated: Sequence[Sequence[Message]]) -> list[str]:
        """Say of each reply that was sent twice whether a kill lies between."""
        lines = []
        for first, second, *_ in repeated:
            begin, end = first.date_created.timestamp(), second.date_created.timestamp()
            between = [role for at, role in self.kills if begin - 0.05 <= at <= end]
            cause = f"killed in between: {', '.join(between)}" if between else "its lease ended before its worker did"
            lines.append(f"sent again after {end - begin:.2f} s, {cause}")
        return lines


def _assert_few_repeated(found: Reckoning, reaper: Reaper, tell: Callable[[object], None]) -> None:
    for line in reaper.explain(found.repeated):
        tell(line)
    assert len(found.repeated) <= few(found.replies)


def test_kill_on_postgres(
    new_database: Callable[[], str],
    install: Callable[..., Installation],
    tell: Callable[[object], None],
    rounds: Callable[[int], int],
    seed: int,
) -> None:
    installation = install(new_database())
    books, rng = Books(installation), random.Random(seed)
    reaper = Reaper(installation, rng)
    web, first, second = (installation.program(*names) for names in (("web",), ("work", "work-1"), ("work", "work-2")))
    for program in (web, first, second):
        program.start(wait=False)
    wanted, began = rounds(60), time.monotonic()
    with Load(installation.twilio, seed, threads=4, pause=0.06) as load:
        for _ in range(wanted):
            if rng.random() < 0.7:  # else it may be killed again while it starts
                for program in (web, first, second):
                    program.wait_up()
            victims = rng.choices(
                [[web], [first], [second], [first, second], [web, first], [web, first, second]], [4, 4, 4, 2, 1, 1]
            )[0]
            reaper.strike(victims, 0.6)
        killing = time.monotonic() - began
        load.finish()
    drained = books.wait_drained()
    found = books.audit(load.written)
    tell(
        f"{wanted} rounds, {len(reaper.kills)} processes killed in {killing:.0f} s, {reaper.on_reply} rounds in the"
        f" instant of a reply, {reaper.while_starting} kills while starting; drained {drained:.1f} s later"
    )
    tell(found)
    tell(f"deliveries were answered: {outcomes(load.written)}")
    _assert_few_repeated(found, reaper, tell)


def test_kill_on_sqlite(
    sqlite_url: str,
    install: Callable[..., Installation],
    tell: Callable[[object], None],
    rounds: Callable[[int], int],
    seed: int,
) -> None:
    installation = install(sqlite_url)
    books, rng = Books(installation), random.Random(seed)
    reaper = Reaper(installation, rng)
    serve = installation.program("serve").start()
    wanted, began = rounds(40), time.monotonic()
    with Load(installation.twilio, seed, threads=4, pause=0.06) as load:
        for _ in range(wanted):
            if rng.random() < 0.85:
                serve.wait_up()
            reaper.strike([serve], 0.8)
        killing = time.monotonic() - began
        serve.wait_up()
        load.finish()
    drained = books.wait_drained()
    found = books.audit(load.written)
    check = books.rows("PRAGMA integrity_check")[0][0]
    tell(
        f"{wanted} rounds in {killing:.0f} s, {reaper.on_reply} in the instant of a reply, {reaper.while_starting}"
        f" while starting; drained {drained:.1f} s later; integrity check: {check}"
    )
    tell(found)
    tell(f"deliveries were answered: {outcomes(load.written)}")
    assert check == "ok"
    _assert_few_repeated(found, reaper, tell)
