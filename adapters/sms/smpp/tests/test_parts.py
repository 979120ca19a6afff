"""Joining the parts of a long message."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.sms import gsm
from adapters.sms.joining import GAP
from adapters.sms.smpp.pdu import SMPP
from adapters.sms.smpp.simulator import FakeSmsc
from adapters.sms.smpp.tests.support import CITIZEN, EMOJI, LONG, connected, deliver, make
from gateway.domain.errors import Untranslatable
from gateway.domain.events import MessagePart
from gateway.ports import RawMessage
from gateway.testing.forge import RAW_ID, raw_message


def raw_part(piece: bytes, number: int, total: int, coding: int) -> RawMessage:
    """Return a part as the inbox keeps it; its id gives its place in the order of arrival."""
    pdu = deliver(bytes([6, 8, 4, 1, 2, total, number]) + piece[:200], esm_class=0x40, coding=coding)
    return replace(raw_message(pdu, SMPP), id=UUID(int=RAW_ID.int + number))


def raw_parts(pieces: Sequence[bytes], coding: int) -> list[RawMessage]:
    return [raw_part(piece, number, len(pieces), coding) for number, piece in enumerate(pieces, 1)]


@given(text=st.text(gsm.BASIC + gsm.EXTENSION, min_size=3, max_size=150), cut=st.integers(1, 200))
def test_gsm_parts_join_at_any_cut(text: str, cut: int) -> None:
    octets = gsm.encode(text)
    cut %= len(octets)
    assert make().join(raw_parts([octets[:cut], octets[cut:]], 0)).text == text


@given(text=st.text(min_size=2, max_size=60), cut=st.integers(1, 200))
def test_ucs2_parts_join_at_any_cut(text: str, cut: int) -> None:
    octets = text.encode("utf-16-be")
    cut %= len(octets)
    assert make().join(raw_parts([octets[:cut], octets[cut:]], 8)).text == text


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        (set(), "satuduatiga"),
        ({0}, f"{GAP}duatiga"),
        ({1}, f"satu{GAP}tiga"),
        ({0, 1}, f"{GAP}tiga"),
    ],
)
def test_a_missing_part_is_marked(missing: set[int], text: str) -> None:
    parts = raw_parts([b"satu", b"dua", b"tiga"], 0)
    assert make().join([None if place in missing else raw for place, raw in enumerate(parts)]).text == text


def test_without_any_part_there_is_no_message() -> None:
    with pytest.raises(Untranslatable):
        make().join([None, None])


def test_a_late_part_does_not_change_the_id() -> None:
    order_of_arrival = (3, 1, 2)
    parts = [
        replace(raw, id=UUID(int=RAW_ID.int + place))
        for raw, place in zip(raw_parts([b"satu", b"dua", b"tiga"], 0), order_of_arrival, strict=True)
    ]
    adapter = make()
    assert adapter.join([None, *parts[1:]]).external_id == parts[1].id.hex
    assert adapter.join(parts).external_id == parts[1].id.hex


def test_parts_in_two_alphabets() -> None:
    parts = [raw_part(b"Jalan \x1b", 1, 3, 0), raw_part(b"(rusak", 2, 3, 0)]
    parts.append(raw_part("😭".encode("utf-16-be"), 3, 3, 8))
    assert make().join(parts).text == "Jalan {rusak😭"


@pytest.mark.parametrize("text", [LONG, EMOJI, "{" * 400])
def test_a_text_that_a_careless_operator_cut_is_whole_again(smsc: FakeSmsc, text: str) -> None:
    with connected(smsc) as (adapter, line):
        assert smsc.send(CITIZEN, text).status == 200
    parts: dict[int, RawMessage] = {}
    for raw in line.raws():
        (event,) = adapter.translate(raw)
        assert isinstance(event, MessagePart)
        parts[event.number] = raw
    assert len(parts) > 1
    message = adapter.join([parts[number] for number in sorted(parts)])
    assert message.text == text
    assert message.sender == CITIZEN
    assert message.recipient == "1708"
