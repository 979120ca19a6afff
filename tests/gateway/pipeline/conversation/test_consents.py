"""SETUJU and STOP, texts that are no commands, and what a conversation costs."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from gateway.bootstrap import Gateway
from gateway.central.tables import additions, complaints
from gateway.spool.tables import consents, tickets
from tests.gateway.fixture_types import Rows
from tests.gateway.pipeline.conversation.support import CITIZEN, STRANGER, WINDOW, ticket_of
from tests.gateway.pipeline.waves import Waves


@pytest.mark.parametrize("word", ["STOP", "stop", " Stop! ", "berhenti."])
def test_after_stop_nothing_comes_unasked_and_answers_still_do(talk: Any, waves: Waves, rows: Rows, word: str) -> None:
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
def test_consent_given_again_undoes_it(talk: Any, waves: Waves, rows: Rows, word: str) -> None:
    gateway = talk("stop")
    talk(word)
    assert waves.answers() == [gateway.settings.gateway.templates.stopped, gateway.settings.gateway.templates.agreed]
    talk("Lampu jalan mati")
    assert ticket_of(rows) in waves.answers()[-1]
    assert len(rows(consents)) == 1
    assert rows(consents)[0]["given"] in (True, 1)


def test_stop_counts_for_its_sender_and_channel_only(talk: Any, waves: Waves) -> None:
    talk("STOP")
    talk("Lampu jalan mati", **{"from": STRANGER})
    talk("Lampu jalan mati", channel="other")
    assert len(waves.answers(STRANGER)) == 1
    assert len(waves.answers()) == 2


def test_who_said_stop_is_kept_as_a_hash_only(talk: Any, rows: Rows) -> None:
    talk("STOP")
    assert CITIZEN[3:] not in str(rows(consents))


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
def test_a_sentence_that_begins_like_a_command_is_a_complaint_with_its_text(talk: Any, rows: Rows, text: str) -> None:
    talk(text)
    (complaint,) = rows(complaints)
    assert complaint["description"] == text
    assert rows(consents) == []


def test_numbers_of_the_tickets_are_what_the_citizen_is_told(talk: Any, waves: Waves, rows: Rows) -> None:
    talk("Lampu jalan mati")
    talk("BARU sampah menumpuk")
    assert {row["number"] for row in rows(tickets)} == {row["ticket"] for row in rows(complaints)}
    assert len(waves.answers()) == 2


def statements(gateway: Gateway) -> list[str]:
    """Return what one batch of intake asks of the database."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        asked.append(statement)

    sa.event.listen(gateway.database.engine, "before_cursor_execute", note)
    gateway.stages["intake"].run_once()
    sa.event.remove(gateway.database.engine, "before_cursor_execute", note)
    return asked


def test_a_batch_of_strangers_costs_one_question_more_for_the_conversation(waves: Waves) -> None:
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


def test_a_part_costs_a_few_statements_however_many_came_before(waves: Waves) -> None:
    gateway = waves.gateway()
    costs = []
    for number in range(1, 8):
        waves.part(gateway, number, ["x"] * 9)
        costs.append(len(statements(gateway)))
    assert len(set(costs[1:])) == 1
