"""To the citizen, through a Twilio that fails in every way: one SMS each, in order, or a dead letter with a reason."""

from __future__ import annotations

from datetime import timedelta

import pytest

from adapters.sms.twilio.simulator import FakeTwilio
from gateway.bootstrap import Gateway
from gateway.domain.channel import ChannelId
from gateway.domain.ids import new_id
from gateway.spool.outbox import NewReply
from gateway.spool.tables import State, outbox, references
from tests.gateway.fixture_types import Rows
from tests.gateway.site import Site
from tests.gateway.support import StillClock

CITIZEN, NEIGHBOUR = "+6281200000001", "+6281200000002"


def acknowledge(gateway: Gateway) -> int:
    return gateway.stages["acknowledge"].run_once()


def queue(gateway: Gateway, *texts: str, to: str = CITIZEN, channel: str = "sms") -> None:
    drafts = [NewReply(region="00", channel=channel, to=to, text=text, correlation_id=new_id()) for text in texts]
    with gateway.database.begin() as connection:
        gateway.spool.outbox.add_replies(connection, drafts, 100)


def states(rows: Rows) -> list[str]:
    return [row["state"] for row in rows(outbox)]


def outcome(gateway: Gateway, name: str) -> float:
    labels = {"region": "00", "channel": "sms", "outcome": name}
    return gateway.metrics.registry.get_sample_value("lapor_replies_total", labels) or 0


def test_a_reply_is_sent_once_and_referred_to(site: Site, twilio: FakeTwilio, rows: Rows) -> None:
    gateway = site.gateway()
    queue(gateway, "No. tiket: 10000009")
    assert acknowledge(gateway) == 1
    assert acknowledge(gateway) == 0
    assert twilio.replies_to(CITIZEN) == ["No. tiket: 10000009"]
    assert states(rows) == [State.DONE]
    (reference,) = rows(references)
    assert (reference["outbox_id"], reference["delivery"]) == (rows(outbox)[0]["id"], "sent")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("throttle", "throttled: "),
        ("server_error", "unavailable: "),
        ("unauthorized", "unavailable: "),
        ("timeout", "unavailable: "),
    ],
)
def test_what_may_pass_is_tried_again_until_it_does(
    site: Site, twilio: FakeTwilio, rows: Rows, clock: StillClock, how: str, reason: str
) -> None:
    gateway = site.gateway()
    queue(gateway, "No. tiket: 10000009")
    twilio.fail(how)
    acknowledge(gateway)
    (row,) = rows(outbox)
    assert row["state"] == State.PENDING
    assert row["reason"].startswith(reason)
    assert acknowledge(gateway) == 0, "not at once"
    clock.advance(seconds=10)
    acknowledge(gateway)
    assert twilio.replies_to(CITIZEN) == ["No. tiket: 10000009"]
    assert (outcome(gateway, "failed"), outcome(gateway, "sent")) == (1, 1)


def test_what_is_refused_for_good_is_a_dead_letter(site: Site, twilio: FakeTwilio, rows: Rows) -> None:
    gateway = site.gateway()
    queue(gateway, "No. tiket: 10000009")
    twilio.fail("reject:21211")
    acknowledge(gateway)
    (row,) = rows(outbox)
    assert (row["state"], row["reason"]) == (State.DEAD, "rejected: Twilio error 21211")


def test_a_refused_reply_does_not_take_the_next_one_with_it(site: Site, twilio: FakeTwilio, rows: Rows) -> None:
    gateway = site.gateway()
    queue(gateway, "ditolak", "No. tiket: 10000009")
    twilio.fail("reject:21617")
    acknowledge(gateway)
    assert states(rows) == [State.DEAD, State.DONE]
    assert twilio.replies_to(CITIZEN) == ["No. tiket: 10000009"]


def test_an_answer_lost_on_the_way_sends_no_second_sms(
    site: Site, twilio: FakeTwilio, rows: Rows, clock: StillClock
) -> None:
    gateway = site.gateway()
    queue(gateway, "No. tiket: 10000009")
    twilio.fail("drop_after_accept")
    acknowledge(gateway)
    assert states(rows) == [State.PENDING]
    clock.advance(seconds=10)
    acknowledge(gateway)
    assert states(rows) == [State.DONE]
    assert twilio.replies_to(CITIZEN) == ["No. tiket: 10000009"]
    assert outcome(gateway, "found") == 1
    assert len(rows(references)) == 1


def test_a_worker_that_died_after_sending_sends_no_second_sms(
    site: Site, twilio: FakeTwilio, rows: Rows, clock: StillClock
) -> None:
    gateway = site.gateway()
    queue(gateway, "No. tiket: 10000009")
    (row,) = gateway.spool.outbox.claim(1, timedelta(seconds=120)).rows
    adapter = gateway.channels[ChannelId(row.region, row.channel)].replier
    adapter.reply(gateway.spool.outbox.unseal(row))  # and here the machine loses power
    clock.advance(seconds=121)
    acknowledge(gateway)
    assert states(rows) == [State.DONE]
    assert len(twilio.replies_to(CITIZEN)) == 1


def test_the_same_text_twice_on_purpose_is_sent_twice(site: Site, twilio: FakeTwilio, clock: StillClock) -> None:
    gateway = site.gateway()
    queue(gateway, "Bantuan", "Bantuan")
    acknowledge(gateway)
    assert twilio.replies_to(CITIZEN) == ["Bantuan", "Bantuan"]


def test_while_it_cannot_be_told_whether_a_reply_went_out_it_is_not_sent(
    site: Site, twilio: FakeTwilio, rows: Rows, clock: StillClock
) -> None:
    gateway = site.gateway()
    queue(gateway, "No. tiket: 10000009")
    twilio.fail("drop_after_accept")
    acknowledge(gateway)
    twilio.fail("server_error", on="list")
    clock.advance(seconds=10)
    acknowledge(gateway)
    assert states(rows) == [State.PENDING]
    clock.advance(seconds=20)
    acknowledge(gateway)
    assert states(rows) == [State.DONE]
    assert len(twilio.replies_to(CITIZEN)) == 1


def test_an_unsent_reply_is_given_up_after_reply_hours(
    site: Site, twilio: FakeTwilio, rows: Rows, clock: StillClock
) -> None:
    gateway = site.gateway(extra="[work]\nreply_hours = 2\n")
    queue(gateway, "No. tiket: 10000009")
    twilio.fail("server_error", next=2)
    acknowledge(gateway)
    assert states(rows) == [State.PENDING]
    clock.advance(hours=2, minutes=1)
    acknowledge(gateway)
    assert states(rows) == [State.DEAD]
    assert twilio.replies_to(CITIZEN) == []


def test_a_citizens_replies_keep_their_order_and_nobody_waits_for_a_neighbour(
    site: Site, twilio: FakeTwilio, rows: Rows, clock: StillClock
) -> None:
    gateway = site.gateway(extra="[work]\nreply_threads = 1\n")
    queue(gateway, "satu", "dua", "tiga")
    queue(gateway, "tetangga", to=NEIGHBOUR)
    twilio.fail("server_error")
    acknowledge(gateway)
    assert twilio.replies_to(CITIZEN) == []
    assert twilio.replies_to(NEIGHBOUR) == ["tetangga"]
    for _ in range(6):
        clock.advance(seconds=10)
        acknowledge(gateway)
    assert twilio.replies_to(CITIZEN) == ["satu", "dua", "tiga"]
    assert set(states(rows)) == {State.DONE}


def test_waiting_behind_a_failed_reply_is_no_attempt(
    site: Site, twilio: FakeTwilio, rows: Rows, clock: StillClock
) -> None:
    gateway = site.gateway()
    queue(gateway, "satu", "dua")
    twilio.fail("server_error", next=3)
    for _ in range(3):
        acknowledge(gateway)
        clock.advance(seconds=30)
    assert [row["attempts"] for row in rows(outbox)] == [3, 0]


def test_more_replies_than_one_claim_holds_are_all_sent(
    site: Site, twilio: FakeTwilio, rows: Rows, clock: StillClock
) -> None:
    gateway = site.gateway()
    for number in range(40):
        queue(gateway, f"balasan {number}", to=f"+62812000001{number % 10:02}")
    for _ in range(10):
        acknowledge(gateway)
        clock.advance(seconds=1)
    assert len(twilio.messages("outbound-api")) == 40
    for number in range(10):
        texts = twilio.replies_to(f"+62812000001{number:02}")
        assert texts == sorted(texts, key=lambda text: int(text.split()[1]))


def test_a_reply_of_a_channel_that_is_gone_is_a_dead_letter(site: Site, twilio: FakeTwilio, rows: Rows) -> None:
    gateway = site.gateway()
    queue(gateway, "No. tiket: 10000009", channel="lama")
    acknowledge(gateway)
    (row,) = rows(outbox)
    assert (row["state"], row["reason"].split(":")[0]) == (State.DEAD, "channel_gone")


def test_a_provider_that_is_away_loses_nothing(site: Site, twilio: FakeTwilio, rows: Rows, clock: StillClock) -> None:
    gateway = site.gateway()
    queue(gateway, "No. tiket: 10000009")
    twilio.stop()
    acknowledge(gateway)
    assert states(rows) == [State.PENDING]
    twilio.start()
    clock.advance(seconds=10)
    acknowledge(gateway)
    assert twilio.replies_to(CITIZEN) == ["No. tiket: 10000009"]


def test_a_reply_that_another_worker_took_over_meanwhile_is_left_to_it(
    site: Site, twilio: FakeTwilio, rows: Rows, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, other = site.gateway(), site.gateway()
    queue(gateway, "satu", "dua")
    claim = gateway.spool.outbox.claim(10, timedelta(seconds=5), kinds=["reply"])
    clock.advance(seconds=6)  # the first worker is slow: its lease ends
    assert acknowledge(other) == 2
    monkeypatch.setattr(gateway.spool.outbox, "claim", lambda *_, **__: claim)
    acknowledge(gateway)
    assert twilio.replies_to(CITIZEN) == ["satu", "dua"], "each once"
    assert states(rows) == [State.DONE] * 2
