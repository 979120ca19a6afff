"""Ids sort by time; tickets find typing slips."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ids import first_id_at, new_id, time_of
from gateway.domain.tickets import check_ticket, make_ticket


def test_ids_sort_by_the_time_they_were_made() -> None:
    ids = [new_id() for _ in range(500)]
    assert ids == sorted(ids)
    assert abs(time_of(ids[0]) - datetime.now(UTC)) < timedelta(seconds=5)


def test_the_first_id_of_a_moment_bounds_a_range() -> None:
    before, made, after = datetime.now(UTC) - timedelta(seconds=1), new_id(), datetime.now(UTC) + timedelta(seconds=1)
    assert first_id_at(before) < made < first_id_at(after)
    assert first_id_at(before).version == 7


@given(st.integers(1, 10**13))
def test_a_ticket_is_digits_and_checks(number: int) -> None:
    ticket = make_ticket(number)
    assert ticket.isdigit()
    assert check_ticket(ticket)


@given(st.integers(10, 10**9), st.data())
def test_one_wrong_digit_is_found(number: int, data: st.DataObject) -> None:
    ticket = make_ticket(number)
    place = data.draw(st.integers(0, len(ticket) - 1))
    digit = data.draw(st.sampled_from([d for d in "0123456789" if d != ticket[place]]))
    assert not check_ticket(ticket[:place] + digit + ticket[place + 1 :])


@given(st.integers(10, 10**9), st.data())
def test_swapped_neighbours_are_found(number: int, data: st.DataObject) -> None:
    ticket = make_ticket(number)
    place = data.draw(st.integers(0, len(ticket) - 2))
    swapped = ticket[:place] + ticket[place + 1] + ticket[place] + ticket[place + 2 :]
    assert swapped == ticket or not check_ticket(swapped)


@pytest.mark.parametrize("text", ["", "0", "abc", "1000000 9", "1" * 40, "-10000009", "²2", "10000008"])
def test_what_is_no_ticket_is_refused(text: str) -> None:
    assert not check_ticket(text)
