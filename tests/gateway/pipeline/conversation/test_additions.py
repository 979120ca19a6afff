"""Which messages are added to an open case, and that each is added once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.central.tables import additions, complaints, history
from gateway.pipeline.replay import Replay
from gateway.spool import Spool
from gateway.spool.tables import Kind, State, cases, follow_ups, inbox, outbox
from gateway.storage.crypto import Keyring
from tests.gateway.fixture_types import Drain, Refuse, Rows
from tests.gateway.pipeline.conversation.support import CITIZEN, STRANGER, WINDOW, reasons
from tests.gateway.pipeline.waves import Radio, Waves
from tests.gateway.support import StillClock


def test_a_further_message_within_the_window_is_added_to_the_open_case(talk: Any, waves: Waves, rows: Rows) -> None:
    gateway = talk("Lampu jalan mati di Jl. Mawar")
    waves.clock.advance(seconds=60)
    talk("persis di depan masjid 🕌")
    (complaint,), (addition,) = rows(complaints), rows(additions)
    assert addition["complaint_id"] == complaint["id"]
    assert addition["text"] == "persis di depan masjid 🕌"
    assert addition["at"] == complaint["updated_at"] == waves.clock()
    line = rows(history)[-1]
    assert line["actor"] == "reporter"
    assert line["from_status"] == "received"
    assert line["to_status"] == "received"
    assert line["why"] == "addition by the reporter: 60 s after the message before, no sign of a new report"
    shown = gateway.central.by_ticket(complaint["ticket"])
    assert [one["text"] for one in shown["additions"]] == ["persis di depan masjid 🕌"]
    templates = gateway.settings.gateway.templates
    assert waves.answers()[1:] == [templates.added.format(ticket=complaint["ticket"])]


def test_a_picture_is_added_too(
    talk: Any, waves: Waves, radio: type[Radio], rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    import msgspec

    from gateway.domain.complaint import Attachment

    talk("Lampu jalan mati")
    real = radio.translate

    def with_picture(self: Any, raw: Any) -> Any:
        picture = Attachment(url="https://media.example/1")
        return [msgspec.structs.replace(event, attachments=(picture,)) for event in real(self, raw)]

    monkeypatch.setattr(radio, "translate", with_picture)
    talk("")
    (addition,) = rows(additions)
    assert json.loads(addition["attachments"])[0]["url"] == "https://media.example/1"


@pytest.mark.parametrize("handed", [True, False], ids=["handed over", "queued"])
@pytest.mark.parametrize("batches", [1, 2])
def test_an_addition_waits_for_the_delivery_and_is_answered_with_the_right_ticket(
    waves: Waves, rows: Rows, drain: Drain, clock: StillClock, handed: bool, batches: int
) -> None:
    gateway = waves.gateway(window=WINDOW)
    if handed:
        gateway.stages["deliver"].run_once()
    for text in ("Jalan berlubang", "di depan pasar", "sudah tiga bulan"):
        waves.say(gateway, text)
        if batches > 1:
            gateway.stages["intake"].run_once()
    gateway.stages["intake"].run_once()
    drain(gateway)
    clock.advance(seconds=5)
    drain(gateway)
    (complaint,) = rows(complaints)
    assert [row["text"] for row in sorted(rows(additions), key=lambda row: row["text"])] == [
        "di depan pasar",
        "sudah tiga bulan",
    ]
    assert len(waves.answers()) == 3
    assert all(complaint["ticket"] in answer for answer in waves.answers())
    assert "kami terima" in waves.answers()[0], "the ticket is told before anything is said to be added to it"
    assert {row["state"] for row in rows(outbox)} == {State.DONE}


def test_an_addition_never_holds_up_the_delivery_that_it_waits_for(waves: Waves, rows: Rows, clock: StillClock) -> None:
    """Both are jobs of one lane: the delivery has to come first in it, or neither would ever be done."""
    gateway = waves.gateway(window=WINDOW, extra="[work]\nbatch = 2\n")
    waves.say(gateway, "Jalan berlubang")
    waves.say(gateway, "di depan pasar")
    gateway.stages["intake"].run_once()
    kinds = [row["kind"] for row in rows(outbox)]
    assert kinds == [Kind.DELIVER, Kind.ADD]
    claim = gateway.spool.outbox.claim(1, timedelta(seconds=30), kinds=[Kind.ADD])
    assert claim.rows == []


def test_the_window_slides_with_every_message(talk: Any, waves: Waves, rows: Rows) -> None:
    talk("Jalan berlubang")
    for number in range(4):
        waves.clock.advance(seconds=WINDOW - 10)
        talk(f"tambahan {number}")
    assert len(rows(complaints)) == 1
    assert len(rows(additions)) == 4
    waves.clock.advance(seconds=WINDOW)
    talk("masih di dalam")
    assert len(rows(additions)) == 5, "the last second belongs to it"
    waves.clock.advance(seconds=WINDOW + 1)
    talk("laporan lain")
    assert [row["description"] for row in rows(complaints)] == ["Jalan berlubang", "laporan lain"]
    assert reasons(rows(complaints)[1]) is None, "after the window nothing needs a reason"


def test_a_talk_that_never_ends_begins_a_new_case_after_a_day(talk: Any, waves: Waves, rows: Rows) -> None:
    """Bounds what is looked through for a machine that writes every minute."""
    talk("Jalan berlubang")
    waves.clock.advance(hours=23)
    with talk.gateway.database.begin() as connection:
        connection.execute(sa.update(cases).values(heard_at=waves.clock()))
    talk("tambahan")
    assert len(rows(complaints)) == 1
    waves.clock.advance(hours=2)
    with talk.gateway.database.begin() as connection:
        connection.execute(sa.update(cases).values(heard_at=waves.clock()))
    talk("laporan lain")
    assert len(rows(complaints)) == 2


@pytest.mark.parametrize("fields", [{"from": STRANGER}, {"channel": "other"}], ids=["sender", "channel"])
def test_another_sender_or_channel_never_joins(talk: Any, rows: Rows, fields: dict[str, str]) -> None:
    talk("Jalan berlubang")
    talk("di depan pasar", **fields)
    assert len(rows(complaints)) == 2
    assert rows(additions) == []


def test_without_a_window_every_message_is_a_report(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway()
    waves.say(gateway, "Jalan berlubang")
    waves.say(gateway, "di depan pasar")
    drain(gateway)
    assert len(rows(complaints)) == 2


def test_a_message_that_is_far_older_than_the_last_case_does_not_join_it(
    waves: Waves, rows: Rows, drain: Drain, radio: type[Radio], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead letter of last week, replayed while its sender talks about something else."""
    gateway = waves.gateway(window=WINDOW)
    with monkeypatch.context() as patch:
        patch.setattr(radio, "translate", lambda self, raw: raw.json().need("missing"))
        waves.say(gateway, "Jembatan roboh")
        drain(gateway)
    waves.clock.advance(days=7)
    waves.say(gateway, "Jalan berlubang")
    drain(gateway)
    Replay(gateway.spool, gateway.channels, gateway.composer, gateway.joining, gateway.casework).apply_dead(10)
    drain(gateway)
    assert {row["description"] for row in rows(complaints)} == {"Jalan berlubang", "Jembatan roboh"}


def test_an_earlier_case_that_cannot_be_read_does_not_take_the_new_one_with_it(
    talk: Any, waves: Waves, rows: Rows
) -> None:
    gateway = talk("Jalan berlubang")
    other = Spool(gateway.database, Keyring([b"x" * 32], b"l" * 32), waves.clock)
    with gateway.database.begin() as connection:
        connection.execute(sa.update(cases).values(complaint=other.keyring.encrypt(b"{}", b"case")))
    talk("di depan pasar")
    assert [row["description"] for row in rows(complaints)] == ["Jalan berlubang", "di depan pasar"]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_message_that_came_twice_is_neither_doubled_nor_added_to_its_own_case(
    waves: Waves, rows: Rows, drain: Drain, at_once: bool
) -> None:
    """By webhook and by poll, under two keys of the front door: `lane` stands for what tells them apart."""
    gateway = waves.gateway(window=WINDOW)
    real = gateway.channels["74.71", "radio"].adapter.verify

    def put(text: str, identifier: str) -> None:
        for copy in ("webhook", "poll"):
            adapter = gateway.channels["74.71", "radio"].adapter
            adapter.verify = lambda request, copy=copy: type(real(request))(f"{copy} {identifier}", CITIZEN)
            waves.say(gateway, text, id=identifier)
            if not at_once:
                drain(gateway)

    put("Jalan berlubang", "m1")
    put("di depan pasar", "m2")
    drain(gateway)
    assert len(rows(inbox)) == 4
    assert [row["description"] for row in rows(complaints)] == ["Jalan berlubang"]
    assert [row["text"] for row in rows(additions)] == ["di depan pasar"]
    assert len(rows(follow_ups)) == 1
    assert len(waves.answers()) == 2


def test_an_added_message_that_comes_again_much_later_opens_no_case(waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = waves.gateway(window=WINDOW)
    waves.say(gateway, "Jalan berlubang", id="m1")
    waves.say(gateway, "di depan pasar", id="m2")
    drain(gateway)
    waves.clock.advance(days=31)
    gateway.jobs.purge()
    gateway.jobs.purge()
    assert rows(inbox) == []
    quiet = waves.site.gateway(window=0, regions=None)
    for identifier in ("m1", "m2"):
        waves.say(quiet, "Jalan berlubang", id=identifier)
    drain(quiet)
    assert len(rows(complaints)) == len(rows(additions)) == len(rows(cases)) == 1


def test_a_replay_of_added_messages_changes_nothing(talk: Any, waves: Waves, rows: Rows, drain: Drain) -> None:
    gateway = talk("Lampu jalan mati")
    talk("di depan masjid")
    before = [rows(table) for table in (complaints, additions, history, follow_ups, cases, outbox)]
    again = Replay(gateway.spool, gateway.channels, gateway.composer, gateway.joining, gateway.casework)
    start, end = waves.clock() - timedelta(hours=1), waves.clock() + timedelta(hours=1)
    assert [change.action for change in again.between(start, end)] == ["none", "none"]
    assert again.apply_between(start, end) == {"none": 2}
    with gateway.database.begin() as connection:
        gateway.spool.inbox.reopen(connection, [row["id"] for row in rows(inbox)])
    drain(gateway)
    assert [rows(table) for table in (complaints, additions, history, follow_ups, cases, outbox)] == before


def test_a_batch_that_must_be_written_row_by_row_adds_once(
    waves: Waves, rows: Rows, drain: Drain, refuse: Refuse
) -> None:
    gateway = waves.gateway(window=WINDOW)
    waves.say(gateway, "Jalan berlubang")
    waves.say(gateway, "di depan pasar")
    waves.say(gateway, "lampu mati", channel="other", **{"from": STRANGER})
    refuse("cases", "channel = 'other'")
    drain(gateway)
    assert len(rows(complaints)) == 1
    assert len(rows(additions)) == 1
    assert len(waves.answers()) == 2
