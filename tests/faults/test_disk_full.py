"""The disk is full: 503 with Retry-After and never a false yes, no process dies, and all goes on once there is room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from rig.books import Books
from rig.disk import SmallDisk, largest, limit_files
from rig.installation import Installation, get, until
from rig.load import Phone, Written, outcomes, write

from gateway.testing.postgres import PostgresServer

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]

Install = Callable[..., Installation]
Tell = Callable[[object], None]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        disk = SmallDisk(folder, 12)
    except OSError as exc:
        pytest.skip(f"{exc} (the test with a limit on file sizes covers the same)")
    with disk:
        yield disk


class Citizens:
    """Write one message after the other and keep the answers."""

    def __init__(self, installation: Installation) -> None:
        self._twilio, self._phone = installation.twilio, Phone()
        self.written: list[Written] = []

    def write(self, count: int) -> Counter[int | None]:
        """Deliver new messages once each; return the answers."""
        made = [write(len(self.written) + number) for number in range(count)]
        self.written += made
        return self._deliver(made)

    def again(self) -> Counter[int | None]:
        """Deliver again what was not accepted."""
        return self._deliver([one for one in self.written if not one.accepted])

    def hang_up(self) -> None:
        """Close the connection."""
        self._phone.close()

    def _deliver(self, messages: list[Written]) -> Counter[int | None]:
        for one in messages:
            one.attempts.append(self._phone.post(self._twilio.webhook(one.message)))
        return Counter(one.attempts[-1].status for one in messages)


@pytest.mark.parametrize("logs", ["logs elsewhere", "logs on the same disk"])
def test_sqlite_on_a_full_disk(logs: str, small_disk: SmallDisk, install: Install, tell: Tell) -> None:
    same = logs == "logs on the same disk"
    installation = install(
        f"sqlite:///{small_disk.inside}/gateway.db",
        prefix=small_disk.prefix,
        logs=small_disk.outside if same else None,
    )
    serve = installation.program("serve").start()
    filled = 0

    def fill() -> None:
        nonlocal filled
        filled += small_disk.fill()

    _fill_and_free(installation, [serve.pid], tell, fill, small_disk.free, small_disk.outside / "gateway.db")
    tell(f"{filled} bytes of filler on a disk of 12 MiB")


def test_sqlite_at_the_file_size_limit(sqlite_url: str, tmp_path: Path, install: Install, tell: Tell) -> None:
    folder = tmp_path / "database"
    installation = install(f"sqlite:///{folder}/gateway.db")
    serve = installation.program("serve").start()
    _fill_and_free(
        installation,
        [serve.pid],
        tell,
        lambda: limit_files(serve.pid, largest(folder)),
        lambda: limit_files(serve.pid, None),
    )


def test_postgres_cannot_grow(
    fault_server: PostgresServer, new_database: Callable[[], str], install: Install, tell: Tell
) -> None:
    """No file of the server may grow past what the inbox has; its log of transactions stays below that."""
    installation = install(new_database())
    installation.start("web", "work")
    books = Books(installation)
    # Larger than a segment of the transaction log, 16 MiB: that one must never fail, or the server itself ends.
    books.execute(
        "INSERT INTO inbox (id, region, channel, dedupe_key, lane, content_type, payload, received_at, state, attempts)"
        " SELECT gen_random_uuid(), '00', 'sms', gen_random_uuid(), gen_random_uuid(), 'x', convert_to(repeat('x', 1500), 'UTF8'),"
        " now(), 'done', 1 FROM generate_series(1, 14000)"
    )
    size = books.rows("SELECT pg_relation_size('inbox')")[0][0]
    assert int(str(size)) > 17_000_000
    server = int(Path(str(books.rows("SHOW data_directory")[0][0]), "postmaster.pid").read_text().split()[0])
    _fill_and_free(
        installation,
        [installation.program(role).pid for role in ("web", "work")],
        tell,
        lambda: limit_files(server, int(str(size))),
        lambda: limit_files(server, None),
    )


def _fill_and_free(
    installation: Installation,
    pids: list[int],
    tell: Tell,
    fill: Callable[[], None],
    free: Callable[[], None],
    copied_from: Path | None = None,
) -> None:
    citizens, books = Citizens(installation), Books(installation, copied_from)
    assert citizens.write(30) == {200: 30}
    fill()
    full: Counter[int | None] = Counter()
    for _ in range(60):  # what was reserved before the disk was full may still take some
        fill()
        full += citizens.write(10)
        if full[503] >= 40:
            break
    live, ready = get(installation.port, "/health/live")[0], get(installation.port, "/health/ready")[0]
    waits = {a.retry_after for one in citizens.written for a in one.attempts if a.status == 503}
    still = citizens.again()
    free()
    recovered = until(lambda: citizens.write(1) == {200: 1}, 20, "a message to be accepted", every=0.1)
    answers = citizens.again()
    citizens.hang_up()
    assert [psutil.pid_exists(pid) for pid in pids] == [True] * len(pids)
    drained = books.wait_drained()
    found = books.audit(citizens.written)
    tell(f"while full: {dict(full)}, delivered again: {dict(still)}, Retry-After {waits}, live {live}, ready {ready}")
    tell(
        f"with room again: accepted after {recovered:.2f} s, delivered again: {dict(answers)}, drained after {drained:.1f} s"
    )
    tell(f"{found}; all answers: {outcomes(citizens.written)}")
    assert set(full) <= {200, 503}
    assert full[503] >= 40
    assert None not in waits
    assert all(int(wait or 0) > 0 for wait in waits)
    assert live == 200
    assert set(answers) <= {200}
    assert not found.repeated
