"""Test how a reply is sent through Twilio, and looked up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from adapters.sms.twilio.adapter import TwilioSms
from adapters.sms.twilio.simulator import FakeTwilio
from adapters.sms.twilio.tests.support import CITIZEN, URL, a_reply, make
from gateway.domain.errors import Rejected, Throttled, Unavailable


def test_reply_is_folded_and_found_folded(adapter: TwilioSms, fake: FakeTwilio) -> None:
    reply = a_reply("“Laporan” – diterima…")
    receipt = adapter.reply(reply)
    assert fake.replies_to(CITIZEN) == ['"Laporan" - diterima...']
    assert adapter.find(reply) == receipt


def test_older_reply_with_the_same_text_is_another_one(adapter: TwilioSms, fake: FakeTwilio) -> None:
    adapter.reply(a_reply())
    fake.messages("outbound-api")[0].date_created -= timedelta(minutes=1)
    assert adapter.find(a_reply()) is None
    assert adapter.find(a_reply(age=120)) is not None


def test_reply_to_another_number_is_another_one(adapter: TwilioSms) -> None:
    adapter.reply(a_reply(to="+6281200000998"))
    assert adapter.find(a_reply()) is None


@pytest.mark.parametrize(("receipts", "callback"), [(True, URL), (False, None)])
def test_status_callback(fake: FakeTwilio, receipts: bool, callback: str | None) -> None:
    make(api_base=fake.url, receipts=receipts).reply(a_reply())
    assert fake.messages()[0].status_callback == callback


def test_retry_after_is_kept(adapter: TwilioSms, fake: FakeTwilio) -> None:
    fake.fail("throttle")
    with pytest.raises(Throttled) as caught:
        adapter.reply(a_reply())
    assert caught.value.retry_after == 1.0


@pytest.mark.parametrize(
    ("how", "error", "error_text"),
    [
        ("unauthorized", Unavailable, "auth_token"),
        ("reject:21606", Unavailable, "sender"),
        ("reject:21408", Unavailable, "console"),
        ("reject:21611", Throttled, "21611"),
        ("reject:21610", Rejected, "21610"),
        ("reject:21617", Rejected, "21617"),
    ],
)
def test_error_that_an_operator_can_repair_is_not_final(
    adapter: TwilioSms, fake: FakeTwilio, how: str, error: type[Throttled | Unavailable | Rejected], error_text: str
) -> None:
    fake.fail(how)
    with pytest.raises(error, match=error_text) as caught:
        adapter.reply(a_reply())
    assert type(caught.value) is error


@pytest.mark.parametrize(
    "call",
    [
        lambda adapter: adapter.reply(a_reply()),
        lambda adapter: adapter.find(a_reply()),
        lambda adapter: adapter.poll(None),
    ],
    ids=["reply", "find", "poll"],
)
def test_a_host_that_does_not_answer_is_unavailable(fake: FakeTwilio, call: Callable[[TwilioSms], object]) -> None:
    adapter = make(api_base=fake.url)
    fake.stop()
    with pytest.raises(Unavailable):
        call(adapter)


def test_parts_are_those_of_the_folded_text() -> None:
    assert make().parts("“" * 160) == 1
    assert make().parts("😭" * 36) == 2
