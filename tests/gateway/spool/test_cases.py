"""The cases: one message opens one, and only its sender may ask about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from gateway.domain.complaint import Complaint
from gateway.domain.ids import new_id
from gateway.spool import Spool
from gateway.spool.case import NewCase
from gateway.spool.tables import cases
from gateway.storage.crypto import Keyring
from tests.gateway.fixture_types import Rows
from tests.gateway.support import StillClock

CITIZEN = "+6281200000001"


def new_case(spool: Spool, complaint: Complaint, contact: str | None = CITIZEN) -> NewCase:
    source = complaint.source
    return NewCase(
        complaint=complaint,
        message_key=spool.cases.message_key(source.region, source.channel, source.external_id),
        sender_key=spool.cases.sender_key(source.region, source.channel, CITIZEN),
        contact=contact,
        correlation_id=new_id(),
        opened_at=source.received_at,
    )


def test_one_message_opens_one_case(spool: Spool, complaint: Callable[..., Complaint]) -> None:
    with spool.database.begin() as connection:
        opened = spool.cases.create(connection, [new_case(spool, complaint("SM1")), new_case(spool, complaint("SM2"))])
        assert len(opened) == 2
    with spool.database.begin() as connection:
        third = new_case(spool, complaint("SM3"))
        again = spool.cases.create(
            connection, [new_case(spool, complaint("SM1")), third, new_case(spool, complaint("SM3"))]
        )
        assert [case.id for case in again] == [third.complaint.id]


def test_a_case_comes_back_as_it_was(spool: Spool, complaint: Callable[..., Complaint]) -> None:
    one, silent = complaint("SM1"), complaint("SM2", reporter=None, anonymous=True)
    with spool.database.begin() as connection:
        spool.cases.create(connection, [new_case(spool, one), new_case(spool, silent, contact=None)])
    with spool.database.read() as connection:
        found, unreadable = spool.cases.get(connection, [one.id, silent.id, new_id()])
    assert unreadable == {}
    assert (found[one.id].complaint, found[one.id].contact) == (one, CITIZEN)
    assert (found[silent.id].complaint, found[silent.id].contact) == (silent, None)


def test_nothing_of_a_case_can_be_read_at_rest(spool: Spool, complaint: Callable[..., Complaint], rows: Rows) -> None:
    with spool.database.begin() as connection:
        spool.cases.create(connection, [new_case(spool, complaint("SM1"))])
    (row,) = rows(cases)
    stored = b"|".join(value if isinstance(value, bytes) else str(value).encode() for value in row.values())
    for secret in (CITIZEN, "81200000001", "Pringsewu", "berlubang", "SM1"):
        assert secret.encode() not in stored


def test_only_the_sender_owns_a_ticket(spool: Spool, complaint: Callable[..., Complaint]) -> None:
    one = complaint("SM1")
    with spool.database.begin() as connection:
        spool.cases.create(connection, [new_case(spool, one)])
        spool.cases.add_tickets(connection, {one.id: "10000009"})
        owned = spool.cases.owned
        assert owned(connection, "10000009", "00", "sms", CITIZEN) == one.id
        assert owned(connection, "10000009", "00", "sms", "+6281200000002") is None
        assert owned(connection, "10000009", "18.10", "sms", CITIZEN) is None, "another channel's number is not proof"
        assert owned(connection, "10000010", "00", "sms", CITIZEN) is None


def test_a_case_is_found_by_its_message(spool: Spool, complaint: Callable[..., Complaint]) -> None:
    one = complaint("SM1")
    with spool.database.begin() as connection:
        spool.cases.create(connection, [new_case(spool, one)])
        found = spool.cases.of_message(connection, spool.cases.message_key("00", "sms", "SM1"))
        assert found is not None
        assert found.id == one.id
        assert spool.cases.of_message(connection, spool.cases.message_key("00", "sms", "SM2")) is None


def test_a_case_whose_key_is_lost_does_not_hide_the_others(
    spool: Spool, complaint: Callable[..., Complaint], clock: StillClock
) -> None:
    lost, kept = complaint("SM1"), complaint("SM2")
    other = Spool(spool.database, Keyring([b"x" * 32], b"l" * 32), clock)
    with spool.database.begin() as connection:
        other.cases.create(connection, [new_case(other, lost)])
        spool.cases.create(connection, [new_case(spool, kept)])
    with spool.database.read() as connection:
        readable, unreadable = spool.cases.get(connection, [lost.id, kept.id])
    assert set(readable) == {kept.id}
    assert set(unreadable) == {lost.id}
    assert "put the old key back" in unreadable[lost.id].message


def test_purging_drops_our_copy_of_a_delivered_complaint_and_nothing_else(
    spool: Spool, complaint: Callable[..., Complaint], clock: StillClock
) -> None:
    delivered, undelivered = complaint("SM1"), complaint("SM2")
    with spool.database.begin() as connection:
        spool.cases.create(connection, [new_case(spool, delivered), new_case(spool, undelivered)])
        spool.cases.add_tickets(connection, {delivered.id: "10000009"})
    assert spool.cases.purge(clock() - timedelta(days=1), 10) == 0
    assert spool.cases.purge(clock() + timedelta(days=1), 10) == 1
    with spool.database.begin() as connection:
        found, _ = spool.cases.get(connection, [delivered.id, undelivered.id])
        assert found[delivered.id].complaint is None
        assert found[delivered.id].contact == CITIZEN
        assert found[undelivered.id].complaint == undelivered, "what the centre does not have is kept"
        assert spool.cases.owned(connection, "10000009", "00", "sms", CITIZEN) == delivered.id
        assert spool.cases.create(connection, [new_case(spool, complaint("SM1"))]) == [], (
            "its message opens no second case"
        )
