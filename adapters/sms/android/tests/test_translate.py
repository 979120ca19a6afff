"""Test the events of the phone's stored webhooks."""

from __future__ import annotations

import pytest

from adapters.sms.android.simulator import FakePhone, received_payload
from adapters.sms.android.tests.support import CITIZEN, OURS, make, sms
from gateway.domain.errors import Untranslatable
from gateway.domain.events import Delivery, DeliveryReceipt, Event, Ignored, Notice
from gateway.testing.forge import stored


def events_of(fake: FakePhone, name: str, payload: dict[str, object]) -> list[Event]:
    return make().translate(stored(fake.signed(fake.event(name, payload))))


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("sms:sent", Delivery.SENT),
        ("sms:delivered", Delivery.DELIVERED),
        ("sms:failed", Delivery.FAILED),
        ("sms:cancelled", Delivery.FAILED),
    ],
)
def test_receipts(fake: FakePhone, name: str, state: Delivery) -> None:
    reason = f"Send result: RESULT_ERROR_NO_SERVICE for {CITIZEN}"
    (event,) = events_of(fake, name, {"messageId": "r1", "recipient": CITIZEN, "reason": reason})
    assert event == DeliveryReceipt(external_id="r1", state=state, error="RESULT_ERROR_NO_SERVICE")


def test_message_from_our_own_number_is_ignored(fake: FakePhone) -> None:
    assert make().translate(stored(fake.signed(fake.body(sms("x", sender=OURS))))) == [Ignored(why="our own message")]


def test_missing_recipient_is_our_number(fake: FakePhone) -> None:
    (event,) = events_of(fake, "sms:received", received_payload(sms("x")) | {"recipient": None})
    assert event.recipient == OURS


@pytest.mark.parametrize("missing", ["message", "receivedAt"])
def test_message_without_a_field_is_untranslatable(fake: FakePhone, missing: str) -> None:
    payload = received_payload(sms("x"))
    del payload[missing]
    with pytest.raises(Untranslatable, match=missing):
        events_of(fake, "sms:received", payload)


@pytest.mark.parametrize("date", ["yesterday", "2026-03-04T05:06:07", "9999-12-31T23:59:59-23:00"])
def test_bad_date_is_untranslatable(fake: FakePhone, date: str) -> None:
    with pytest.raises(Untranslatable):
        events_of(fake, "sms:received", received_payload(sms("x")) | {"receivedAt": date})


def test_messages_of_a_batch_are_the_messages_alone(fake: FakePhone) -> None:
    first, second = sms("satu"), sms("dua")
    batch = fake.event("sms:batch:received", {"messages": [received_payload(first), received_payload(second)]})
    alone = [make().translate(stored(fake.signed(fake.body(message))))[0] for message in (first, second)]
    assert make().translate(stored(fake.signed(batch))) == alone


def test_empty_batch_is_ignored(fake: FakePhone) -> None:
    assert events_of(fake, "sms:batch:received", {"messages": []}) == [Ignored(why="an empty batch")]


@pytest.mark.parametrize(
    ("battery", "well", "text"),
    [(90, True, "the phone is ready"), (24, False, "battery"), (5, False, "battery")],
)
def test_ping_gives_the_state_of_the_phone(fake: FakePhone, battery: int, well: bool, text: str) -> None:
    fake.battery = battery
    (notice,) = events_of(fake, "system:ping", {"health": fake.health()})
    assert isinstance(notice, Notice)
    assert notice.well == well
    assert text in notice.text


def test_ping_of_an_older_app_means_that_the_phone_is_well(fake: FakePhone) -> None:
    assert events_of(fake, "system:ping", {}) == [Notice(well=True, text="the phone is ready")]


def test_trouble_that_the_adapter_does_not_know_is_reported(fake: FakePhone) -> None:
    health = {"status": "fail", "checks": {"modem:fire": {"status": "fail"}}}
    assert events_of(fake, "system:ping", {"health": health}) == [
        Notice(well=False, text="the app on the phone reports a trouble")
    ]
