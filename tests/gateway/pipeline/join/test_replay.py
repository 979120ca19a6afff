"""Parts in a replay and in a purge."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gateway.central.tables import additions, complaints, history
from gateway.spool.tables import State, cases, drafts, follow_ups, inbox, parts
from tests.gateway.fixture_types import Drain, Rows
from tests.gateway.pipeline.join.support import STRANGER, THREE, WHOLE, intake, replay_of, without
from tests.gateway.pipeline.waves import Radio, Waves
from tests.gateway.support import StillClock


def day(clock: StillClock) -> tuple[Any, Any]:
    return clock() - timedelta(hours=3), clock() + timedelta(hours=3)


def test_a_replay_reads_a_message_once_however_many_parts_it_had(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway()
    for number in (3, 1, 2):
        waves.part(gateway, number, THREE)
    drain(gateway)
    assert replay_of(gateway).apply_between(*day(waves.clock)) == {"none": 3}
    (waves.site.config / "regions" / "74.71-kendari.toml").write_text(
        'code = "74.71"\nname = "Kota Kendari"\nagency = "Dinas PUPR"\n[channels.radio]\nadapter = "toy.radio"\n'
    )
    changed = waves.site.gateway()
    previews = [change.action for change in replay_of(changed).between(*day(waves.clock))]
    assert sorted(previews) == ["amend", "none", "none"]
    assert rows(complaints)[0]["agency"] == "Pemerintah Kota Kendari", "a preview touches nothing"
    assert replay_of(changed).apply_between(*day(waves.clock)) == {"amend": 1, "none": 2}
    drain(changed)
    (after,) = rows(complaints)
    assert (after["agency"], after["description"]) == ("Dinas PUPR", WHOLE)
    assert replay_of(changed).apply_between(*day(waves.clock)) == {"none": 3}


def test_a_replay_leaves_alone_what_still_waits_for_its_parts(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway()
    waves.part(gateway, 1, THREE)
    drain(gateway)
    assert replay_of(gateway).apply_between(*day(waves.clock)) == {"none": 1}
    waves.part(gateway, 2, THREE)
    waves.part(gateway, 3, THREE)
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == [WHOLE]


def test_a_message_joined_as_a_command_opens_its_case_where_it_reads_as_a_report_now(
    waves: Waves, rows: Rows, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = waves.gateway()
    for number in (2, 1):
        waves.part(gateway, number, ["inf", "o"])
    drain(gateway)
    assert rows(cases) == []
    from gateway.pipeline.interpret import compose
    from gateway.pipeline.interpret.commands import Report

    monkeypatch.setattr(compose, "parse_request", lambda text, *_words, **_more: Report(text=text))
    assert replay_of(gateway).apply_between(*day(waves.clock)) == {"open": 1, "none": 1}
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == ["info"]


def test_parts_read_again_change_nothing(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway(window=600)
    without(waves, gateway, drain, 2)
    waves.part(gateway, 2, THREE)
    drain(gateway)
    before = [rows(table) for table in (complaints, history, additions, follow_ups, cases)]
    with gateway.database.begin() as connection:
        assert gateway.spool.inbox.reopen(connection, [row["id"] for row in rows(inbox)]) == 3
    drain(gateway)
    assert [rows(table) for table in (complaints, history, additions, follow_ups, cases)] == before
    assert len(waves.answers()) == 1


def test_the_purge_forgets_joined_messages_and_keeps_what_waits(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway(extra="[retention]\nraw_days = 0.001\n")  # 86 seconds, less than parts are waited for
    for number in (1, 2, 3):
        waves.part(gateway, number, THREE)
    waves.part(gateway, 1, THREE, **{"from": STRANGER})
    drain(gateway)
    waves.clock.advance(seconds=100)
    gateway.jobs.purge()
    assert len(rows(inbox)) == len(rows(parts)) == len(rows(drafts)) == 1, "what waits is kept, however old"
    waves.clock.advance(seconds=501)
    drain(gateway)
    assert len(rows(complaints)) == 2
    gateway.jobs.purge()
    waves.clock.advance(seconds=100)
    gateway.jobs.purge()
    assert rows(inbox) == rows(parts) == rows(drafts) == []


def test_a_late_part_of_a_message_whose_parts_were_purged_is_told_by_itself(
    waves: Waves, rows: Rows, drain: Drain
) -> None:
    gateway = waves.gateway(extra="[retention]\nraw_days = 0.001\n")
    without(waves, gateway, drain, 3)
    waves.clock.advance(seconds=100)
    gateway.jobs.purge()
    waves.part(gateway, 3, THREE)
    drain(gateway)
    waves.clock.advance(seconds=601)
    drain(gateway)
    first, second = rows(complaints)
    assert first["description"].startswith(THREE[0] + THREE[1].strip())
    assert second["description"].startswith(THREE[2])


def test_the_lane_of_parts_is_their_senders(
    waves: Waves, rows: Rows, drain: Drain, monkeypatch: pytest.MonkeyPatch, radio: type[Radio]
) -> None:
    """A part that is tried again is not overtaken by its sender's next message."""
    gateway = waves.gateway()
    real: Callable[..., Any] = radio.translate

    def broken(self: Any, raw: Any) -> Any:
        if b'"number": 2' in raw.payload:
            raise ZeroDivisionError
        return real(self, raw)

    with monkeypatch.context() as patch:
        patch.setattr(radio, "translate", broken)
        for number in (1, 2, 3):
            waves.part(gateway, number, THREE)
        waves.say(gateway, "kedua")
        intake(gateway).run_once()
    assert [row["state"] for row in rows(inbox)] == [State.DONE, *[State.PENDING] * 3]
    waves.clock.advance(seconds=10)
    drain(gateway)
    told = sorted(rows(complaints), key=lambda row: row["ticket"])
    assert [row["description"] for row in told] == [WHOLE, "kedua"]
