"""The responsible agency: the first rule that matches, from the place upwards; nothing falls on the floor."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pipeline.interpret.route import Router
from gateway.settings.files import RegionFile
from gateway.settings.rules import Route

DESK = "Meja Nasional SP4N-LAPOR!"


def region(code: str, *routes: Route, agency: str | None = None) -> RegionFile:
    return RegionFile(code=code, name=f"Daerah {code}", agency=agency, routes=list(routes))


ROUTER = Router(
    [
        region("18", Route(agency="Dishub Lampung", category="perhubungan"), agency="Pemprov Lampung"),
        region(
            "18.10",
            Route(agency="PUPR Pringsewu", category="pekerjaan-umum"),
            Route(agency="PDAM Pringsewu", words=["air mati", "pdam"]),
            Route(agency="PUPR kedua", category="pekerjaan-umum"),
            agency="Pemkab Pringsewu",
        ),
        region("74.71", Route(agency="Kecamatan Mandonga", region="74.71.01")),
    ],
    [Route(agency="PLN Lampung", region="18", category="energi"), Route(agency="PLN", category="energi")],
    DESK,
)


@pytest.mark.parametrize(
    ("place", "category", "text", "agency", "reason"),
    [
        ("18.10", "pekerjaan-umum", "", "PUPR Pringsewu", "18.10 route 1"),
        ("18.10", None, "sudah tiga hari air mati", "PDAM Pringsewu", "18.10 route 2"),
        ("18.10.01.2001", "pekerjaan-umum", "", "PUPR Pringsewu", "18.10 route 1"),
        ("18.10", "perhubungan", "", "Dishub Lampung", "18 route 1"),
        ("18.10", "energi", "", "PLN Lampung", "gateway route 1"),
        ("74.71", "energi", "", "PLN", "gateway route 2"),
        ("18.10", None, "apa saja", "Pemkab Pringsewu", "18.10 agency"),
        ("18.71", None, "apa saja", "Pemprov Lampung", "18 agency"),
        ("74.71", None, "apa saja", DESK, "national desk: no rule matched"),
        ("74.71.01", None, "apa saja", "Kecamatan Mandonga", "74.71 route 1"),
        ("181", None, "apa saja", DESK, "national desk: no rule matched"),
        (None, "pekerjaan-umum", "", DESK, "national desk: no rule matched"),
        ("00", None, "", DESK, "national desk: no rule matched"),
    ],
)
def test_the_first_rule_that_matches(place: Any, category: Any, text: str, agency: str, reason: str) -> None:
    found = ROUTER.agency(place, category, text.split())
    assert found.value == agency
    assert found.reason == reason


@given(st.none() | st.text(max_size=20), st.none() | st.text(max_size=20), st.lists(st.text(max_size=10), max_size=5))
def test_somebody_is_always_responsible(place: Any, category: Any, words: list[str]) -> None:
    found = ROUTER.agency(place, category, words)
    assert found.value
    assert found.reason
