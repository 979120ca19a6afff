"""Which messages begin a case of their own, and what an anonymous report shows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.central.tables import additions, complaints
from tests.gateway.fixture_types import Drain, Receive, Rows
from tests.gateway.pipeline.conversation.support import CITIZEN, STRANGER, WINDOW, reasons, ticket_of
from tests.gateway.pipeline.waves import Waves
from tests.gateway.site import Site


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
    talk: Any, rows: Rows, second: str, description: str, reason: str
) -> None:
    talk("Lampu jalan mati")
    talk(second)
    first, other = sorted(rows(complaints), key=lambda row: row["ticket"])
    assert (first["description"], other["description"]) == ("Lampu jalan mati", description)
    assert reasons(first) is None
    assert reasons(other).startswith(reason)
    assert rows(additions) == []


def test_another_regions_keyword_begins_a_report_of_its_own(
    site: Site, receive: Receive, rows: Rows, drain: Drain
) -> None:
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


def test_the_same_category_or_none_reads_like_more(talk: Any, rows: Rows) -> None:
    talk("Lampu jalan mati")
    talk("tolong jalan itu diperbaiki")
    talk("sudah lama")
    assert (len(rows(complaints)), len(rows(additions))) == (1, 2)


def test_more_of_an_anonymous_report_shows_nobody(talk: Any, waves: Waves, rows: Rows) -> None:
    gateway = talk("ANONIM lampu kantor mati")
    talk("sejak kepala dinas diganti")
    (complaint,), (addition,) = rows(complaints), rows(additions)
    assert (complaint["reporter"], addition["complaint_id"]) == (None, complaint["id"])
    shown = json.dumps(gateway.central.by_ticket(complaint["ticket"]), default=str)
    for trace in (CITIZEN, CITIZEN[3:], "r1", "r2"):
        assert f'"{trace}"' not in shown
    assert CITIZEN[3:] not in shown
    assert len(waves.answers()) == 2


def test_no_complaint_tells_that_its_reporter_made_an_anonymous_one_just_before(talk: Any, rows: Rows) -> None:
    talk("ANONIM lampu kantor mati")
    talk("Sampah menumpuk di rumah saya")
    named = next(row for row in rows(complaints) if not row["anonymous"])
    assert named["reporter"] is not None
    assert reasons(named) is None


def test_an_anonymous_report_does_not_tell_whether_its_sender_had_written_before(talk: Any, rows: Rows) -> None:
    talk("Lampu jalan mati")
    talk("ANONIM sampah menumpuk")
    talk("ANONIM sampah menumpuk", **{"from": STRANGER})
    anonymous = [row for row in rows(complaints) if row["anonymous"]]
    assert len({row["reasons"] for row in anonymous}) == 1


def test_more_of_a_confidential_report_is_withheld_too(talk: Any, rows: Rows) -> None:
    gateway = talk("RAHASIA lampu kantor mati")
    talk("kepala dinas yang mencuri")
    assert len(rows(additions)) == 1
    shown = json.dumps(gateway.central.by_ticket(ticket_of(rows)), default=str)
    assert "mencuri" not in shown
    assert '"text": "(rahasia)"' in shown
