"""PartialMessages: what belongs to one message, for how long, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.domain.events import MessagePart
from gateway.spool import Spool
from gateway.spool.inbox import Incoming
from gateway.spool.partial_messages import PartialMessage
from gateway.spool.tables import State, drafts, inbox, parts
from tests.gateway.fixture_types import Rows
from tests.gateway.support import StillClock

CITIZEN = "+6281200000001"
WAIT = timedelta(seconds=600)


@pytest.fixture
def put(spool: Spool, incoming: Callable[..., Incoming]) -> Callable[..., tuple[PartialMessage, bool]]:
    """Return a function that stores a message and puts it to its draft as a part."""
    count = iter(range(1000))

    def add(
        number: int, total: int = 3, group: str = "7", sender: str = CITIZEN, **changes: Any
    ) -> tuple[PartialMessage, bool]:
        message = incoming(f"m{next(count)}", **changes)
        spool.inbox.commit([spool.inbox.seal(message)])
        with spool.database.begin() as connection:
            row = connection.execute(sa.select(inbox).where(inbox.c.id == message.id)).one()
            part = MessagePart(group=group, number=number, total=total, sender=sender)
            return spool.partial_messages.add(connection, row, part, WAIT)

    return add


def test_parts_of_one_group_make_one_draft(put: Any, spool: Spool) -> None:
    first, new = put(2)
    assert (first.missing, first.open, new) == ([1, 3], True, True)
    second, _ = put(3)
    third, _ = put(1)
    assert first.id == second.id == third.id
    assert (second.missing, third.missing) == ([1], [])
    assert third.first == first.numbers[2], "the part that came first, whatever its number"
    with spool.database.read() as connection:
        stored = spool.partial_messages.of_part(connection, third.numbers[3])
    assert stored == third, "what was returned is what is stored"


@pytest.mark.parametrize(
    "changes",
    [{"group": "8"}, {"sender": "+6281200000002"}, {"total": 4}, {"region": "18.10"}, {"channel": "other"}],
    ids=lambda changes: next(iter(changes)),
)
def test_each_part_of_the_key_tells_messages_apart(put: Any, changes: dict[str, Any]) -> None:
    (first, _), (other, _) = put(1), put(2, **changes)
    assert first.id != other.id


def test_the_same_number_again_begins_another_message_and_later_parts_are_its(put: Any) -> None:
    first, _ = put(1)
    second, _ = put(1)
    third, _ = put(2)
    assert first.id != second.id == third.id


def test_a_row_that_is_read_again_finds_its_draft_and_adds_nothing(put: Any, spool: Spool, rows: Rows) -> None:
    first, _ = put(1)
    put(1)
    with spool.database.begin() as connection:
        connection.execute(sa.update(inbox).values(attempts=2))
        row = connection.execute(sa.select(inbox).where(inbox.c.id == first.numbers[1])).one()
        part = MessagePart(group="7", number=1, total=3, sender=CITIZEN)
        assert spool.partial_messages.add(connection, row, part, WAIT) == (first, False)
    assert len(rows(parts)) == 2


def test_a_draft_is_due_when_it_has_waited_and_only_until_it_is_closed(
    put: Any, spool: Spool, clock: StillClock
) -> None:
    first, _ = put(1)
    clock.advance(seconds=1)
    put(1, group="8")
    clock.advance(seconds=598)
    with spool.database.begin() as connection:
        assert spool.partial_messages.due(connection) is None
    clock.advance(seconds=1)
    with spool.database.begin() as connection:
        found = spool.partial_messages.due(connection)
        assert found == first
        assert spool.partial_messages.waiting(connection, first.id) == first
        spool.partial_messages.close(connection, first.id)
        assert spool.partial_messages.due(connection) is None
        assert spool.partial_messages.waiting(connection, first.id) is None


def test_a_closed_draft_takes_what_it_lacks_for_a_day(put: Any, spool: Spool, clock: StillClock) -> None:
    first, _ = put(1)
    with spool.database.begin() as connection:
        spool.partial_messages.close(connection, first.id)
    clock.advance(hours=23)
    late, new = put(3)
    assert (late.id, late.open, late.missing, new) == (first.id, False, [2], True)
    clock.advance(hours=2)
    other, _ = put(2)
    assert (other.id == first.id, other.open) == (False, True)


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_draft_that_one_worker_sends_on_another_leaves_alone(put: Any, spool: Spool, clock: StillClock) -> None:
    put(1)
    put(1, group="8")
    clock.advance(seconds=600)
    with spool.database.begin() as one, spool.database.begin() as other:
        first, second = spool.partial_messages.due(one), spool.partial_messages.due(other)
        assert first is not None
        assert second is not None
        assert first.id != second.id
        with spool.database.begin() as third:
            assert spool.partial_messages.due(third) is None


def test_a_dissolved_draft_leaves_its_parts_free(put: Any, spool: Spool, rows: Rows) -> None:
    first, _ = put(1)
    other, _ = put(1, group="8")
    with spool.database.begin() as connection:
        spool.partial_messages.dissolve(connection, [first.id])
    assert [row["id"] for row in rows(drafts)] == [other.id]
    again, _ = put(2)
    assert again.id != first.id


def test_the_purge_takes_joined_drafts_that_are_old(put: Any, spool: Spool, clock: StillClock, rows: Rows) -> None:
    made = [put(1, group=group)[0].id for group in ("7", "8", "9")]
    with spool.database.begin() as connection:
        for draft_id in made[:2]:
            spool.partial_messages.close(connection, draft_id)
    assert spool.partial_messages.purge(clock() - timedelta(days=1), 10) == 0
    assert [spool.partial_messages.purge(clock() + timedelta(days=1), 1) for _ in range(3)] == [1, 1, 0]
    assert [row["id"] for row in rows(drafts)] == [made[2]], "what still waits stays"
    assert [row["draft_id"] for row in rows(parts)] == [made[2]]


def test_the_inbox_keeps_what_a_draft_needs(put: Any, spool: Spool, clock: StillClock) -> None:
    draft, _ = put(1)
    with spool.database.begin() as connection:
        connection.execute(sa.update(inbox).values(state=State.DONE, finished_at=clock(), due_at=None))
    later = clock() + timedelta(days=1)
    assert spool.inbox.purge(later, 10) == []
    with spool.database.begin() as connection:
        spool.partial_messages.close(connection, draft.id)
    assert spool.inbox.purge(later, 10) == [], "a late part may still come"
    spool.partial_messages.purge(later, 10)
    assert spool.inbox.purge(later, 10) == [draft.numbers[1]]


def test_nothing_of_a_draft_shows_who_wrote(put: Any, rows: Rows) -> None:
    put(1, group="rujukan 7")
    stored = str(rows(drafts)) + str(rows(parts))
    assert CITIZEN[3:] not in stored
    assert "rujukan" not in stored
