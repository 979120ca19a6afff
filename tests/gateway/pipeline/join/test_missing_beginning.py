"""A missing beginning is treated as secret; parts that cannot be joined are dead letters."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager

import pytest

from gateway.central.tables import additions, complaints
from gateway.domain.errors import Untranslatable
from gateway.spool.tables import State, inbox
from gateway.storage import Transaction
from tests.gateway.fixture_types import Drain, Refuse, Rows
from tests.gateway.pipeline.join.support import CITIZEN, STRANGER, THREE, WHOLE, gather, intake, replay_of, without
from tests.gateway.pipeline.waves import Radio, Waves

SECRET = ["ANONIM RAHASIA guru ", "di SD Kendari ", "minta pungli"]


def test_without_its_beginning_a_message_is_treated_as_anonymous_and_confidential(
    waves: Waves, rows: Rows, drain: Drain
) -> None:
    gateway = waves.gateway()
    without(waves, gateway, drain, 1, SECRET)
    (row,) = rows(complaints)
    assert (row["anonymous"], row["confidential"], row["reporter"]) == (True, True, None)
    assert "its first part is missing" in row["reasons"]
    assert len(waves.answers()) == 1, "its sender is answered all the same"
    waves.part(gateway, 1, SECRET)
    drain(gateway)
    (row,) = rows(complaints)
    assert (row["anonymous"], row["confidential"], row["reporter"]) == (True, True, None)
    assert row["description"] == "guru di SD Kendari minta pungli"


def test_a_late_beginning_that_asks_for_no_secrecy_ends_it(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway()
    without(waves, gateway, drain, 1)
    assert rows(complaints)[0]["reporter"] is None
    waves.part(gateway, 1, THREE)
    drain(gateway)
    (row,) = rows(complaints)
    assert (row["anonymous"], row["confidential"], row["description"]) == (False, False, WHOLE)
    assert gateway.central.reporter(row["reporter"]).phone == CITIZEN
    assert "first part" not in row["reasons"]


def test_without_its_beginning_a_message_joins_no_other(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway(window=3600)
    waves.say(gateway, "Jalan berlubang di Kendari")
    drain(gateway)
    without(waves, gateway, drain, 1)
    assert len(rows(complaints)) == 2
    assert rows(additions) == []


def test_what_looks_like_a_command_word_in_the_middle_of_a_message_stays(
    waves: Waves, rows: Rows, drain: Drain
) -> None:
    gateway = waves.gateway()
    without(waves, gateway, drain, 1, ["Guru kelas ", "baru: minta pungli"])
    assert rows(complaints)[0]["description"].startswith("baru: minta pungli")


FAILURES = [Untranslatable("no such alphabet"), ZeroDivisionError("Jalan rahasia")]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_what_does_not_join_in_time_is_dead_and_joins_when_replayed_after_a_fix(
    waves: Waves,
    rows: Rows,
    drain: Drain,
    radio: type[Radio],
    logs: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
) -> None:
    gateway = waves.gateway()
    for number in (2, 1):
        waves.part(gateway, number, THREE)
    waves.part(gateway, 1, THREE, **{"from": STRANGER})
    drain(gateway)
    waves.clock.advance(seconds=601)
    with monkeypatch.context() as patch:
        patch.setattr(radio, "broken", failure)
        drain(gateway)
    assert rows(complaints) == []
    assert [row["state"] for row in rows(inbox)] == [State.DEAD] * 3
    assert {row["reason"].split(":")[0] for row in rows(inbox)} == {"its parts cannot be joined"}
    assert "rahasia" not in logs.getvalue()
    assert [change.action for change in replay_of(gateway).dead(10)] == ["retry"] * 3
    assert replay_of(gateway).apply_dead(10) == 3
    drain(gateway)
    waves.part(gateway, 3, THREE)
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == [WHOLE]
    waves.clock.advance(seconds=601)
    drain(gateway)
    assert len(rows(complaints)) == 2


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_last_part_that_does_not_join_is_dead_and_joins_when_replayed(
    waves: Waves, rows: Rows, drain: Drain, radio: type[Radio], monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    gateway = waves.gateway(extra="[work]\nattempts = 1\n")
    waves.part(gateway, 1, THREE)
    waves.part(gateway, 2, THREE)
    drain(gateway)
    with monkeypatch.context() as patch:
        patch.setattr(radio, "broken", failure)
        last = waves.part(gateway, 3, THREE)
        waves.say(gateway, "lampu mati", **{"from": STRANGER})
        drain(gateway)
    assert {row["id"] for row in rows(inbox) if row["state"] == State.DEAD} == {last}
    assert len(rows(complaints)) == 1, "the others of its batch do not pay"
    assert replay_of(gateway).apply_dead(10) == 1
    drain(gateway)
    assert sorted(row["description"] for row in rows(complaints)) == [WHOLE, "lampu mati"]


def test_all_parts_dead_at_different_times_find_together_again(
    waves: Waves, rows: Rows, drain: Drain, radio: type[Radio], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = waves.gateway()
    with monkeypatch.context() as patch:
        patch.setattr(radio, "broken", Untranslatable("no such alphabet"))
        for number in (3, 1, 2):
            waves.part(gateway, number, THREE)
            drain(gateway)
        waves.clock.advance(seconds=601)
        drain(gateway)
    assert [row["state"] for row in rows(inbox)] == [State.DEAD] * 3
    assert replay_of(gateway).apply_dead(10) == 3
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == [WHOLE]
    assert len(waves.answers()) == 1


def test_a_late_part_that_does_not_join_is_dead_and_completes_when_replayed(
    waves: Waves, rows: Rows, drain: Drain, radio: type[Radio], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = waves.gateway()
    without(waves, gateway, drain, 2)
    with monkeypatch.context() as patch:
        patch.setattr(radio, "broken", Untranslatable("no such alphabet"))
        waves.part(gateway, 2, THREE)
        drain(gateway)
    assert sorted(row["state"] for row in rows(inbox)) == [State.DEAD, State.DONE, State.DONE]
    replay_of(gateway).apply_dead(10)
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == [WHOLE]


def test_a_draft_that_the_database_refuses_does_not_hold_up_the_others(
    waves: Waves, rows: Rows, drain: Drain, refuse: Refuse
) -> None:
    gateway = waves.gateway()
    for channel in ("other", "radio"):
        waves.part(gateway, 1, THREE, channel=channel)
    drain(gateway)
    waves.clock.advance(seconds=601)
    refuse("cases", "channel = 'other'")
    drain(gateway)
    assert [row["channel"] for row in rows(complaints)] == ["radio"]
    assert {row["channel"]: row["state"] for row in rows(inbox)} == {"other": State.DEAD, "radio": State.DONE}


def test_a_last_part_that_comes_while_its_draft_is_condemned_is_kept(
    waves: Waves, rows: Rows, drain: Drain, radio: type[Radio], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the failure and its being written down another worker completes the message."""
    gateway = waves.gateway()
    waves.part(gateway, 1, ["satu ", "dua"])
    drain(gateway)
    waves.clock.advance(seconds=601)
    begin, transactions = gateway.database.begin, []

    def begin_late() -> AbstractContextManager[Transaction]:
        transactions.append(1)
        if len(transactions) == 2:  # the first failed to join; the second writes that down
            monkeypatch.setattr(gateway.database, "begin", begin)
            monkeypatch.setattr(radio, "broken", None)
            waves.part(gateway, 2, ["satu ", "dua"])
            intake(gateway).run_once()
        return begin()

    monkeypatch.setattr(gateway.database, "begin", begin_late)
    monkeypatch.setattr(radio, "broken", Untranslatable("no such alphabet"))
    gather(gateway)
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == ["satu dua"]
    assert {row["state"] for row in rows(inbox)} == {State.DONE}


def test_parts_of_a_channel_that_is_gone_are_dead_and_replayed(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway()
    waves.part(gateway, 1, THREE)
    drain(gateway)
    waves.clock.advance(seconds=601)
    text = (waves.site.config / "regions" / "74.71-kendari.toml").read_text()
    (waves.site.config / "regions" / "74.71-kendari.toml").unlink()
    poorer = waves.site.gateway()
    drain(poorer)
    assert rows(inbox)[0]["reason"].startswith("its parts cannot be joined: channel_gone: ")
    (waves.site.config / "regions" / "74.71-kendari.toml").write_text(text)
    richer = waves.site.gateway()
    replay_of(richer).apply_dead(10)
    waves.part(richer, 2, THREE)
    waves.part(richer, 3, THREE)
    drain(richer)
    assert [row["description"] for row in rows(complaints)] == [WHOLE]
