"""Retry or dead letter: one rule for every stage, by its policy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from gateway.domain.errors import Rejected, Throttled, Unavailable
from gateway.observe.metrics import Metrics
from gateway.pipeline.settle import Failure, Policy, Settler
from gateway.ports import Clock
from gateway.spool import Spool
from gateway.spool.inbox import Incoming
from gateway.spool.queue import Claim
from gateway.spool.rows import InboxRow
from gateway.spool.tables import State
from tests.gateway.support import StillClock

LEASE = timedelta(seconds=60)
MakeSettler = Callable[..., Settler]
ClaimOne = Callable[[], Claim[InboxRow]]


@pytest.fixture
def settler(spool: Spool, clock: Clock) -> MakeSettler:
    def make(**policy: object) -> Settler:
        chosen = Policy(**({"base": 2.0, "cap": 600.0} | policy))  # type: ignore[arg-type]
        return Settler(spool.database, spool.inbox, Metrics(), "intake", chosen, clock)

    return make


@pytest.fixture
def claim(spool: Spool, incoming: Callable[..., Incoming]) -> ClaimOne:
    """Return a function that stores one message and claims it."""

    def claim_one() -> Claim[InboxRow]:
        spool.inbox.commit([spool.inbox.seal(incoming("SM1"))])
        return spool.inbox.claim(1, LEASE)

    return claim_one


def settled(
    spool: Spool, settler: Settler, claim: Claim[InboxRow], error: Exception, *, final: bool = False
) -> InboxRow:
    (row,) = claim.rows
    settler.settle(claim.id, [Failure(row, error, final)])
    stored = spool.inbox.get(row.id)
    assert stored is not None
    return stored


def test_an_error_that_may_pass_is_tried_again(spool: Spool, settler: MakeSettler, claim: ClaimOne) -> None:
    assert settled(spool, settler(), claim(), Unavailable("away")).state == State.PENDING


def test_a_row_that_is_tried_again_keeps_the_reason(spool: Spool, settler: MakeSettler, claim: ClaimOne) -> None:
    assert settled(spool, settler(), claim(), Unavailable("away")).reason == "unavailable: away"


def test_an_error_that_is_final_by_its_kind_is_dead_at_once(
    spool: Spool, settler: MakeSettler, claim: ClaimOne
) -> None:
    assert settled(spool, settler(), claim(), Rejected("no")).state == State.DEAD


def test_a_failure_that_is_final_by_its_stage_is_dead_at_once(
    spool: Spool, settler: MakeSettler, claim: ClaimOne
) -> None:
    assert settled(spool, settler(), claim(), Unavailable("away"), final=True).state == State.DEAD


def test_the_text_of_a_foreign_error_is_not_stored(spool: Spool, settler: MakeSettler, claim: ClaimOne) -> None:
    assert settled(spool, settler(), claim(), ValueError("+6281200000001")).reason == "ValueError"


@pytest.mark.parametrize(
    ("policy", "error", "dead"),
    [
        ({"attempts": 1}, Unavailable("away"), True),
        ({"attempts": 2}, Unavailable("away"), False),
        ({}, Unavailable("away"), False),
        ({"attempts": 1, "patient": True}, Unavailable("away"), False),
        ({"attempts": 1, "patient": True}, ValueError("a bug"), True),
    ],
)
def test_the_policy_limits_the_attempts(
    settler: MakeSettler, claim: ClaimOne, policy: dict[str, object], error: Exception, dead: bool
) -> None:
    (row,) = claim().rows
    assert settler(**policy).gives_up(row, error) is dead


def test_the_wait_is_at_least_the_one_that_the_other_side_asks_for(
    spool: Spool, settler: MakeSettler, claim: ClaimOne, clock: StillClock
) -> None:
    row = settled(spool, settler(), claim(), Throttled("slower", retry_after=300))
    assert row.due_at == clock() + timedelta(seconds=300)


def test_the_wait_without_a_wish_is_the_backoff(
    spool: Spool, settler: MakeSettler, claim: ClaimOne, clock: StillClock
) -> None:
    row = settled(spool, settler(base=8.0), claim(), Unavailable("away"))
    assert row.due_at is not None
    assert timedelta(seconds=4) <= row.due_at - clock() <= timedelta(seconds=8)


def test_rows_behind_a_failed_one_are_given_back_without_an_attempt(
    spool: Spool, settler: MakeSettler, incoming: Callable[..., Incoming]
) -> None:
    spool.inbox.commit([spool.inbox.seal(incoming(key)) for key in ("SM1", "SM2")])
    claim = spool.inbox.claim(2, LEASE)
    first, second = claim.rows
    settler().settle(claim.id, [Failure(first, Unavailable("away"))], [second.id])
    waiting = spool.inbox.get(second.id)
    assert waiting is not None
    assert (waiting.state, waiting.attempts) == (State.PENDING, 0)
