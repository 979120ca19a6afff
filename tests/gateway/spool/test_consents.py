"""Who wants to hear from us: the last word counts, for its sender and channel."""

from __future__ import annotations

from gateway.spool import Spool
from gateway.spool.outbox import NewReply
from gateway.spool.tables import Kind, consents, outbox
from tests.gateway.fixture_types import MakeIncoming, Rows
from tests.gateway.support import StillClock

CITIZEN, STRANGER = "+6281200000001", "+6281200000002"


def say(spool: Spool, given: bool, sender: str = CITIZEN, channel: str = "sms") -> None:
    with spool.database.begin() as connection:
        spool.consents.record(connection, "00", channel, sender, given=given)


def refused(spool: Spool, *senders: str, channel: str = "sms") -> set[str]:
    keys = {spool.outbox.sender_key("00", channel, sender): sender for sender in senders}
    with spool.database.read() as connection:
        return {keys[key] for key in spool.consents.refused(connection, list(keys))}


def test_who_never_said_anything_is_written_to(spool: Spool) -> None:
    assert refused(spool, CITIZEN) == refused(spool) == set()


def test_the_last_word_counts(spool: Spool, rows: Rows, clock: StillClock) -> None:
    for given in (False, False, True, False):
        clock.advance(seconds=1)
        say(spool, given)
        assert refused(spool, CITIZEN, STRANGER) == (set() if given else {CITIZEN})
    (row,) = rows(consents)
    assert row["at"] == clock()


def test_it_counts_for_one_sender_on_one_channel(spool: Spool) -> None:
    say(spool, given=False)
    assert refused(spool, CITIZEN, STRANGER) == {CITIZEN}
    assert refused(spool, CITIZEN, channel="other") == set()


def test_only_the_unasked_is_held_back_and_does_not_count_as_sent(
    spool: Spool, rows: Rows, incoming: MakeIncoming
) -> None:
    say(spool, given=False)

    def reply(to: str, *, asked: bool) -> NewReply:
        return NewReply(region="00", channel="sms", to=to, text="teks", correlation_id=incoming("x").id, asked=asked)

    batch = [reply(CITIZEN, asked=False), reply(CITIZEN, asked=True), reply(STRANGER, asked=False)]
    with spool.database.begin() as connection:
        held = spool.outbox.add_replies(connection, batch, 1)
    assert held == [batch[0]]
    assert len(rows(outbox, outbox.c.kind == Kind.REPLY.value)) == 2
