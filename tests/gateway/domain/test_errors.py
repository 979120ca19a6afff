"""The closed list of errors: each says what to do, whose fault it is, and has a code of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.domain import errors
from gateway.domain.errors import Action, Blame, GatewayError, Refused


def all_errors(base: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    for error in base.__subclasses__():
        if error.__module__ == errors.__name__:
            yield error
            yield from all_errors(error)


NAMED = [error for error in all_errors() if error is not Refused]


def test_codes_are_unique() -> None:
    codes = [error.code for error in NAMED]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("error", NAMED, ids=lambda error: error.__name__)
def test_each_says_what_to_do_and_whose_fault_it_is(error: type[GatewayError]) -> None:
    assert isinstance(error.action, Action)
    assert isinstance(error.blame, Blame)
    assert error.__doc__
    assert (error.action is Action.REFUSE) == issubclass(error, Refused)
    if issubclass(error, Refused):
        assert 400 <= error.status <= 503
    assert error("why").reason == f"{error.code}: why"
    assert error().reason == error.code
    assert error("why", retry_after=3).retry_after == 3
