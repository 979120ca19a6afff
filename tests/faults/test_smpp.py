"""An operator's connection under faults: what was answered 0 is at the centre once and whole, and never two sessions.

The SMSC is a foreign program, and every process of ours a real one.
"""

from __future__ import annotations

import json
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rig.books import Books
from rig.installation import SIGKILL, SIGTERM, Program, get, until
from rig.operator import Citizens, SmppInstallation, audit

from gateway.testing.postgres import PostgresServer

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]

Databases = Callable[[], str]
Install = Callable[..., SmppInstallation]
Tell = Callable[[object], None]

_CITIZEN = "+6281200000999"
_TEXT = "Nyuwun pirsa pak lurah, margi ing dhusun kula risak sanget 😭 banyunipun mlebet griya 🌊 " * 4 + "matur nuwun"
_FORM = {"form": "udh16", "coding": 8, "size": 134, "reference": 1708}
_TOTAL = -(-len(_TEXT.encode("utf-16-be")) // 134)


@pytest.fixture
def at_operator(install: Callable[..., Any], modules: Path) -> Install:
    """Make installations whose one channel is a connection to an operator."""
    return lambda url, **options: install(url, kind=SmppInstallation, modules=modules, **options)


def start(installation: SmppInstallation, kind: str) -> list[Program]:
    """Start one process, or on PostgreSQL a front door and two that stand by for each other; return who may hold."""
    names = [("serve",)] if kind == "sqlite" else [("web",), ("work", "work-1"), ("work", "work-2")]
    programs = [installation.program(*name).start(wait=False) for name in names]
    for program in programs:
        program.wait_up()
    return [program for program in programs if program.role != "web"]


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Run the test on both databases."""
    return str(request.param)


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest) -> str:
    """Make a database of the kind."""
    return str(request.getfixturevalue("sqlite_url") if kind == "sqlite" else request.getfixturevalue("new_database")())


def _description(books: Books) -> list[str]:
    return [str(text) for (text,) in books.rows("SELECT description FROM complaint", central=True)]


def test_killed_between_two_parts(kind: str, url: str, at_operator: Install, tell: Tell) -> None:
    """Part 1 was answered, the others were on their way: whoever holds the connection next completes the message."""
    installation = at_operator(url)
    operator, books = installation.operator, Books(installation)
    start(installation, kind)
    victim = installation.holder()
    operator.write("m", _CITIZEN, _TEXT, order=[1], total=_TOTAL, **_FORM)
    until(lambda: operator.stored("m") == {1}, 20, "part 1 to be answered")
    victim.signal(signal.SIGSTOP)  # the parts reach the machine, and nobody answers
    operator.write("m", _CITIZEN, _TEXT, order=range(_TOTAL, 1, -1), total=_TOTAL, **_FORM)
    until(lambda: operator.told["delivered"] == _TOTAL, 10, "the other parts to be on their way")
    victim.kill()
    died = time.monotonic()
    if kind == "sqlite":
        victim.start(wait=False)
    until(lambda: operator.accepted == 1, 30, "every part to be answered 0")
    took = time.monotonic() - died
    until(lambda: operator.replies_to(_CITIZEN), 20, "the citizen to be answered")
    books.wait_drained()
    found = audit(installation, books)
    tell(f"killed with {_TOTAL - 1} parts unanswered; taken over and answered {took:.1f} s later; {found}")
    assert _description(books) == [_TEXT]
    assert found.again == _TOTAL - 1
    assert found.replies == 1


def test_kill_under_load(
    kind: str, url: str, at_operator: Install, tell: Tell, rounds: Callable[[int], int], seed: int
) -> None:
    installation, rng, wanted = at_operator(url), random.Random(seed), rounds(20)
    operator, books = installation.operator, Books(installation)
    holders, kills, began = start(installation, kind), Counter[str](), time.monotonic()
    with Citizens(operator, seed) as citizens:
        for _ in range(wanted):
            victim = installation.holder()
            if rng.random() < 0.2:  # while it works on what came, whether or not anything is held
                victim = rng.choice(holders)
            before = operator.accepted
            until(lambda before=before: operator.accepted > before, 30, "messages to flow")
            time.sleep(rng.uniform(0, 0.4))
            victim.kill()
            kills[victim.role] += 1
            victim.start(wait=False)
        killing = time.monotonic() - began
        citizens.finish()
    drained = books.wait_drained()
    found = audit(installation, books)
    tell(f"{wanted} rounds in {killing:.0f} s, killed {dict(kills)}; drained {drained:.1f} s later")
    tell(found)
    assert found.sessions >= wanted / 2
    assert set(found.refused) <= {0x64}
    # SMPP has no id for a reply that was sent and whose answer died with us: one for each kill is the most.
    assert found.repeated <= sum(kills.values()) * 4, "as many replies as one process sends at a time"


def test_two_processes_on_one_account(new_database: Databases, at_operator: Install, tell: Tell) -> None:
    lease = 5
    installation = at_operator(new_database(), work={"line_lease": lease})
    operator = installation.operator
    start(installation, "postgresql")
    look, taken = lease / 6, {}
    for name, number in (("kill -9", SIGKILL), ("SIGTERM", SIGTERM), ("SIGTERM again", SIGTERM)):
        holder, sessions = installation.holder(), len(operator.bound)
        gone = time.monotonic()
        holder.signal(number)
        holder.wait(10)
        until(lambda sessions=sessions: len(operator.bound) > sessions, 2 * lease, "the other to take over")
        taken[name] = time.monotonic() - gone
        assert installation.holder().role != holder.role
        holder.start()
    time.sleep(2 * look)  # time enough for a third to come, if one would
    tell("taken over: " + ", ".join(f"after {name} in {seconds:.1f} s" for name, seconds in taken.items()))
    assert [receivers for _, receivers in operator.bound] == [1] * 4, "never two sessions at once"
    assert taken["kill -9"] < lease + look + 1
    assert max(taken["SIGTERM"], taken["SIGTERM again"]) < look + 2, "its end, and the next look of the other"


def test_database_killed(
    fault_server: PostgresServer,
    new_database: Databases,
    at_operator: Install,
    tell: Tell,
    rounds: Callable[[int], int],
    seed: int,
) -> None:
    installation, rng = at_operator(new_database()), random.Random(seed)
    operator, books = installation.operator, Books(installation)
    holders, back_after, outages = start(installation, "postgresql"), [], []
    with Citizens(operator, seed, at_once=4) as citizens:
        for _ in range(rounds(3)):
            until(lambda count=operator.accepted: operator.accepted > count + 5, 60, "messages to flow")
            fault_server.crash()
            dead, before = time.time(), operator.told["stored"]
            time.sleep(rng.uniform(0.5, 3))
            stored = operator.told["stored"] - before
            outages.append((dead, time.time()))
            fault_server.start()
            back = time.monotonic()
            until(lambda count=operator.accepted: operator.accepted > count, 60, "a message to be accepted again")
            back_after.append(time.monotonic() - back)
            assert stored <= 10, "what was answered just before the crash is heard a little later"
        citizens.finish()
    drained = books.wait_drained()
    found = audit(installation, books)
    during = Counter(s for at, s in operator.statuses if any(dead <= at <= end for dead, end in outages))
    tell(f"{len(outages)} crashes; answered meanwhile: {dict(during) or 'nothing'}; accepted again after "
         f"{' '.join(f'{value:.1f}' for value in back_after)} s; drained {drained:.1f} s after the end")  # fmt: skip
    tell(found)
    assert set(found.refused) <= {0x64}, "the operator keeps what cannot be stored"
    assert [program.starts for program in holders] == [1, 1]


def test_operator_away(sqlite_url: str, at_operator: Install, tell: Tell) -> None:
    """Said in words, tried again more and more rarely, and replies wait."""
    installation = at_operator(sqlite_url)
    operator, books = installation.operator, Books(installation)
    (serve,) = start(installation, "sqlite")
    installation.holder()
    operator.smsc.wish("mode", set={"throttle": 1_000_000})
    for number in range(5):
        operator.write(f"m{number}", f"+628120000005{number}", f"Lampu jalan nomor {number} mati")
    until(lambda: operator.accepted == 5 and operator.told["throttled"] > 2, 20, "replies that the operator refuses")
    operator.close()
    status = f"http status page on {installation.port}"
    until(lambda: "sambungan ke penyedia terputus" in _page(installation), 10, status)
    said = _page(installation)
    time.sleep(5)
    gone, attempts = time.monotonic(), _lines(serve, "connection lost")
    assert not operator.submitted
    operator.open()
    until(lambda: len(operator.submitted) == 5, 60, "the replies to go out")
    back = time.monotonic() - gone
    until(lambda: "terhubung sejak" in _page(installation), 10, status)
    books.wait_drained()
    found = audit(installation, books)
    tell(f"{len(attempts)} attempts in 5 s; replies went out {back:.1f} s after the operator was back; {found}")
    assert re.search("terputus sejak [^:]*: unavailable: (operator|sambungan)", said)
    assert 2 <= len(attempts) <= 6, "again, but not without pause"
    assert [line["attempts"] for line in attempts] == list(range(1, len(attempts) + 1))
    assert found.replies == 5


def test_a_missing_part(kind: str, url: str, at_operator: Install, tell: Tell) -> None:
    """Sent on without it after `parts_wait`, flagged; when it comes after all, the complaint is completed."""
    installation = at_operator(url, conversation={"parts_wait": 2.0})
    operator, books = installation.operator, Books(installation)
    start(installation, kind)
    installation.holder()
    lost = 2
    rest = [number for number in range(1, _TOTAL + 1) if number != lost]
    operator.write("m", _CITIZEN, _TEXT, order=rest, total=_TOTAL, **_FORM)
    until(lambda: operator.stored("m") == {*rest}, 20, "the parts to be answered")
    came = time.monotonic()
    until(lambda: _description(books), 30, "the incomplete message at the centre", every=0.1)
    waited = time.monotonic() - came
    (partial,) = _description(books)
    assert f"[Pesan tidak lengkap: bagian {lost} dari {_TOTAL} tidak diterima]" in partial
    assert partial.startswith(_TEXT[:60])
    assert " […] " in partial
    until(lambda: operator.replies_to(_CITIZEN), 20, "the citizen to be answered")
    operator.write("m", _CITIZEN, _TEXT, order=[lost], total=_TOTAL, **_FORM)
    until(lambda: _description(books) == [_TEXT], 30, "the whole message at the centre", every=0.1)
    books.wait_drained()
    tell(f"flagged {waited:.1f} s after its parts, completed later; {audit(installation, books)}")
    assert waited > 1, "it was waited for"
    assert len(operator.replies_to(_CITIZEN)) == 1, "one ticket, one answer"


def _page(installation: SmppInstallation) -> str:
    return get(installation.port, "/status")[1].decode()


def _lines(program: Program, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in program.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]
