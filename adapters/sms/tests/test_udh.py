"""The user data header of parts of long messages, as networks send it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sms.udh import Concatenation, concatenation, split
from gateway.domain.errors import Untranslatable


@pytest.mark.parametrize(
    ("header", "place"),
    [
        ("0003a70201", Concatenation(0xA7, 8, 2, 1)),
        ("080412340703", Concatenation(0x1234, 16, 7, 3)),
        ("0504158a00000003a70202", Concatenation(0xA7, 8, 2, 2)),  # ports first, as some handsets send
        ("0504158a0000", None),
        ("", None),
        ("0003a70200", None),  # part 0
        ("0003a70203", None),  # beyond the total
        ("0003a70101", None),  # the only part
        ("0002a702", None),  # too short
        ("0008a7", None),  # cut off
    ],
)
def test_concatenation(header: str, place: Concatenation | None) -> None:
    assert concatenation(bytes.fromhex(header)) == place


def test_equal_references_of_different_width_are_different_messages() -> None:
    assert Concatenation(7, 8, 2, 1).group != Concatenation(7, 16, 2, 1).group


@pytest.mark.parametrize(
    ("data", "header"), [(bytes.fromhex("050003a70201") + b"halo", bytes.fromhex("0003a70201")), (b"\x00halo", b"")]
)
def test_header_and_content_are_split(data: bytes, header: bytes) -> None:
    assert split(data) == (header, b"halo")


@pytest.mark.parametrize("data", [b"", b"\x05", b"\x05\x00\x03\xa7\x02"])
def test_a_cut_header_is_untranslatable(data: bytes) -> None:
    with pytest.raises(Untranslatable):
        split(data)


@given(st.binary(max_size=40))
def test_any_bytes_give_a_possible_place_or_none(data: bytes) -> None:
    place = concatenation(data)
    if place is not None:
        assert place.number in range(1, place.total + 1)
