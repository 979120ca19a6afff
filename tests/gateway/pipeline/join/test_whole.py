"""Parts that all come become one message."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from gateway.central.tables import complaints
from gateway.spool.tables import State, drafts, inbox, parts
from tests.gateway.fixture_types import Drain, Refuse, Rows
from tests.gateway.pipeline.join.support import STRANGER, THREE, WHOLE, intake
from tests.gateway.pipeline.waves import Waves

# Every part ends in the middle of an emoji's surrogate pair, or begins there.
JAVANESE = (
    "Nuwun sewu Pak Bupati 🙏 dalan wonten ngajeng pasar sampun risak nemen 😭 saben jawah kathah ingkang dhawah 🛵 "
    "lampunipun ugi pejah sampun tigang wulan 💡 warga sampun lapor dhateng kelurahan 🏢 nanging dereng wonten "
    "tindak lanjutipun 😞 matur nuwun sanget sadèrèngipun."
)


def seven_parts(text: str) -> list[bytes]:
    data = text.encode("utf-16-be")
    cuts = [position + 2 for position in range(0, len(data), 2) if 0xD8 <= data[position] <= 0xDB]
    return [data[start:end] for start, end in itertools.pairwise([0, *cuts, len(data)])]


@pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 3])), ids=lambda order: "".join(map(str, order)))
@pytest.mark.parametrize("at_once", [True, False], ids=["one batch", "one by one"])
def test_parts_become_one_complaint_in_any_order(
    waves: Waves, rows: Rows, drain: Drain, order: Sequence[int], at_once: bool
) -> None:
    gateway = waves.gateway()
    for number in order:
        waves.part(gateway, number, THREE)
        if not at_once:
            intake(gateway).run_once()
    drain(gateway)
    (complaint,) = rows(complaints)
    assert complaint["description"] == WHOLE
    assert complaint["received_at"] == waves.clock()
    assert len(waves.answers()) == 1
    assert rows(drafts)[0]["due_at"] is None
    assert {row["state"] for row in rows(inbox)} == {State.DONE}


def test_seven_parts_cut_inside_emoji_arrive_whole(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway()
    cut = seven_parts(JAVANESE)
    assert len(cut) == 7
    assert any("\ufffd" in part.decode("utf-16-be", "replace") for part in cut), "no part can be decoded alone"
    for number in (4, 1, 7, 2, 6, 3, 5):
        waves.part(gateway, number, cut)
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == [JAVANESE]


def test_two_senders_of_one_group_are_never_mixed(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway()
    other = ["Lampu jalan ", "mati di ", "Kendari"]
    for number in (1, 2, 3):
        waves.part(gateway, number, THREE)
        waves.part(gateway, number, other, **{"from": STRANGER})
    drain(gateway)
    assert {row["description"] for row in rows(complaints)} == {WHOLE, "".join(other)}
    assert len(waves.answers()) == 1
    assert len(waves.answers(STRANGER)) == 1


def test_another_channel_or_another_total_is_another_message(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway()
    waves.part(gateway, 1, ["satu ", "dua"])
    waves.part(gateway, 2, ["satu ", "dua"], channel="other")
    waves.part(gateway, 2, THREE)
    drain(gateway)
    assert rows(complaints) == []
    assert len(rows(drafts)) == 3


def test_a_redelivered_part_is_stored_once(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway()
    for number in (1, 1, 2, 2, 3, 3, 1):
        waves.part(gateway, number, THREE, id=f"p{number}")
    drain(gateway)
    waves.part(gateway, 2, THREE, id="p2")
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == [WHOLE]
    assert len(rows(inbox)) == len(rows(parts)) == 3


def test_a_number_that_is_there_already_begins_another_message(waves: Waves, rows: Rows, drain: Drain) -> None:
    """Phones count their messages in a byte, or not at all."""
    gateway = waves.gateway()
    second = ["Sampah menumpuk ", "di kali ", "belakang rumah"]
    for texts in (THREE, second):
        for number in (1, 2, 3):
            waves.part(gateway, number, texts)
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == [WHOLE, "".join(second)]


def test_a_message_of_one_part_waits_for_nothing(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway()
    waves.part(gateway, 1, ["Jalan rusak"])
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == ["Jalan rusak"]


@pytest.mark.parametrize(("number", "total"), [(0, 3), (4, 3), (1, 0), (1, 256), (999_999_999, 999_999_999)])
def test_an_impossible_number_is_a_dead_letter(waves: Waves, rows: Rows, drain: Drain, number: int, total: int) -> None:
    gateway = waves.gateway()
    waves.put(gateway, group="7", number=number, total=total, hex="0041")
    drain(gateway)
    (row,) = rows(inbox)
    assert row["state"] == State.DEAD
    assert row["reason"] == f"untranslatable: a part has an impossible number: {number} of {total}"


def test_a_command_in_parts_is_a_command(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway()
    waves.part(gateway, 2, ["BANT", "UAN"])
    waves.part(gateway, 1, ["BANT", "UAN"])
    drain(gateway)
    assert rows(complaints) == []
    assert waves.answers() == [gateway.settings.gateway.templates.help]


def test_a_batch_that_must_be_written_row_by_row_makes_one_complaint_of_the_parts(
    waves: Waves, rows: Rows, drain: Drain, refuse: Refuse
) -> None:
    """The first attempt at the batch joined the parts and was rolled back: nothing of it may remain."""
    gateway = waves.gateway()
    for number in (1, 2, 3):
        waves.part(gateway, number, THREE)
    waves.say(gateway, "lampu mati", channel="other", **{"from": STRANGER})
    refuse("cases", "channel = 'other'")
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == [WHOLE]
    assert len(waves.answers()) == 1
    assert sorted(row["state"] for row in rows(inbox)) == [State.DEAD, *[State.DONE] * 3]
