"""The central store: idempotent, numbered, append-only, and silent about reporters."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from gateway.central.sql import SqlCentralStore
from gateway.central.tables import complaints, history
from gateway.domain.complaint import Complaint, Judgement, Place, Reporter, Status, for_centre
from gateway.domain.errors import Rejected, Unavailable
from gateway.domain.ids import new_id
from gateway.domain.tickets import check_ticket
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database
from tests.gateway.fixture_types import Refuse, Rows
from tests.gateway.support import StillClock


@pytest.fixture
def central(database: Database, keyring: Keyring, clock: StillClock) -> SqlCentralStore:
    return SqlCentralStore(database, keyring, clock)


def test_a_delivery_is_numbered_and_written_with_its_first_line_of_history(
    central: SqlCentralStore, complaint: Callable[..., Complaint], rows: Rows, clock: StillClock
) -> None:
    one = complaint("SM1")
    delivered = central.deliver([one])
    assert delivered.refused == {}
    ticket = delivered.tickets[one.id]
    assert check_ticket(ticket)
    (row,), (line,) = rows(complaints), rows(history)
    assert (row["ticket"], row["status"], row["created_at"]) == (ticket, "received", clock())
    assert (line["complaint_id"], line["to_status"], line["why"]) == (one.id, "received", "18.10 route 1")
    assert line["actor"] == "gateway 00/sms"


def test_an_id_that_is_made_of_the_reporters_number_does_not_reach_the_centre(
    central: SqlCentralStore, complaint: Callable[..., Complaint], rows: Rows
) -> None:
    """It is a hash without a key: whoever reads the table knows the text, and could try all numbers."""
    one = complaint("hash of number and text")
    one = msgspec.structs.replace(one, source=msgspec.structs.replace(one.source, made_id=True))
    central.deliver([for_centre(one)])
    central.amend(for_centre(one), "read again")
    assert [row["external_id"] for row in rows(complaints)] == ["-"]


def test_a_repeated_delivery_keeps_its_ticket_and_changes_nothing(
    central: SqlCentralStore, complaint: Callable[..., Complaint], rows: Rows
) -> None:
    one, two = complaint("SM1"), complaint("SM2")
    first = central.deliver([one]).tickets
    again = central.deliver([one, two]).tickets
    assert again[one.id] == first[one.id]
    assert again[two.id] != first[one.id]
    assert len(rows(complaints)) == len(rows(history)) == 2


def test_a_complaint_twice_in_one_batch_is_stored_once(
    central: SqlCentralStore, complaint: Callable[..., Complaint], rows: Rows
) -> None:
    one = complaint("SM1")
    assert set(central.deliver([one, one]).tickets) == {one.id}
    assert len(rows(complaints)) == len(rows(history)) == 1


@pytest.mark.parametrize("part", ["place", "values", "nothing"])
def test_optional_fields_may_all_be_given_or_all_be_missing(
    central: SqlCentralStore, complaint: Callable[..., Complaint], rows: Rows, clock: StillClock, part: str
) -> None:
    """Columns that hold nothing but NULL in a batch are where drivers guess types."""
    given: dict[str, Any] = {
        "place": {"place": Place(latitude=-5.35, longitude=104.97), "occurred_on": clock().date()},
        "values": {"category": Judgement(value="x", reason="y"), "confidential": True},
        "nothing": {"place": Place(), "category": None, "reporter": None, "anonymous": True},
    }[part]
    one = complaint("SM1", **given)
    central.deliver([one])
    (row,) = rows(complaints)
    assert (row["latitude"], row["occurred_on"]) == (one.place.latitude, one.occurred_on)
    assert (row["reporter"] is None) == one.anonymous
    assert row["sent_at"] is None


def test_a_big_batch_has_one_ticket_each(central: SqlCentralStore, complaint: Callable[..., Complaint]) -> None:
    batch = [complaint(f"SM{number}") for number in range(300)]
    tickets = central.deliver(batch).tickets
    assert set(tickets) == {one.id for one in batch}
    assert len(set(tickets.values())) == 300


def test_two_gateways_at_once_give_one_ticket_each(
    postgres: str, keyring: Keyring, clock: StillClock, complaint: Callable[..., Complaint]
) -> None:
    databases = [Database(postgres) for _ in range(3)]
    batch = [complaint(f"SM{number}") for number in range(60)]
    answers: list[dict[Any, str]] = []
    start = threading.Barrier(len(databases))

    def deliver(database: Database, order: list[Complaint]) -> None:
        start.wait()
        store = SqlCentralStore(database, keyring, clock)
        answers.extend(store.deliver(order[first : first + 10]).tickets for first in range(0, 60, 10))

    threads = [threading.Thread(target=deliver, args=(database, batch)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for database in databases:
        database.close()
    assert len(answers) == 18
    merged: dict[Any, set[str]] = {}
    for answer in answers:
        for key, ticket in answer.items():
            merged.setdefault(key, set()).add(ticket)
    assert [len(tickets) for tickets in merged.values()] == [1] * 60
    assert len(set().union(*merged.values())) == 60


def test_what_the_database_refuses_fails_alone(
    central: SqlCentralStore, complaint: Callable[..., Complaint], refuse: Refuse
) -> None:
    bad, good = complaint("SM1", title="buruk"), complaint("SM2")
    refuse("complaint", "title = 'buruk'")
    delivered = central.deliver([bad, good])
    assert set(delivered.tickets) == {good.id}
    assert isinstance(delivered.refused[bad.id], Rejected)
    assert "buruk" not in delivered.refused[bad.id].message
    with pytest.raises(Rejected):
        central.deliver([bad])


def test_a_counter_that_was_set_back_gives_no_ticket_twice(
    central: SqlCentralStore, complaint: Callable[..., Complaint], rows: Rows
) -> None:
    """As after restoring a backup of one table only: better no ticket now than the same one for two people."""
    central.deliver([complaint("SM1")])
    with central.database.begin() as connection:
        connection.execute(sa.text("UPDATE ticket_counter SET next_number = 1000000"))
    with pytest.raises(Unavailable, match="ticket_counter"):
        central.deliver([complaint("SM2")])
    assert len(rows(complaints)) == 1


def test_find_tells_how_a_complaint_stands(
    central: SqlCentralStore, complaint: Callable[..., Complaint], clock: StillClock
) -> None:
    one = complaint("SM1")
    ticket = central.deliver([one]).tickets[one.id]
    found = central.find([one.id, new_id()])
    assert set(found) == {one.id}
    standing = found[one.id]
    assert (standing.ticket, standing.status, standing.updated_at) == (ticket, Status.RECEIVED, clock())
    assert central.find([]) == {}


def test_amending_keeps_ticket_and_status_and_appends_to_history(
    central: SqlCentralStore, complaint: Callable[..., Complaint], rows: Rows
) -> None:
    one = complaint("SM1")
    ticket = central.deliver([one]).tickets[one.id]
    with central.database.begin() as connection:
        connection.execute(sa.update(complaints).values(status="in_progress"))
    changed = complaint("SM1", id=one.id, title="Jembatan putus", reporter=None, anonymous=True)
    central.amend(changed, "read again by a replay")
    (row,) = rows(complaints)
    assert (row["ticket"], row["status"], row["title"], row["reporter"]) == (
        ticket,
        "in_progress",
        "Jembatan putus",
        None,
    )
    first, second = rows(history)
    assert (second["from_status"], second["to_status"], second["why"]) == (
        "in_progress",
        "in_progress",
        "read again by a replay",
    )
    assert first["to_status"] == "received"


def test_what_is_not_there_yet_cannot_be_amended(
    central: SqlCentralStore, complaint: Callable[..., Complaint], rows: Rows
) -> None:
    with pytest.raises(Unavailable, match="not been delivered"):
        central.amend(complaint("SM1"), "too early")
    assert rows(complaints) == rows(history) == []


@pytest.mark.parametrize("statement", ["UPDATE complaint_history SET why = 'x'", "DELETE FROM complaint_history"])
def test_the_database_itself_keeps_history(
    central: SqlCentralStore, complaint: Callable[..., Complaint], rows: Rows, statement: str
) -> None:
    central.deliver([complaint("SM1")])
    before = rows(history)
    with pytest.raises((Rejected, Unavailable)), central.database.begin() as connection:
        connection.execute(sa.text(statement))
    assert rows(history) == before


def test_the_reporter_is_encrypted_and_shown_to_nobody(
    central: SqlCentralStore, complaint: Callable[..., Complaint], rows: Rows
) -> None:
    reporter = Reporter(address="+6281200000001", phone="+6281200000001", name="Ibu Sari", email="sari@example.id")
    one = complaint("SM1", reporter=reporter)
    ticket = central.deliver([one]).tickets[one.id]
    (row,) = rows(complaints)
    stored = b"|".join(value if isinstance(value, bytes) else str(value).encode() for value in row.values())
    for secret in (b"81200000001", b"Sari", b"sari@example.id"):
        assert secret not in stored
    assert central.reporter(row["reporter"]) == reporter
    for shown in (central.newest(10), central.by_ticket(ticket)):
        assert "81200000001" not in str(shown)
        assert "Sari" not in str(shown)
        assert "'reporter'" not in str(shown)


def test_what_is_confidential_is_withheld(central: SqlCentralStore, complaint: Callable[..., Complaint]) -> None:
    one = complaint("SM1", confidential=True)
    ticket = central.deliver([one]).tickets[one.id]
    shown = central.by_ticket(ticket)
    assert shown is not None
    assert (shown["title"], shown["description"]) == ("(rahasia)", "(rahasia)")
    assert "berlubang" not in str(central.newest(10)) + str(shown)


def test_show_and_recent(central: SqlCentralStore, complaint: Callable[..., Complaint]) -> None:
    tickets = [central.deliver([complaint(f"SM{number}")]).tickets for number in range(3)]
    newest = next(iter(tickets[2].values()))
    assert next(row["ticket"] for row in central.newest(2)) == newest
    shown = central.by_ticket(newest)
    assert shown is not None
    assert shown["reasons"]["agency"] == "18.10 route 1"
    assert shown["attachments"] == 0
    assert len(shown["history"]) == 1
    assert central.by_ticket("10000001") is None
