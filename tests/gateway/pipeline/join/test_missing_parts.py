"""A part never comes, or comes late."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.central.tables import additions, complaints, history
from gateway.spool.tables import cases
from tests.gateway.fixture_types import Drain, Rows
from tests.gateway.pipeline.join.support import THREE, WHOLE, gather, intake, without
from tests.gateway.pipeline.waves import Waves


def test_a_missing_part_is_waited_for_as_long_as_configured_and_then_told(
    waves: Waves, rows: Rows, drain: Drain
) -> None:
    gateway = waves.gateway()
    waves.part(gateway, 1, THREE)
    waves.part(gateway, 3, THREE)
    drain(gateway)
    waves.clock.advance(seconds=599)
    drain(gateway)
    assert rows(complaints) == []
    waves.clock.advance(seconds=1)
    drain(gateway)
    (complaint,) = rows(complaints)
    assert complaint["description"] == (
        "Jalan di depan pasar sejak tiga bulan\n\n[Pesan tidak lengkap: bagian 2 dari 3 tidak diterima]"
    )
    (answer,) = waves.answers()
    assert complaint["ticket"] in answer
    assert gather(gateway) == 0, "it is sent on once"


def test_parts_wait_is_obeyed(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway()
    path = waves.site.config / "gateway.toml"
    path.write_text(path.read_text().replace("[conversation]\n", "[conversation]\nparts_wait = 30\n"))
    gateway = waves.site.gateway()
    waves.part(gateway, 1, THREE)
    drain(gateway)
    waves.clock.advance(seconds=30)
    drain(gateway)
    assert len(rows(complaints)) == 1


@pytest.mark.parametrize("missing", [2, 3])
def test_a_late_part_completes_the_complaint_at_the_centre(
    waves: Waves, rows: Rows, drain: Drain, missing: int
) -> None:
    gateway = waves.gateway()
    without(waves, gateway, drain, missing)
    (before,) = rows(complaints)
    waves.clock.advance(hours=23)
    waves.part(gateway, missing, THREE)
    drain(gateway)
    (after,) = rows(complaints)
    assert after["description"] == WHOLE
    assert [after[name] for name in ("id", "ticket", "received_at", "anonymous")] == [
        before[name] for name in ("id", "ticket", "received_at", "anonymous")
    ]
    assert [line["why"] for line in rows(history)][1:] == ["a late part of the message came"]
    assert len(waves.answers()) == 1


def test_two_late_parts_complete_it_one_after_the_other(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway()
    waves.part(gateway, 1, THREE)
    drain(gateway)
    waves.clock.advance(seconds=601)
    drain(gateway)
    waves.part(gateway, 3, THREE)
    drain(gateway)
    assert rows(complaints)[0]["description"].endswith("[Pesan tidak lengkap: bagian 2 dari 3 tidak diterima]")
    waves.part(gateway, 2, THREE)
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == [WHOLE]


def test_a_late_part_that_comes_before_the_delivery_is_delivered_with_the_rest(
    waves: Waves, rows: Rows, drain: Drain
) -> None:
    gateway = waves.gateway()
    waves.part(gateway, 1, THREE)
    waves.part(gateway, 2, THREE)
    intake(gateway).run_once()
    waves.clock.advance(seconds=601)
    gather(gateway)
    waves.part(gateway, 3, THREE)
    intake(gateway).run_once()
    assert rows(complaints) == []
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == [WHOLE]


def test_after_a_day_a_part_is_no_late_one_any_more(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway()
    without(waves, gateway, drain, 3)
    waves.clock.advance(hours=25)
    waves.part(gateway, 3, THREE)
    drain(gateway)
    waves.clock.advance(seconds=601)
    drain(gateway)
    first, second = rows(complaints)
    assert first["description"].endswith("[Pesan tidak lengkap: bagian 3 dari 3 tidak diterima]")
    assert second["description"].startswith("sejak tiga bulan\n\n[Pesan tidak lengkap: bagian 1, 2 dari 3")


def test_a_part_that_comes_after_all_was_joined_begins_another_message(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway()
    for number in (1, 2, 3, 2):
        waves.part(gateway, number, THREE)
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == [WHOLE]
    waves.clock.advance(seconds=601)
    drain(gateway)
    assert len(rows(complaints)) == 2, "it is told, never swallowed"


def test_a_late_part_of_an_addition_completes_the_addition(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway(window=3600)
    waves.say(gateway, "Jalan berlubang di Kendari")
    drain(gateway)
    without(waves, gateway, drain, 2)
    (case,) = rows(cases)
    (addition,) = rows(additions)
    assert addition["text"].endswith("[Pesan tidak lengkap: bagian 2 dari 3 tidak diterima]")
    waves.part(gateway, 2, THREE)
    drain(gateway)
    (after,) = rows(additions)
    assert (after["id"], after["complaint_id"], after["text"]) == (addition["id"], case["id"], WHOLE)
    assert [line["why"] for line in rows(history)][-1] == "addition by the reporter: a late part of it came"
    assert len(rows(complaints)) == 1


def test_a_late_part_of_what_was_purged_here_is_added_at_the_centre(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway()
    without(waves, gateway, drain, 3)
    gateway.spool.cases.purge(waves.clock() + timedelta(seconds=1), 10)
    waves.part(gateway, 3, THREE)
    drain(gateway)
    (addition,) = rows(additions)
    assert addition["text"] == WHOLE
    assert len(rows(complaints)) == 1
