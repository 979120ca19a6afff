"""Messages from an SMSC on the npm package smpp."""

from __future__ import annotations

import pytest

from adapters.sms import gsm
from tests.peers.support import CITIZEN, JALAN, JAWA, NEIGHBOUR, messages

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("coding", "text", "tlvs"),
    [
        (0, "Jalan rusak @ {Menteng} €5 [x] §", {}),
        (8, "Banjir 😭 di Kampung Melayu", {}),
        (3, "Café à côté, £5", {}),
        (0, "dengan TLV operator", {"operator_id": "a-1", "operator_tariff": 7}),
        (0, "", {}),
    ],
)
@pytest.mark.parametrize("form", [None, "payload"])
def test_alphabets(smsc, adapter, line, coding, text, tlvs, form):
    smsc.send(text, coding=coding, tlvs=tlvs, form=form)
    assert smsc.answers(1) == [0]
    assert messages(adapter, line) == [(CITIZEN, text)]


# Sizes that operators use, and odd ones, so that cuts fall into escape pairs, characters and surrogates.
FORMS = [
    ("udh8", 0, JALAN, 153, 7),
    ("udh8", 0, JALAN, 41, 255),
    ("udh16", 0, JALAN, 152, 4660),
    ("sar", 0, JALAN, 153, 65535),
    ("udh8", 8, JAWA, 134, 0),
    ("udh16", 8, JAWA, 133, 300),
    ("sar", 8, JAWA, 131, 1),
    ("udh8", 3, "Déjà vu, café à côté. " * 20, 134, 9),
]
ORDERS = {"in order": lambda n: [*range(1, n + 1)], "reversed": lambda n: [*range(n, 0, -1)],
          "mixed": lambda n: [*range(2, n + 1, 2), *range(1, n + 1, 2)]}  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("form", "coding", "text", "size", "reference"), FORMS)
def test_long_messages(smsc, adapter, line, form, coding, text, size, reference, order):
    length = len(gsm.encode(text) if coding == 0 else text.encode("utf-16-be" if coding == 8 else "latin-1"))
    count = -(-length // size)
    smsc.send(text, form=form, coding=coding, size=size, reference=reference, order=ORDERS[order](count))
    assert smsc.answers(count) == [0] * count
    assert messages(adapter, line) == [(CITIZEN, text)]


def test_a_javanese_text_in_seven_parts(smsc, adapter, line):
    text = JAWA[:450]
    smsc.send(text, form="udh8", coding=8, size=134, reference=1)
    assert smsc.answers(7) == [0] * 7
    assert messages(adapter, line) == [(CITIZEN, text)]


def test_two_senders_with_one_reference_interleaved(smsc, adapter, line):
    for number in (1, 2, 3):
        smsc.send("A" * 400, form="udh8", size=153, reference=9, order=[number])
        smsc.send("B" * 400, form="udh8", size=153, reference=9, order=[4 - number], sender=NEIGHBOUR)
    assert smsc.answers(6) == [0] * 6
    assert sorted(messages(adapter, line)) == [(NEIGHBOUR, "B" * 400), (CITIZEN, "A" * 400)]


def test_many_parts_sort_as_numbers(smsc, adapter, line):
    text = "".join(f"[{number:02}]" + "x" * 60 for number in range(25))
    count = -(-len(gsm.encode(text)) // 64)
    smsc.send(text, form="udh16", size=64, reference=77, order=ORDERS["mixed"](count))
    assert smsc.answers(count) == [0] * count
    assert messages(adapter, line) == [(CITIZEN, text)]


def test_parts_that_come_twice(smsc, adapter, line):
    smsc.send(JALAN, form="udh16", size=152, reference=5, order=[1, 2, 1, 3, 3, 2])
    assert smsc.answers(6) == [0] * 6
    assert messages(adapter, line) == [(CITIZEN, JALAN)]
    assert len(line.raws()) == 3


def test_binary_is_kept(smsc, adapter, line):
    smsc.send(hex="deadbeef", coding=4)
    assert smsc.answers(1) == [0]
    assert len(line.raws()) == 1


def test_what_cannot_be_committed_stays_there(smsc, adapter, line):
    line.full = True
    smsc.send(JALAN, form="udh16", size=152, reference=5)
    assert smsc.answers(3) == [0x64] * 3
    assert line.raws() == []
    line.full = False
    smsc.send(JALAN, form="udh16", size=152, reference=5)
    assert smsc.answers(3) == [0] * 3
    assert messages(adapter, line) == [(CITIZEN, JALAN)]


def test_a_thousand_at_once(smsc, adapter, line):
    for number in range(1000):
        smsc.send(f"Laporan {number}", sender=f"+628120{number:06}")
    assert smsc.answers(1000) == [0] * 1000
    assert sorted(text for _, text in messages(adapter, line)) == sorted(f"Laporan {number}" for number in range(1000))


def test_enquire_link(smsc, adapter):
    smsc.wish("enquire")
    assert smsc.wait("alive")["status"] == 0
