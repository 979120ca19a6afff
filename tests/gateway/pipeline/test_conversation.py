"""A citizen writes more than once: what belongs together, what stands alone, and what commands do."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.central.tables import additions, complaints, history
from gateway.domain.complaint import Status
from gateway.domain.tickets import make_ticket
from gateway.pipeline.replay import Replay
from gateway.spool import Spool
from gateway.spool.tables import Kind, State, cases, consents, follow_ups, inbox, outbox, tickets
from gateway.storage.crypto import Keyring

CITIZEN, STRANGER = "+6281200000001", "+6281200000002"
WINDOW = 600
RULES = """
[[categories]]
code = "penerangan"
words = ["lampu"]

[[categories]]
code = "persampahan"
words = ["sampah"]
"""


@pytest.fixture
def talk(waves: Any, drain: Any) -> Any:
    """Return a function that lets a citizen say something to a gateway that talks, and all of it be worked on."""
    gateway = waves.gateway(window=WINDOW, extra=RULES)

    def say(text: str, **fields: Any) -> Any:
        waves.say(gateway, text, **fields)
        drain(gateway)
        return gateway

    say.gateway = gateway  # type: ignore[attr-defined]
    return say


def reasons(row: Any) -> Any:
    return json.loads(row["reasons"]).get("apart")


def ticket_of(rows: Any, index: int = -1) -> str:
    """Return the ticket of a complaint, by the order of delivery."""
    found: str = sorted(row["ticket"] for row in rows(complaints))[index]
    return found


def set_status(gateway: Any, status: Status) -> None:
    with gateway.central_database.begin() as connection:
        connection.execute(sa.update(complaints).values(status=status.value))


# --- what belongs together ---------------------------------------------------------------------------------------


def test_a_further_message_within_the_window_is_added_to_the_open_case(talk: Any, waves: Any, rows: Any) -> None:
    gateway = talk("Lampu jalan mati di Jl. Mawar")
    waves.clock.advance(seconds=60)
    talk("persis di depan masjid 🕌")
    (complaint,), (addition,) = rows(complaints), rows(additions)
    assert (addition["complaint_id"], addition["text"]) == (complaint["id"], "persis di depan masjid 🕌")
    assert addition["at"] == complaint["updated_at"] == waves.clock()
    line = rows(history)[-1]
    assert (line["actor"], line["from_status"], line["to_status"]) == ("reporter", "received", "received")
    assert line["why"] == "addition by the reporter: 60 s after the message before, and it reads like more"
    shown = gateway.central.by_ticket(complaint["ticket"])
    assert [one["text"] for one in shown["additions"]] == ["persis di depan masjid 🕌"]
    templates = gateway.settings.gateway.templates
    assert waves.answers()[1:] == [templates.added.format(ticket=complaint["ticket"])]


def test_a_picture_is_added_too(talk: Any, waves: Any, radio: Any, rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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
    waves: Any, rows: Any, drain: Any, clock: Any, handed: bool, batches: int
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


def test_an_addition_never_holds_up_the_delivery_that_it_waits_for(waves: Any, rows: Any, clock: Any) -> None:
    """Both are jobs of one lane: the delivery has to come first in it, or neither would ever be done."""
    gateway = waves.gateway(window=WINDOW, extra="[work]\nbatch = 2\n")
    waves.say(gateway, "Jalan berlubang")
    waves.say(gateway, "di depan pasar")
    gateway.stages["intake"].run_once()
    kinds = [row["kind"] for row in rows(outbox)]
    assert kinds == [Kind.DELIVER, Kind.ADD]
    claim = gateway.spool.outbox.claim(1, timedelta(seconds=30), kinds=[Kind.ADD])
    assert claim.rows == []


def test_the_window_slides_with_every_message(talk: Any, waves: Any, rows: Any) -> None:
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


def test_a_talk_that_never_ends_begins_a_new_case_after_a_day(talk: Any, waves: Any, rows: Any) -> None:
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
def test_another_sender_or_channel_never_joins(talk: Any, rows: Any, fields: dict[str, str]) -> None:
    talk("Jalan berlubang")
    talk("di depan pasar", **fields)
    assert len(rows(complaints)) == 2
    assert rows(additions) == []


def test_without_a_window_every_message_is_a_report(waves: Any, rows: Any, drain: Any) -> None:
    gateway = waves.gateway()
    waves.say(gateway, "Jalan berlubang")
    waves.say(gateway, "di depan pasar")
    drain(gateway)
    assert len(rows(complaints)) == 2


def test_a_message_that_is_far_older_than_the_last_case_does_not_join_it(
    waves: Any, rows: Any, drain: Any, radio: Any, monkeypatch: pytest.MonkeyPatch
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
    talk: Any, waves: Any, rows: Any
) -> None:
    gateway = talk("Jalan berlubang")
    other = Spool(gateway.database, Keyring([b"x" * 32], b"l" * 32), waves.clock)
    with gateway.database.begin() as connection:
        connection.execute(sa.update(cases).values(complaint=other.keyring.encrypt(b"{}", b"case")))
    talk("di depan pasar")
    assert [row["description"] for row in rows(complaints)] == ["Jalan berlubang", "di depan pasar"]


# --- once --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [True, False])
def test_a_message_that_came_twice_is_neither_doubled_nor_added_to_its_own_case(
    waves: Any, rows: Any, drain: Any, at_once: bool
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


def test_an_added_message_that_comes_again_much_later_opens_no_case(waves: Any, rows: Any, drain: Any) -> None:
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


def test_a_replay_of_added_messages_changes_nothing(talk: Any, waves: Any, rows: Any, drain: Any) -> None:
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


def test_a_batch_that_must_be_written_row_by_row_adds_once(waves: Any, rows: Any, drain: Any, refuse: Any) -> None:
    gateway = waves.gateway(window=WINDOW)
    waves.say(gateway, "Jalan berlubang")
    waves.say(gateway, "di depan pasar")
    waves.say(gateway, "lampu mati", channel="other", **{"from": STRANGER})
    refuse("cases", "channel = 'other'")
    drain(gateway)
    assert (len(rows(complaints)), len(rows(additions)), len(waves.answers())) == (1, 1, 2)


# --- what reads like a report of its own -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "description", "reason"),
    [
        ("Sampah menumpuk", "Sampah menumpuk", "another category than the report before: persampahan, word: sampah"),
        ("mau tanya jam buka", "mau tanya jam buka", "another class than the report before: word: mau tanya"),
        ("BARU di depan masjid", "di depan masjid", "a command word"),
        ("Baru: di depan masjid", "di depan masjid", "a command word"),
        ("RAHASIA di depan masjid", "di depan masjid", "a command word"),
        ("ANONIM di depan masjid", "di depan masjid", "ANONIM: always a report of its own"),
    ],
)
def test_what_reads_like_a_new_report_is_one_and_says_why(
    talk: Any, rows: Any, second: str, description: str, reason: str
) -> None:
    talk("Lampu jalan mati")
    talk(second)
    first, other = sorted(rows(complaints), key=lambda row: row["ticket"])
    assert (first["description"], other["description"]) == ("Lampu jalan mati", description)
    assert reasons(first) is None
    assert reasons(other).startswith(reason)
    assert rows(additions) == []


def test_another_regions_keyword_begins_a_report_of_its_own(site: Any, receive: Any, rows: Any, drain: Any) -> None:
    text = 'code = "74.71"\nname = "Kota Kendari"\nkeywords = ["KENDARI"]\n'
    gateway = site.gateway(window=WINDOW, regions={"74.71-kendari.toml": text})
    receive(gateway, "PRINGSEWU jalan berlubang", "SM1")
    receive(gateway, "dekat pasar", "SM2")
    receive(gateway, "KENDARI dekat pasar", "SM3")
    receive(gateway, "sebelah masjid", "SM4")
    drain(gateway)
    first, other = sorted(rows(complaints), key=lambda row: row["ticket"])
    assert (first["place_code"], other["place_code"]) == ("18.10", "74.71")
    assert {row["text"]: row["complaint_id"] for row in rows(additions)} == {
        "dekat pasar": first["id"],
        "sebelah masjid": other["id"],
    }, "each addition went to the case that was open then, all in one batch"


def test_the_same_category_or_none_reads_like_more(talk: Any, rows: Any) -> None:
    talk("Lampu jalan mati")
    talk("tolong jalan itu diperbaiki")
    talk("sudah lama")
    assert (len(rows(complaints)), len(rows(additions))) == (1, 2)


# --- anonymous, confidential -------------------------------------------------------------------------------------


def test_more_of_an_anonymous_report_shows_nobody(talk: Any, waves: Any, rows: Any) -> None:
    gateway = talk("ANONIM lampu kantor mati")
    talk("sejak kepala dinas diganti")
    (complaint,), (addition,) = rows(complaints), rows(additions)
    assert (complaint["reporter"], addition["complaint_id"]) == (None, complaint["id"])
    shown = json.dumps(gateway.central.by_ticket(complaint["ticket"]), default=str)
    for trace in (CITIZEN, CITIZEN[3:], "r1", "r2"):
        assert f'"{trace}"' not in shown
    assert CITIZEN[3:] not in shown
    assert len(waves.answers()) == 2


def test_no_complaint_tells_that_its_reporter_made_an_anonymous_one_just_before(talk: Any, rows: Any) -> None:
    talk("ANONIM lampu kantor mati")
    talk("Sampah menumpuk di rumah saya")
    named = next(row for row in rows(complaints) if not row["anonymous"])
    assert named["reporter"] is not None
    assert reasons(named) is None


def test_an_anonymous_report_does_not_tell_whether_its_sender_had_written_before(talk: Any, rows: Any) -> None:
    talk("Lampu jalan mati")
    talk("ANONIM sampah menumpuk")
    talk("ANONIM sampah menumpuk", **{"from": STRANGER})
    anonymous = [row for row in rows(complaints) if row["anonymous"]]
    assert len({row["reasons"] for row in anonymous}) == 1


def test_more_of_a_confidential_report_is_withheld_too(talk: Any, rows: Any) -> None:
    gateway = talk("RAHASIA lampu kantor mati")
    talk("kepala dinas yang mencuri")
    assert len(rows(additions)) == 1
    shown = json.dumps(gateway.central.by_ticket(ticket_of(rows)), default=str)
    assert "mencuri" not in shown
    assert '"text": "(rahasia)"' in shown


# --- BATAL -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["BATAL {}", "batal {}", " Batal   laporan {} ", "batalkan tiket no. {}", "BATAL{}!"])
def test_withdrawing_archives_at_the_centre_and_is_answered(talk: Any, waves: Any, rows: Any, form: str) -> None:
    gateway = talk("Lampu jalan mati")
    ticket = ticket_of(rows)
    talk(form.format(ticket))
    (complaint,) = rows(complaints)
    assert complaint["status"] == Status.ARCHIVED
    line = rows(history)[-1]
    assert (line["actor"], line["from_status"], line["to_status"]) == ("reporter", "received", "archived")
    assert line["why"] == "withdrawn by the reporter (BATAL)"
    assert waves.answers()[1:] == [gateway.settings.gateway.templates.withdrawn.format(ticket=ticket)]


def test_withdrawing_twice_is_told_twice_and_written_once(talk: Any, waves: Any, rows: Any) -> None:
    talk("Lampu jalan mati")
    for _ in range(2):
        talk(f"BATAL {ticket_of(rows)}")
    assert [line["to_status"] for line in rows(history)] == ["received", "archived"]
    assert len(set(waves.answers())) == 2
    assert len(waves.answers()) == 3


def test_a_strangers_ticket_reads_like_an_unknown_one(talk: Any, waves: Any, rows: Any) -> None:
    talk("Lampu jalan mati")
    ticket, unknown = ticket_of(rows), make_ticket(9_999_999)
    talk(f"BATAL {ticket}", **{"from": STRANGER})
    talk(f"BATAL {unknown}", **{"from": STRANGER})
    foreign, missing = waves.answers(STRANGER)
    assert foreign.replace(ticket, "#") == missing.replace(unknown, "#")
    assert rows(complaints)[0]["status"] == Status.RECEIVED
    assert rows(cases)[0]["withdrawn_at"] is None
    assert rows(outbox, outbox.c.kind == Kind.WITHDRAW.value) == [], "the centre is not even asked"


@pytest.mark.parametrize("status", [Status.RESOLVED, Status.CLOSED, Status.REJECTED])
def test_what_has_ended_is_not_withdrawn_but_its_status_told(talk: Any, waves: Any, rows: Any, status: Status) -> None:
    gateway = talk("Lampu jalan mati")
    set_status(gateway, status)
    talk(f"BATAL {ticket_of(rows)}")
    assert rows(complaints)[0]["status"] == status
    assert len(rows(history)) == 1
    words = gateway.settings.gateway.templates.status_words[status]
    assert f"{ticket_of(rows)}: {words}" in waves.answers()[-1]


def test_withdrawing_without_a_number_is_answered_with_an_example(talk: Any, waves: Any, rows: Any) -> None:
    gateway = talk("Lampu jalan mati")
    talk("batal")
    talk("BATAL 10000000")
    templates = gateway.settings.gateway.templates
    assert waves.answers()[1:] == [templates.status_format] * 2
    assert rows(complaints)[0]["status"] == Status.RECEIVED


@pytest.mark.parametrize("at_once", [True, False])
def test_nothing_is_added_to_what_was_withdrawn_but_what_came_before(
    waves: Any, rows: Any, drain: Any, at_once: bool
) -> None:
    """Also where it all comes in one batch: what is written to an archived complaint nobody reads."""
    gateway = waves.gateway(window=WINDOW)
    waves.say(gateway, "Lampu jalan mati")
    drain(gateway)
    for text in ("di depan masjid", f"BATAL {ticket_of(rows)}", "sampah menumpuk"):
        waves.say(gateway, text)
        if not at_once:
            drain(gateway)
    drain(gateway)
    assert {row["description"]: row["status"] for row in rows(complaints)} == {
        "Lampu jalan mati": "archived",
        "sampah menumpuk": "received",
    }
    assert [row["text"] for row in rows(additions)] == ["di depan masjid"]


def test_a_withdrawal_whose_answer_was_lost_is_told_all_the_same(
    talk: Any, waves: Any, rows: Any, drain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.domain.errors import Unavailable

    gateway = talk("Lampu jalan mati")
    real = gateway.central.withdraw

    def lost(*given: Any) -> Any:
        real(*given)
        raise Unavailable("the line broke")

    with monkeypatch.context() as patch:
        patch.setattr(gateway.central, "withdraw", lost)
        talk(f"BATAL {ticket_of(rows)}")
    waves.clock.advance(seconds=5)
    drain(gateway)
    assert [line["to_status"] for line in rows(history)] == ["received", "archived"]
    assert "batalkan" in waves.answers()[-1]
    assert len(waves.answers()) == 2


def test_before_the_delivery_there_is_no_ticket_to_withdraw(waves: Any, rows: Any) -> None:
    gateway = waves.gateway(window=WINDOW)
    waves.say(gateway, "Lampu jalan mati")
    waves.say(gateway, f"BATAL {make_ticket(1_000_000)}")
    gateway.stages["intake"].run_once()
    gateway.stages["acknowledge"].run_once()
    assert "tidak ditemukan" in waves.answers()[0]
    assert rows(cases)[0]["withdrawn_at"] is None


def test_what_was_purged_here_can_still_be_withdrawn(talk: Any, waves: Any, rows: Any) -> None:
    gateway = talk("Lampu jalan mati")
    gateway.spool.cases.purge(waves.clock() + timedelta(seconds=1), 10)
    talk(f"BATAL {ticket_of(rows)}")
    assert rows(complaints)[0]["status"] == Status.ARCHIVED


# --- SETUJU, STOP ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["STOP", "stop", " Stop! ", "berhenti."])
def test_after_stop_nothing_comes_unasked_and_answers_still_do(talk: Any, waves: Any, rows: Any, word: str) -> None:
    gateway = talk("Lampu jalan mati")
    templates, ticket = gateway.settings.gateway.templates, ticket_of(rows)
    talk(word)
    talk("di depan masjid")
    waves.clock.advance(seconds=WINDOW + 1)
    talk("Sampah menumpuk")
    assert waves.answers()[1:] == [templates.stopped]
    assert (len(rows(complaints)), len(rows(additions))) == (2, 1), "they are complaints all the same"
    talk("BANTUAN")
    talk(f"STATUS {ticket}")
    talk("STATUS 10000000")
    talk(f"BATAL {ticket}")
    told = waves.answers()[2:]
    assert [told[0], told[2]] == [templates.help, templates.status_format]
    assert told[1].startswith(f"Tiket {ticket}:")
    assert told[3] == templates.withdrawn.format(ticket=ticket)
    held = gateway.metrics.registry.get_sample_value(
        "lapor_replies_total", {"region": "74.71", "channel": "radio", "outcome": "suppressed"}
    )
    assert held == 2


@pytest.mark.parametrize("word", ["SETUJU", "setuju.", "Ya, setuju!", "YA  SETUJU"])
def test_consent_given_again_undoes_it(talk: Any, waves: Any, rows: Any, word: str) -> None:
    gateway = talk("stop")
    talk(word)
    assert waves.answers() == [gateway.settings.gateway.templates.stopped, gateway.settings.gateway.templates.agreed]
    talk("Lampu jalan mati")
    assert ticket_of(rows) in waves.answers()[-1]
    assert len(rows(consents)) == 1
    assert rows(consents)[0]["given"] in (True, 1)


def test_stop_counts_for_its_sender_and_channel_only(talk: Any, waves: Any) -> None:
    talk("STOP")
    talk("Lampu jalan mati", **{"from": STRANGER})
    talk("Lampu jalan mati", channel="other")
    assert len(waves.answers(STRANGER)) == 1
    assert len(waves.answers()) == 2


def test_who_said_stop_is_kept_as_a_hash_only(talk: Any, rows: Any) -> None:
    talk("STOP")
    assert CITIZEN[3:] not in str(rows(consents))


# --- no commands -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "batalkan kenaikan tarif",
        "Batal nikah karena KUA tutup",
        "baru saja terjadi banjir",
        "Baru-baru ini banjir melanda",
        "BARU SAJA TERJADI BANJIR",
        "BARU-BARU INI BANJIR MELANDA",
        "stop pungli di pasar",
        "STOP PUNGLI",
        "berhenti di lampu merah ditilang",
        "setuju dengan usul warga",
        "SETUJU PAK BUPATI",
        "LAPOR jalan rusak",
        "CEK 10000009",
        "UNREG",
        "ya",
        "status quo lahan sengketa",
        "ANONIMITAS pelapor dilanggar",
        "RAHASIAKAN nama saya",
    ],
)
def test_a_sentence_that_begins_like_a_command_is_a_complaint_with_its_text(talk: Any, rows: Any, text: str) -> None:
    talk(text)
    (complaint,) = rows(complaints)
    assert complaint["description"] == text
    assert rows(consents) == []


def test_numbers_of_the_tickets_are_what_the_citizen_is_told(talk: Any, waves: Any, rows: Any) -> None:
    talk("Lampu jalan mati")
    talk("BARU sampah menumpuk")
    assert {row["number"] for row in rows(tickets)} == {row["ticket"] for row in rows(complaints)}
    assert len(waves.answers()) == 2


# --- what it costs -----------------------------------------------------------------------------------------------


def statements(gateway: Any) -> list[str]:
    """Return what one batch of intake asks of the database."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        asked.append(statement)

    sa.event.listen(gateway.database.engine, "before_cursor_execute", note)
    gateway.stages["intake"].run_once()
    sa.event.remove(gateway.database.engine, "before_cursor_execute", note)
    return asked


def test_a_batch_of_strangers_costs_one_question_more_for_the_conversation(waves: Any) -> None:
    def ask(count: int, **files: Any) -> list[str]:
        gateway = waves.gateway(**files)
        waves.count = getattr(waves, "count", 0)
        for _ in range(count):
            waves.count += 1
            waves.say(gateway, f"lampu mati {waves.count}", **{"from": f"+62812{waves.count:08}"})
        return statements(gateway)

    few, many = ask(3, window=WINDOW), ask(40, window=WINDOW)
    assert len(few) == len(many)
    assert len(many) - len(ask(40)) == 1, "which case did each sender open last"
    assert sum("follow_up" in statement for statement in many) == 1, "was any of them added before"


def test_a_part_costs_a_few_statements_however_many_came_before(waves: Any) -> None:
    gateway = waves.gateway()
    costs = []
    for number in range(1, 8):
        waves.part(gateway, number, ["x"] * 9)
        costs.append(len(statements(gateway)))
    assert len(set(costs[1:])) == 1
