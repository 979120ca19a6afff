"""Joining the parts of a long message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest

from adapters.sms.joining import GAP, join
from gateway.domain.errors import Untranslatable


class Piece(NamedTuple):
    """A part of a message: its codec and its octets."""

    codec: str
    octets: bytes


def decode(run: Sequence[Piece]) -> str:
    return b"".join(piece.octets for piece in run).decode(run[0].codec)


def joined(*pieces: Piece | None) -> str:
    return join(pieces, alphabet=lambda piece: piece.codec, decode=decode)


def test_parts_come_in_their_order() -> None:
    assert joined(Piece("ascii", b"Jalan "), Piece("ascii", b"rusak")) == "Jalan rusak"


def test_a_character_that_was_cut_is_whole_again() -> None:
    octets = "a😭b".encode("utf-16-be")
    assert joined(Piece("utf-16-be", octets[:4]), Piece("utf-16-be", octets[4:])) == "a😭b"


def test_each_run_of_one_alphabet_is_decoded_once() -> None:
    runs: list[int] = []

    def count(run: Sequence[Piece]) -> str:
        runs.append(len(run))
        return ""

    pieces = [Piece(codec, b"x") for codec in ("ascii", "ascii", "latin-1", "ascii")]
    join(pieces, alphabet=lambda piece: piece.codec, decode=count)
    assert runs == [2, 1, 1]


def test_two_alphabets_are_decoded_apart() -> None:
    assert joined(Piece("latin-1", b"caf\xe9 "), Piece("utf-8", b"caf\xc3\xa9")) == "café café"


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([None, Piece("ascii", b"b")], f"{GAP}b"),
        ([Piece("ascii", b"a"), None], f"a{GAP}"),
        ([Piece("ascii", b"a"), None, None, Piece("ascii", b"d")], f"a{GAP}d"),
        ([None, Piece("ascii", b"b"), None], f"{GAP}b{GAP}"),
    ],
)
def test_a_gap_leaves_one_mark(pieces: list[Piece | None], text: str) -> None:
    assert joined(*pieces) == text


def test_parts_beside_a_gap_are_decoded_apart() -> None:
    octets = "😭".encode("utf-16-be")
    with pytest.raises(UnicodeDecodeError):
        joined(Piece("utf-16-be", octets[:2]), None, Piece("utf-16-be", octets[2:]))


def test_an_alphabet_may_be_none() -> None:
    assert join(["a", "b"], alphabet=lambda _: None, decode="".join) == "ab"


def test_no_part_gives_no_text() -> None:
    assert joined() == ""


def test_an_error_of_the_decoder_is_passed_on() -> None:
    def refuse(run: Sequence[Piece]) -> str:
        raise Untranslatable("no text")

    with pytest.raises(Untranslatable):
        join([Piece("ascii", b"x")], alphabet=lambda piece: piece.codec, decode=refuse)
