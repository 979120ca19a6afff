"""How the parts of a long message are joined."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.sms import gsm
from adapters.sms.smpp.adapter import MISSING
from adapters.sms.smpp.pdu import SMPP
from adapters.sms.smpp.tests.support import CITIZEN, EMOJI, LONG, connected, deliver, make
from gateway.domain.errors import (
    Untranslatable,
)
from gateway.ports import (
    RawMessage,
)
from gateway.testing.forge import RAW_ID, raw_message


def raw_parts(pieces: Sequence[bytes | None], coding: int) -> list[RawMessage | None]:
    """Return parts as the inbox keeps them; the ids say in which order they came."""
    return [
        None
        if piece is None
        else replace(
            raw_message(
                deliver(bytes([6, 8, 4, 1, 2, len(pieces), number]) + piece[:200], esm_class=0x40, coding=coding),
                SMPP,
            ),
            id=UUID(int=RAW_ID.int + number),
        )
        for number, piece in enumerate(pieces, 1)
    ]


@given(text=st.text(gsm.BASIC + gsm.EXTENSION, min_size=3, max_size=150), cut=st.integers(1, 200))
def test_gsm_parts_join_wherever_they_were_cut(text, cut):
    raw, cut = gsm.encode(text), cut % len(gsm.encode(text))
    assert make().join(raw_parts([raw[:cut], raw[cut:]], 0)).text == text


@given(text=st.text(min_size=2, max_size=60), cut=st.integers(1, 200))
def test_ucs2_parts_join_wherever_they_were_cut(text, cut):
    raw = text.encode("utf-16-be")
    cut %= len(raw)
    assert make().join(raw_parts([raw[:cut], raw[cut:]], 8)).text == text


def test_a_missing_part_is_marked_and_a_late_one_is_of_the_same_message():
    adapter, whole = make(), raw_parts([b"satu", b"dua", b"tiga"], 0)
    for gone, text in [((0,), f"{MISSING}duatiga"), ((1,), f"satu{MISSING}tiga"), ((0, 1), f"{MISSING}tiga")]:
        parts = [None if place in gone else raw for place, raw in enumerate(whole)]
        assert adapter.join(parts).text == text
    came = [replace(raw, id=UUID(int=RAW_ID.int + place)) for raw, place in zip(whole, (3, 1, 2), strict=True)]
    partial, complete = adapter.join([None, *came[1:]]), adapter.join(came)
    assert partial.external_id == complete.external_id == came[1].id.hex
    assert complete.text == "satuduatiga"
    with pytest.raises(Untranslatable):
        adapter.join([None, None])


def test_parts_in_two_alphabets():
    parts = raw_parts([b"Jalan \x1b", b"(rusak", "😭".encode("utf-16-be")], 0)
    parts[2] = raw_parts([b"", b"", "😭".encode("utf-16-be")], 8)[2]
    assert make().join(parts).text == "Jalan {rusak😭"


@pytest.mark.parametrize("text", [LONG, EMOJI, "{" * 400])
def test_what_a_careless_operator_cut_is_whole_again(smsc, text):
    with connected(smsc) as (adapter, line):
        assert smsc.send(CITIZEN, text).status == 200
    raws = line.raws()
    assert len(raws) > 1
    parts = {adapter.translate(raw)[0].number: raw for raw in raws}
    message = adapter.join([parts[number] for number in sorted(parts)])
    assert (message.sender, message.recipient, message.text) == (CITIZEN, "1708", text)
