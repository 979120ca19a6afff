"""Several workers, and workers that die, with the parts of one message."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.bootstrap import Gateway
from gateway.central.tables import complaints
from gateway.domain.errors import Unavailable
from gateway.domain.events import MessagePart
from gateway.spool.tables import Kind, State, drafts, outbox, tickets
from tests.gateway.fixture_types import Drain, Rows
from tests.gateway.pipeline.join.support import CITIZEN, STRANGER, THREE, WHOLE, gather, intake
from tests.gateway.pipeline.waves import Waves


def jobs(rows: Rows, kind: Kind) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rows(outbox, outbox.c.kind == kind.value)
    return found


def test_a_crash_between_two_parts_loses_nothing(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway()
    waves.part(gateway, 2, THREE)
    intake(gateway).run_once()
    waves.part(gateway, 1, THREE)
    gateway.spool.inbox.claim(10, timedelta(seconds=30))  # and dies
    gateway.close()
    other = waves.site.gateway()
    waves.part(other, 3, THREE)
    drain(other)
    waves.clock.advance(seconds=31)
    drain(other)
    assert [row["description"] for row in rows(complaints)] == [WHOLE]


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_two_workers_each_with_some_of_the_parts_make_one_complaint_of_each_message(
    waves: Waves, rows: Rows, drain: Drain
) -> None:
    """Every part has a lane of its own here: nothing but the draft keeps the workers apart."""
    gateways = [waves.gateway(extra="[work]\nbatch = 3\n"), waves.site.gateway()]
    for message in range(12):
        texts = [f"pesan {message}: ", "satu, ", "dua, ", "tiga"]
        for number in (3, 1, 4, 2):
            waves.part(gateways[0], number, texts, group=str(message), lane=f"{message}/{number}")
    start, failures = threading.Barrier(2), []

    def work(gateway: Gateway) -> None:
        start.wait()
        try:
            while intake(gateway).run_once():
                continue
        except Exception as exc:  # noqa: BLE001  a thread's exception must reach the test
            failures.append(exc)

    threads = [threading.Thread(target=work, args=(gateway,)) for gateway in gateways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    drain(gateways[0])
    assert sorted(row["description"] for row in rows(complaints)) == sorted(
        f"pesan {message}: satu, dua, tiga" for message in range(12)
    )
    assert len(rows(drafts)) == 12


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_the_second_worker_waits_until_the_first_has_put_its_part_there(waves: Waves, rows: Rows) -> None:
    gateway = waves.gateway()
    spool = gateway.spool
    for number in (1, 2):
        waves.part(gateway, number, ["satu ", "dua"], lane=str(number))
    first, second = spool.inbox.claim(10, timedelta(seconds=30)).rows
    found: list[Any] = []

    def put_second() -> None:
        with spool.database.begin() as connection:
            part = MessagePart(group="7", number=2, total=2, sender=CITIZEN)
            found.append(spool.partial_messages.add(connection, second, part, timedelta(seconds=600)))

    with spool.database.begin() as connection:
        part = MessagePart(group="7", number=1, total=2, sender=CITIZEN)
        spool.partial_messages.add(connection, first, part, timedelta(seconds=600))
        thread = threading.Thread(target=put_second)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join(10)
    ((draft, new),) = found
    assert (draft.missing, new, len(rows(drafts))) == ([], True, 1)


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_database_that_is_away_while_gathering_loses_nothing(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway()
    waves.part(gateway, 1, THREE)
    drain(gateway)
    waves.clock.advance(seconds=601)
    real = gateway.database.engine
    gateway.database.engine = sa.create_engine(
        "postgresql+psycopg://127.0.0.1:9/x", connect_args={"connect_timeout": 1}
    )
    with pytest.raises(Unavailable):
        gather(gateway)
    gateway.database.engine.dispose()
    gateway.database.engine = real
    drain(gateway)
    assert len(rows(complaints)) == 1


@pytest.mark.parametrize("open_", [True, False], ids=["handed over", "queued"])
def test_joined_messages_take_the_short_way_to_the_deliverer_too(
    waves: Waves, rows: Rows, drain: Drain, open_: bool
) -> None:
    gateway = waves.gateway()
    if open_:
        gateway.stages["deliver"].run_once()  # from now on the deliverer beside intake is relied on
    for number in (1, 2, 3):
        waves.part(gateway, number, THREE)
    waves.part(gateway, 1, THREE, **{"from": STRANGER})
    intake(gateway).run_once()
    (job,) = jobs(rows, Kind.DELIVER)
    assert job["state"] == (State.CLAIMED if open_ else State.PENDING)
    waves.clock.advance(seconds=601)
    assert gather(gateway) == 1
    drain(gateway)
    assert len(rows(complaints)) == len(rows(tickets)) == 2
