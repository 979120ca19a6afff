"""BATAL: a reporter withdraws a complaint."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.bootstrap import Gateway
from gateway.central.tables import additions, complaints, history
from gateway.domain.complaint import Status
from gateway.domain.tickets import make_ticket
from gateway.spool.tables import Kind, cases, outbox
from tests.gateway.fixture_types import Drain, Rows
from tests.gateway.pipeline.conversation.support import STRANGER, WINDOW, ticket_of
from tests.gateway.pipeline.waves import Waves


def set_status(gateway: Gateway, status: Status) -> None:
    with gateway.central_database.begin() as connection:
        connection.execute(sa.update(complaints).values(status=status.value))


@pytest.mark.parametrize("form", ["BATAL {}", "batal {}", " Batal   laporan {} ", "batalkan tiket no. {}", "BATAL{}!"])
def test_withdrawing_archives_at_the_centre_and_is_answered(talk: Any, waves: Waves, rows: Rows, form: str) -> None:
    gateway = talk("Lampu jalan mati")
    ticket = ticket_of(rows)
    talk(form.format(ticket))
    (complaint,) = rows(complaints)
    assert complaint["status"] == Status.ARCHIVED
    line = rows(history)[-1]
    assert (line["actor"], line["from_status"], line["to_status"]) == ("reporter", "received", "archived")
    assert line["why"] == "withdrawn by the reporter (BATAL)"
    assert waves.answers()[1:] == [gateway.settings.gateway.templates.withdrawn.format(ticket=ticket)]


def test_withdrawing_twice_is_told_twice_and_written_once(talk: Any, waves: Waves, rows: Rows) -> None:
    talk("Lampu jalan mati")
    for _ in range(2):
        talk(f"BATAL {ticket_of(rows)}")
    assert [line["to_status"] for line in rows(history)] == ["received", "archived"]
    assert len(set(waves.answers())) == 2
    assert len(waves.answers()) == 3


def test_a_strangers_ticket_reads_like_an_unknown_one(talk: Any, waves: Waves, rows: Rows) -> None:
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
def test_what_has_ended_is_not_withdrawn_but_its_status_told(
    talk: Any, waves: Waves, rows: Rows, status: Status
) -> None:
    gateway = talk("Lampu jalan mati")
    set_status(gateway, status)
    talk(f"BATAL {ticket_of(rows)}")
    assert rows(complaints)[0]["status"] == status
    assert len(rows(history)) == 1
    words = gateway.settings.gateway.templates.status_words[status]
    assert f"{ticket_of(rows)}: {words}" in waves.answers()[-1]


def test_withdrawing_without_a_number_is_answered_with_an_example(talk: Any, waves: Waves, rows: Rows) -> None:
    gateway = talk("Lampu jalan mati")
    talk("batal")
    talk("BATAL 10000000")
    templates = gateway.settings.gateway.templates
    assert waves.answers()[1:] == [templates.status_format] * 2
    assert rows(complaints)[0]["status"] == Status.RECEIVED


@pytest.mark.parametrize("at_once", [True, False])
def test_nothing_is_added_to_what_was_withdrawn_but_what_came_before(
    waves: Waves, rows: Rows, drain: Drain, at_once: bool
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
    talk: Any, waves: Waves, rows: Rows, drain: Drain, monkeypatch: pytest.MonkeyPatch
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


def test_before_the_delivery_there_is_no_ticket_to_withdraw(waves: Waves, rows: Rows) -> None:
    gateway = waves.gateway(window=WINDOW)
    waves.say(gateway, "Lampu jalan mati")
    waves.say(gateway, f"BATAL {make_ticket(1_000_000)}")
    gateway.stages["intake"].run_once()
    gateway.stages["acknowledge"].run_once()
    assert "tidak ditemukan" in waves.answers()[0]
    assert rows(cases)[0]["withdrawn_at"] is None


def test_what_was_purged_here_can_still_be_withdrawn(talk: Any, waves: Waves, rows: Rows) -> None:
    gateway = talk("Lampu jalan mati")
    gateway.spool.cases.purge(waves.clock() + timedelta(seconds=1), 10)
    talk(f"BATAL {ticket_of(rows)}")
    assert rows(complaints)[0]["status"] == Status.ARCHIVED
