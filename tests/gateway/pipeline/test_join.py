"""Messages in parts: whole whatever the order, flagged where a part never came, mended where it came late."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.bootstrap import Gateway
from gateway.central.tables import additions, complaints, history
from gateway.domain.errors import Unavailable, Untranslatable
from gateway.domain.events import MessagePart
from gateway.pipeline.replay import Replay
from gateway.spool.tables import Kind, State, cases, drafts, follow_ups, inbox, outbox, parts, tickets

CITIZEN, STRANGER = "+6281200000001", "+6281200000002"
THREE = ["Jalan di depan pasar ", "Pringsewu berlubang ", "sejak tiga bulan"]
WHOLE = "".join(THREE)
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


def intake(gateway: Gateway) -> Any:
    return gateway.stages["intake"]


def gather(gateway: Gateway) -> int:
    return gateway.stages["gather"].run_once()


def replay_of(gateway: Gateway) -> Replay:
    return Replay(gateway.spool, gateway.channels, gateway.composer, gateway.joining, gateway.casework)


def jobs(rows: Any, kind: Kind) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rows(outbox, outbox.c.kind == kind.value)
    return found


# --- whole -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 3])), ids=lambda order: "".join(map(str, order)))
@pytest.mark.parametrize("at_once", [True, False], ids=["one batch", "one by one"])
def test_parts_become_one_complaint_in_any_order(
    waves: Any, rows: Any, drain: Any, order: Sequence[int], at_once: bool
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
    assert (len(waves.answers()), rows(drafts)[0]["due_at"]) == (1, None)
    assert {row["state"] for row in rows(inbox)} == {State.DONE}


def test_seven_parts_cut_inside_emoji_arrive_whole(waves: Any, rows: Any, drain: Any) -> None:
    gateway = waves.gateway()
    cut = seven_parts(JAVANESE)
    assert len(cut) == 7
    assert any("\ufffd" in part.decode("utf-16-be", "replace") for part in cut), "no part can be decoded alone"
    for number in (4, 1, 7, 2, 6, 3, 5):
        waves.part(gateway, number, cut)
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == [JAVANESE]


def test_two_senders_of_one_group_are_never_mixed(waves: Any, rows: Any, drain: Any) -> None:
    gateway = waves.gateway()
    other = ["Lampu jalan ", "mati di ", "Kendari"]
    for number in (1, 2, 3):
        waves.part(gateway, number, THREE)
        waves.part(gateway, number, other, **{"from": STRANGER})
    drain(gateway)
    assert {row["description"] for row in rows(complaints)} == {WHOLE, "".join(other)}
    assert (len(waves.answers()), len(waves.answers(STRANGER))) == (1, 1)


def test_another_channel_or_another_total_is_another_message(waves: Any, rows: Any, drain: Any) -> None:
    gateway = waves.gateway()
    waves.part(gateway, 1, ["satu ", "dua"])
    waves.part(gateway, 2, ["satu ", "dua"], channel="other")
    waves.part(gateway, 2, THREE)
    drain(gateway)
    assert rows(complaints) == []
    assert len(rows(drafts)) == 3


def test_a_redelivered_part_is_stored_once(waves: Any, rows: Any, drain: Any) -> None:
    gateway = waves.gateway()
    for number in (1, 1, 2, 2, 3, 3, 1):
        waves.part(gateway, number, THREE, id=f"p{number}")
    drain(gateway)
    waves.part(gateway, 2, THREE, id="p2")
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == [WHOLE]
    assert len(rows(inbox)) == len(rows(parts)) == 3


def test_a_number_that_is_there_already_begins_another_message(waves: Any, rows: Any, drain: Any) -> None:
    """Phones count their messages in a byte, or not at all."""
    gateway = waves.gateway()
    second = ["Sampah menumpuk ", "di kali ", "belakang rumah"]
    for texts in (THREE, second):
        for number in (1, 2, 3):
            waves.part(gateway, number, texts)
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == [WHOLE, "".join(second)]


def test_a_message_of_one_part_waits_for_nothing(waves: Any, rows: Any, drain: Any) -> None:
    gateway = waves.gateway()
    waves.part(gateway, 1, ["Jalan rusak"])
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == ["Jalan rusak"]


@pytest.mark.parametrize(("number", "total"), [(0, 3), (4, 3), (1, 0), (1, 256), (999_999_999, 999_999_999)])
def test_an_impossible_number_is_a_dead_letter(waves: Any, rows: Any, drain: Any, number: int, total: int) -> None:
    gateway = waves.gateway()
    waves.put(gateway, group="7", number=number, total=total, hex="0041")
    drain(gateway)
    (row,) = rows(inbox)
    assert (row["state"], row["reason"]) == (State.DEAD, f"untranslatable: part {number} of {total}")


def test_a_command_in_parts_is_a_command(waves: Any, rows: Any, drain: Any) -> None:
    gateway = waves.gateway()
    waves.part(gateway, 2, ["BANT", "UAN"])
    waves.part(gateway, 1, ["BANT", "UAN"])
    drain(gateway)
    assert rows(complaints) == []
    assert waves.answers() == [gateway.settings.gateway.templates.help]


def test_a_batch_that_must_be_written_row_by_row_makes_one_complaint_of_the_parts(
    waves: Any, rows: Any, drain: Any, refuse: Any
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


# --- a part is missing -------------------------------------------------------------------------------------------


def without(waves: Any, gateway: Any, drain: Any, missing: int, texts: Sequence[str] = THREE) -> None:
    """Let all parts but one come, and the time be over."""
    for number in range(1, len(texts) + 1):
        if number != missing:
            waves.part(gateway, number, texts)
    drain(gateway)
    waves.clock.advance(seconds=601)
    drain(gateway)


def test_a_missing_part_is_waited_for_as_long_as_configured_and_then_told(waves: Any, rows: Any, drain: Any) -> None:
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


def test_parts_wait_is_obeyed(waves: Any, rows: Any, drain: Any) -> None:
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
def test_a_late_part_completes_the_complaint_at_the_centre(waves: Any, rows: Any, drain: Any, missing: int) -> None:
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


def test_two_late_parts_complete_it_one_after_the_other(waves: Any, rows: Any, drain: Any) -> None:
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
    waves: Any, rows: Any, drain: Any
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


def test_after_a_day_a_part_is_no_late_one_any_more(waves: Any, rows: Any, drain: Any) -> None:
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


def test_a_part_that_comes_after_all_was_joined_begins_another_message(waves: Any, rows: Any, drain: Any) -> None:
    gateway = waves.gateway()
    for number in (1, 2, 3, 2):
        waves.part(gateway, number, THREE)
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == [WHOLE]
    waves.clock.advance(seconds=601)
    drain(gateway)
    assert len(rows(complaints)) == 2, "it is told, never swallowed"


def test_a_late_part_of_an_addition_completes_the_addition(waves: Any, rows: Any, drain: Any) -> None:
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


def test_a_late_part_of_what_was_purged_here_is_added_at_the_centre(waves: Any, rows: Any, drain: Any) -> None:
    gateway = waves.gateway()
    without(waves, gateway, drain, 3)
    gateway.spool.cases.purge(waves.clock() + timedelta(seconds=1), 10)
    waves.part(gateway, 3, THREE)
    drain(gateway)
    (addition,) = rows(additions)
    assert addition["text"] == WHOLE
    assert len(rows(complaints)) == 1


# --- what the missing beginning may have said --------------------------------------------------------------------

SECRET = ["ANONIM RAHASIA guru ", "di SD Kendari ", "minta pungli"]


def test_without_its_beginning_a_message_is_treated_as_anonymous_and_confidential(
    waves: Any, rows: Any, drain: Any
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


def test_a_late_beginning_that_asks_for_no_secrecy_ends_it(waves: Any, rows: Any, drain: Any) -> None:
    gateway = waves.gateway()
    without(waves, gateway, drain, 1)
    assert rows(complaints)[0]["reporter"] is None
    waves.part(gateway, 1, THREE)
    drain(gateway)
    (row,) = rows(complaints)
    assert (row["anonymous"], row["confidential"], row["description"]) == (False, False, WHOLE)
    assert gateway.central.reporter(row["reporter"]).phone == CITIZEN
    assert "first part" not in row["reasons"]


def test_without_its_beginning_a_message_joins_no_other(waves: Any, rows: Any, drain: Any) -> None:
    gateway = waves.gateway(window=3600)
    waves.say(gateway, "Jalan berlubang di Kendari")
    drain(gateway)
    without(waves, gateway, drain, 1)
    assert len(rows(complaints)) == 2
    assert rows(additions) == []


def test_what_looks_like_a_command_word_in_the_middle_of_a_message_stays(waves: Any, rows: Any, drain: Any) -> None:
    gateway = waves.gateway()
    without(waves, gateway, drain, 1, ["Guru kelas ", "baru: minta pungli"])
    assert rows(complaints)[0]["description"].startswith("baru: minta pungli")


# --- several workers, crashes ------------------------------------------------------------------------------------


def test_a_crash_between_two_parts_loses_nothing(waves: Any, rows: Any, drain: Any) -> None:
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
    waves: Any, rows: Any, drain: Any
) -> None:
    """Every part has a lane of its own here: nothing but the draft keeps the workers apart."""
    gateways = [waves.gateway(extra="[work]\nbatch = 3\n"), waves.site.gateway()]
    for message in range(12):
        texts = [f"pesan {message}: ", "satu, ", "dua, ", "tiga"]
        for number in (3, 1, 4, 2):
            waves.part(gateways[0], number, texts, group=str(message), lane=f"{message}/{number}")
    start, failures = threading.Barrier(2), []

    def work(gateway: Any) -> None:
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
def test_the_second_worker_waits_until_the_first_has_put_its_part_there(waves: Any, rows: Any) -> None:
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
def test_a_database_that_is_away_while_gathering_loses_nothing(waves: Any, rows: Any, drain: Any) -> None:
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
    waves: Any, rows: Any, drain: Any, open_: bool
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


# --- what cannot be joined ---------------------------------------------------------------------------------------

FAILURES = [Untranslatable("no such alphabet"), ZeroDivisionError("Jalan rahasia")]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_what_does_not_join_in_time_is_dead_and_joins_when_replayed_after_a_fix(
    waves: Any, rows: Any, drain: Any, radio: Any, logs: Any, monkeypatch: pytest.MonkeyPatch, failure: Exception
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
    assert {row["reason"].split(":")[0] for row in rows(inbox)} == {"its parts do not join"}
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
    waves: Any, rows: Any, drain: Any, radio: Any, monkeypatch: pytest.MonkeyPatch, failure: Exception
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
    waves: Any, rows: Any, drain: Any, radio: Any, monkeypatch: pytest.MonkeyPatch
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
    waves: Any, rows: Any, drain: Any, radio: Any, monkeypatch: pytest.MonkeyPatch
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
    waves: Any, rows: Any, drain: Any, refuse: Any
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
    waves: Any, rows: Any, drain: Any, radio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the failure and its being written down another worker completes the message."""
    gateway = waves.gateway()
    waves.part(gateway, 1, ["satu ", "dua"])
    drain(gateway)
    waves.clock.advance(seconds=601)
    stage = gateway.stages["gather"]
    real = stage._condemn

    def condemn_later(draft: Any, error: Exception) -> None:
        monkeypatch.setattr(radio, "broken", None)
        waves.part(gateway, 2, ["satu ", "dua"])
        intake(gateway).run_once()
        real(draft, error)

    monkeypatch.setattr(stage, "_condemn", condemn_later)
    monkeypatch.setattr(radio, "broken", Untranslatable("no such alphabet"))
    gather(gateway)
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == ["satu dua"]
    assert {row["state"] for row in rows(inbox)} == {State.DONE}


def test_parts_of_a_channel_that_is_gone_are_dead_and_replayed(waves: Any, rows: Any, drain: Any) -> None:
    gateway = waves.gateway()
    waves.part(gateway, 1, THREE)
    drain(gateway)
    waves.clock.advance(seconds=601)
    text = (waves.site.config / "regions" / "74.71-kendari.toml").read_text()
    (waves.site.config / "regions" / "74.71-kendari.toml").unlink()
    poorer = waves.site.gateway()
    drain(poorer)
    assert rows(inbox)[0]["reason"].startswith("its parts do not join: channel_gone: ")
    (waves.site.config / "regions" / "74.71-kendari.toml").write_text(text)
    richer = waves.site.gateway()
    replay_of(richer).apply_dead(10)
    waves.part(richer, 2, THREE)
    waves.part(richer, 3, THREE)
    drain(richer)
    assert [row["description"] for row in rows(complaints)] == [WHOLE]


# --- replay, purge -----------------------------------------------------------------------------------------------


def day(clock: Any) -> tuple[Any, Any]:
    return clock() - timedelta(hours=3), clock() + timedelta(hours=3)


def test_a_replay_reads_a_message_once_however_many_parts_it_had(waves: Any, rows: Any, drain: Any) -> None:
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


def test_a_replay_leaves_alone_what_still_waits_for_its_parts(waves: Any, rows: Any, drain: Any) -> None:
    gateway = waves.gateway()
    waves.part(gateway, 1, THREE)
    drain(gateway)
    assert replay_of(gateway).apply_between(*day(waves.clock)) == {"none": 1}
    waves.part(gateway, 2, THREE)
    waves.part(gateway, 3, THREE)
    drain(gateway)
    assert [row["description"] for row in rows(complaints)] == [WHOLE]


def test_a_message_joined_as_a_command_opens_its_case_where_it_reads_as_a_report_now(
    waves: Any, rows: Any, drain: Any, monkeypatch: pytest.MonkeyPatch
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


def test_parts_read_again_change_nothing(waves: Any, rows: Any, drain: Any) -> None:
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


def test_the_purge_forgets_joined_messages_and_keeps_what_waits(waves: Any, rows: Any, drain: Any) -> None:
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


def test_a_late_part_of_a_message_whose_parts_were_purged_is_told_by_itself(waves: Any, rows: Any, drain: Any) -> None:
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
    waves: Any, rows: Any, drain: Any, monkeypatch: pytest.MonkeyPatch, radio: Any
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
