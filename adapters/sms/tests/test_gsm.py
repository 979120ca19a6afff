"""Counting and folding SMS texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sms import gsm


# The basic table has 128 positions, and one of them is the escape itself.
@pytest.mark.parametrize(("table", "size"), [(gsm.BASIC, 127), (gsm.EXTENSION, 10)], ids=["basic", "extension"])
def test_table_sizes(table: str, size: int) -> None:
    assert (len(table), len(set(table))) == (size, size)


def test_no_character_is_in_both_tables() -> None:
    assert set(gsm.BASIC) & set(gsm.EXTENSION) == set()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 0),
        ("a", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),  # two septets each
        ("€" * 81, 2),
        ("€" * 152, 2),  # 76 in a part: 153 is odd, and a pair is never split
        ("€" * 153, 3),
        ("a" * 152 + "€" + "a" * 152, 3),  # the pair would straddle: the first part stays one short
        ("é" * 160, 1),
        ("á" * 70, 1),  # not in the table: UCS-2
        ("á" * 71, 2),
        ("á" * 134, 2),
        ("á" * 135, 3),
        ("😭" * 35, 1),
        ("😭" * 36, 2),
        ("😭" * 66, 2),  # 33 in a part: 67 is odd
        ("😭" * 67, 3),
        ("á" * 66 + "😭" + "á" * 65, 2),
        ("á" * 66 + "😭" + "á" * 66, 3),
    ],
)
def test_parts(text: str, parts: int) -> None:
    assert gsm.parts(text) == parts


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("“Laporan” – ‘diterima’…", "\"Laporan\" - 'diterima'..."),
        ("a\u00a0b\u200bc\u00add", "a bcd"),
        ("cafe\u0301", "café"),  # e and a combining accent are one letter of the table
        ("10 × 20 • 5′", "10 x 20 - 5'"),
        ("“halo” 😭", "“halo” 😭"),  # UCS-2 anyway: folding would lose something for nothing
        ("jalan {rusak} €5", "jalan {rusak} €5"),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert gsm.to_gsm7(text) == folded


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    folded = gsm.to_gsm7(text)
    assert gsm.to_gsm7(folded) == folded


@given(st.text())
def test_folding_makes_a_text_fit_or_leaves_it(text: str) -> None:
    folded = gsm.to_gsm7(text)
    assert folded == text or gsm.fits_gsm7(folded)


@given(st.text().filter(lambda text: "…" not in text))  # this one sign becomes three
def test_folding_costs_no_part(text: str) -> None:
    assert gsm.parts(gsm.to_gsm7(text)) <= max(gsm.parts(text), 1)


@given(st.text(max_size=400))
def test_parts_are_enough_and_not_too_many(text: str) -> None:
    if gsm.fits_gsm7(text):
        units, part, single = sum(2 if char in gsm.EXTENSION else 1 for char in text), 153, 160
    else:
        units, part, single = len(text.encode("utf-16-le", "surrogatepass")) // 2, 67, 70
    counted = gsm.parts(text)
    if units <= single:
        assert counted == (1 if text else 0)
    else:
        assert -(-units // part) <= counted <= -(-units // (part - 1))


def test_decoding_covers_the_basic_table() -> None:
    octets = bytes(number for number in range(128) if number != 0x1B)
    assert gsm.decode(octets) == gsm.BASIC


def test_decoding_covers_the_extension() -> None:
    octets = b"\x1b\x0a\x1b\x14\x1b\x28\x1b\x29\x1b\x2f\x1b\x3c\x1b\x3d\x1b\x3e\x1b\x40\x1b\x65"
    assert gsm.decode(octets) == gsm.EXTENSION


@pytest.mark.parametrize(
    ("octets", "text"), [(b"", ""), (b"a\x1b", "a "), (b"\x1ba", "a"), (b"\x1b\x1bb", " b"), (b"\x00\x02\x11", "@$_")]
)
def test_decoding_at_the_edges(octets: bytes, text: str) -> None:
    assert gsm.decode(octets) == text


def test_a_code_beyond_seven_bits_is_marked() -> None:
    assert gsm.decode(b"caf\xe9") == "caf\ufffd"
