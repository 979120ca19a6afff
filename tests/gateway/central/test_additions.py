"""What a reporter says after the complaint: added once, withdrawn once, never told to who may not read it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from gateway.central.sql import SqlCentralStore
from gateway.central.tables import additions, complaints, history
from gateway.domain.complaint import ENDED, Addition, Attachment, Complaint, Status
from gateway.domain.errors import Unavailable
from gateway.domain.ids import new_id
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database
from tests.gateway.fixture_types import Rows
from tests.gateway.support import StillClock


@pytest.fixture
def central(database: Database, keyring: Keyring, clock: StillClock) -> SqlCentralStore:
    return SqlCentralStore(database, keyring, clock)


@pytest.fixture
def more(clock: StillClock) -> Callable[..., Addition]:
    def make(text: str = "di depan masjid", **changes: Any) -> Addition:
        return Addition(**({"id": new_id(), "text": text, "at": clock(), "reason": "a rule"} | changes))

    return make


def test_an_addition_is_written_with_a_line_of_history(
    central: SqlCentralStore, complaint: Callable[..., Complaint], more: Any, rows: Rows, clock: StillClock
) -> None:
    one = complaint("SM1")
    ticket = central.deliver([one]).tickets[one.id]
    clock.advance(minutes=1)
    picture = Attachment(url="https://media.example/1")
    standing = central.add(one.id, more(attachments=(picture,)))
    assert (standing.ticket, standing.status, standing.updated_at) == (ticket, Status.RECEIVED, clock())
    (row,) = rows(additions)
    assert (row["complaint_id"], row["text"], row["at"]) == (one.id, "di depan masjid", clock())
    assert json.loads(row["attachments"])[0]["url"] == picture.url
    line = rows(history)[-1]
    assert (line["actor"], line["from_status"], line["to_status"]) == ("reporter", "received", "received")
    assert line["why"] == "addition by the reporter: a rule"


def test_the_same_addition_again_changes_nothing(
    central: SqlCentralStore, complaint: Callable[..., Complaint], more: Any, rows: Rows, clock: StillClock
) -> None:
    one, addition = complaint("SM1"), more()
    central.deliver([one])
    first = central.add(one.id, addition)
    before = [rows(table) for table in (additions, history, complaints)]
    clock.advance(minutes=1)
    assert central.add(one.id, addition) == first
    assert [rows(table) for table in (additions, history, complaints)] == before


def test_an_addition_with_another_text_replaces_the_former_and_says_so(
    central: SqlCentralStore, complaint: Callable[..., Complaint], more: Any, rows: Rows
) -> None:
    one, other, addition = complaint("SM1"), complaint("SM2"), more("di depan …")
    central.deliver([one, other])
    central.add(one.id, addition)
    central.add(other.id, more("lain"))
    whole = msgspec.structs.replace(addition, text="di depan masjid", reason="a late part")
    for _ in range(2):
        central.add(one.id, whole)
    assert sorted(row["text"] for row in rows(additions)) == ["di depan masjid", "lain"]
    assert [line["why"] for line in rows(history, history.c.complaint_id == one.id)][2:] == [
        "addition by the reporter: a late part"
    ]


def test_additions_are_shown_in_the_order_in_which_they_came(
    central: SqlCentralStore, complaint: Callable[..., Complaint], more: Any, clock: StillClock
) -> None:
    one = complaint("SM1")
    ticket = central.deliver([one]).tickets[one.id]
    later = more("kedua", at=clock() + timedelta(minutes=1))
    for addition in (later, more("pertama")):
        central.add(one.id, addition)
    assert [line["text"] for line in (central.by_ticket(ticket) or {})["additions"]] == ["pertama", "kedua"]


def test_additions_to_a_confidential_complaint_are_withheld(
    central: SqlCentralStore, complaint: Callable[..., Complaint], more: Any
) -> None:
    one = complaint("SM1", confidential=True)
    ticket = central.deliver([one]).tickets[one.id]
    central.add(one.id, more("nama pelakunya"))
    shown = central.by_ticket(ticket)
    assert shown is not None
    assert [line["text"] for line in shown["additions"]] == ["(rahasia)"]
    assert "nama pelakunya" not in str(shown)


@pytest.mark.parametrize("status", [status for status in Status if status not in ENDED])
def test_an_open_complaint_is_withdrawn_once(
    central: SqlCentralStore, complaint: Callable[..., Complaint], rows: Rows, clock: StillClock, status: Status
) -> None:
    one = complaint("SM1")
    central.deliver([one])
    with central.database.begin() as connection:
        connection.execute(sa.update(complaints).values(status=status.value))
    clock.advance(minutes=1)
    first = central.withdraw(one.id, "BATAL")
    assert (first.status, first.updated_at) == (Status.ARCHIVED, clock())
    clock.advance(minutes=1)
    assert central.withdraw(one.id, "BATAL") == first
    line = rows(history)[-1]
    assert (line["actor"], line["from_status"], line["to_status"], line["why"]) == (
        "reporter",
        status.value,
        "archived",
        "BATAL",
    )
    assert len(rows(history)) == 2


@pytest.mark.parametrize("status", sorted(ENDED))
def test_what_has_ended_stays_as_it_is(
    central: SqlCentralStore, complaint: Callable[..., Complaint], rows: Rows, status: Status
) -> None:
    one = complaint("SM1")
    central.deliver([one])
    with central.database.begin() as connection:
        connection.execute(sa.update(complaints).values(status=status.value))
    assert central.withdraw(one.id, "BATAL").status is status
    assert len(rows(history)) == 1


def test_what_is_not_there_yet_is_waited_for(central: SqlCentralStore, more: Any, rows: Rows) -> None:
    with pytest.raises(Unavailable):
        central.add(new_id(), more())
    with pytest.raises(Unavailable):
        central.withdraw(new_id(), "BATAL")
    assert rows(additions) == []


def test_two_gateways_at_once_add_and_withdraw_once(
    postgres: str, keyring: Keyring, clock: StillClock, complaint: Callable[..., Complaint], more: Any
) -> None:
    databases = [Database(postgres) for _ in range(3)]
    stores = [SqlCentralStore(database, keyring, clock) for database in databases]
    one, addition = complaint("SM1"), more()
    stores[0].deliver([one])
    start, done = threading.Barrier(3), []

    def work(store: SqlCentralStore) -> None:
        start.wait()
        done.append(store.add(one.id, addition).ticket)
        done.append(store.withdraw(one.id, "BATAL").ticket)

    threads = [threading.Thread(target=work, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with databases[0].read() as connection:
        lines = connection.execute(sa.select(history.c.to_status).order_by(history.c.id)).scalars().all()
        count = connection.execute(sa.select(sa.func.count()).select_from(additions)).scalar()
    for database in databases:
        database.close()
    assert len(done) == 6
    assert count == 1
    assert sorted(lines) == ["archived", "received", "received"]
