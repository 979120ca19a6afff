"""The outbox: replies kept secret, held back from machines, and matched with their receipts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.domain.channel import ChannelId
from gateway.domain.events import Delivery
from gateway.domain.ids import new_id
from gateway.ports import Receipt
from gateway.spool import Spool
from gateway.spool.case import CaseReference
from gateway.spool.outbox import NewReply
from gateway.spool.tables import Kind, outbox, references, reply_counts
from tests.gateway.fixture_types import Rows
from tests.gateway.support import StillClock

LEASE = timedelta(seconds=30)
CITIZEN = "+6281200000001"


def draft(text: str = "No. tiket: 10000009", to: str = CITIZEN) -> NewReply:
    return NewReply(region="00", channel="sms", to=to, text=text, correlation_id=new_id())


def add(spool: Spool, *drafts: NewReply, per_hour: int = 100) -> list[NewReply]:
    with spool.database.begin() as connection:
        return spool.outbox.add_replies(connection, drafts, per_hour)


def test_a_reply_comes_back_as_it_was(spool: Spool, clock: StillClock, rows: Rows) -> None:
    add(spool, draft("Laporan diterima 😊"))
    (row,) = spool.outbox.claim(10, LEASE, kinds=[Kind.REPLY]).rows
    reply = spool.outbox.unseal(row)
    assert (reply.id, reply.to, reply.text, reply.created_at) == (row.id, CITIZEN, "Laporan diterima 😊", clock())
    assert CITIZEN.encode() not in rows(outbox)[0]["payload"]


def test_only_the_kinds_asked_for_are_claimed(spool: Spool) -> None:
    add(spool, draft())
    case = CaseReference(new_id(), "00", "sms", new_id())
    with spool.database.begin() as connection:
        spool.outbox.add_jobs(connection, Kind.DELIVER, [case])
    (row,) = spool.outbox.claim(10, LEASE, kinds=[Kind.DELIVER, Kind.AMEND]).rows
    assert (row.kind, row.case_id) == (Kind.DELIVER, case.id)
    assert [row.kind for row in spool.outbox.claim(10, LEASE, kinds=[Kind.REPLY]).rows] == [Kind.REPLY]


def test_replies_to_one_address_are_limited_in_any_hour(spool: Spool, clock: StillClock) -> None:
    clock.now = clock.now.replace(minute=30)
    assert add(spool, *[draft(f"{number}") for number in range(2)], per_hour=3) == []
    clock.advance(minutes=20)
    third, fourth = draft("3"), draft("4")
    assert add(spool, third, fourth, per_hour=3) == [fourth]
    assert add(spool, draft("other", to="+6281200000002"), per_hour=3) == []
    clock.advance(minutes=35)
    assert len(add(spool, draft("5"), per_hour=3)) == 1, "the clock's hour has turned, but 60 minutes have not passed"
    clock.advance(minutes=10)
    assert add(spool, draft("6"), draft("7"), per_hour=3) == []


def test_no_reply_at_all_where_the_limit_is_zero(spool: Spool, rows: Rows) -> None:
    assert len(add(spool, draft(), per_hour=0)) == 1
    assert rows(outbox) == []


@pytest.mark.parametrize(
    ("states", "kept"),
    [
        (["sent", "delivered"], "delivered"),
        (["delivered", "sent"], "delivered"),
        (["delivered", "failed"], "delivered"),
        (["failed", "sent"], "failed"),
        (["sent", "sent", "failed"], "failed"),
    ],
)
def test_receipts_may_come_in_any_order(spool: Spool, rows: Rows, states: list[str], kept: str) -> None:
    add(spool, draft())
    (row,) = spool.outbox.claim(10, LEASE).rows
    with spool.database.begin() as connection:
        spool.receipts.refer(connection, row, Receipt("SMout"))
        for state in states:
            error = "30005" if state == "failed" else None
            spool.receipts.note(connection, ChannelId("00", "sms"), "SMout", Delivery(state), error)
    (reference,) = rows(references)
    assert (reference["delivery"], reference["outbox_id"]) == (kept, row.id)


def test_a_receipt_may_come_before_our_own_note_of_the_sending(spool: Spool, rows: Rows) -> None:
    add(spool, draft())
    (row,) = spool.outbox.claim(10, LEASE).rows
    with spool.database.begin() as connection:
        spool.receipts.note(connection, ChannelId("00", "sms"), "SMout", Delivery.FAILED, "30005")
    with spool.database.begin() as connection:
        spool.receipts.refer(connection, row, Receipt("SMout"))
    (reference,) = rows(references)
    assert (reference["delivery"], reference["error"], reference["outbox_id"]) == ("failed", "30005", row.id)


def test_receipts_of_one_id_on_two_channels_are_two(spool: Spool, rows: Rows) -> None:
    with spool.database.begin() as connection:
        for address in (ChannelId("00", "sms"), ChannelId("18.10", "sms")):
            spool.receipts.note(connection, address, "SMout", Delivery.SENT, None)
    assert len(rows(references)) == 2


def test_receipts_of_what_nobody_sent_are_forgotten(spool: Spool, clock: StillClock, rows: Rows) -> None:
    with spool.database.begin() as connection:
        spool.receipts.note(connection, ChannelId("00", "sms"), "SMstray", Delivery.SENT, None)
    spool.outbox.purge(clock() - timedelta(days=1), 10)
    assert len(rows(references)) == 1
    spool.outbox.purge(clock() + timedelta(seconds=1), 10)
    assert rows(references) == []


def test_referring_twice_is_harmless(spool: Spool, rows: Rows) -> None:
    add(spool, draft())
    (row,) = spool.outbox.claim(10, LEASE).rows
    for _ in range(2):
        with spool.database.begin() as connection:
            spool.receipts.refer(connection, row, Receipt("SMout"))
    assert len(rows(references)) == 1


def test_purging_deletes_what_was_sent_with_its_references_and_old_counts(
    spool: Spool, clock: StillClock, rows: Rows
) -> None:
    add(spool, draft("selesai"), draft("mati", to="+6281200000002"))
    claim = spool.outbox.claim(10, LEASE)
    done, dead = claim.rows
    with spool.database.begin() as connection:
        spool.outbox.finish(connection, claim.id, [done.id])
        spool.receipts.refer(connection, done, Receipt("SMout"))
        spool.outbox.bury(connection, claim.id, {dead.id: "rejected"})
    clock.advance(days=31)
    assert spool.outbox.purge(clock() - timedelta(days=30), 10) == [done.id]
    assert [row["id"] for row in rows(outbox)] == [dead.id]
    assert rows(references) == rows(reply_counts) == []
