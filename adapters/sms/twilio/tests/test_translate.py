"""Test the events of Twilio's stored messages."""

from __future__ import annotations

import json

import msgspec
import pytest

from adapters.sms.twilio.settings import API
from adapters.sms.twilio.simulator import FakeTwilio
from adapters.sms.twilio.tests.support import CITIZEN, MESSAGE, SID, make
from gateway.domain.errors import Untranslatable
from gateway.domain.events import CitizenMessage, Delivery, DeliveryReceipt, Ignored
from gateway.ports import JSON
from gateway.testing.forge import raw_message, stored


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("queued", Delivery.SENT),
        ("sending", Delivery.SENT),
        ("sent", Delivery.SENT),
        ("delivered", Delivery.DELIVERED),
        ("read", Delivery.DELIVERED),
        ("undelivered", Delivery.FAILED),
        ("failed", Delivery.FAILED),
    ],
)
def test_receipts(fake: FakeTwilio, status: str, state: Delivery) -> None:
    request = fake.signed(
        [("MessageSid", MESSAGE), ("MessageStatus", status), ("ErrorCode", "30003"), ("From", "1708")]
    )
    envelope = make().verify(request)
    assert envelope.key == f"{MESSAGE}:{status}"
    assert envelope.sender == MESSAGE
    assert make().translate(stored(request)) == [DeliveryReceipt(external_id=MESSAGE, state=state, error="30003")]


def test_message_from_our_own_number_is_ignored(fake: FakeTwilio) -> None:
    request = fake.signed([("MessageSid", MESSAGE), ("From", "1708"), ("To", "1708"), ("Body", "x")])
    assert make().translate(stored(request)) == [Ignored(why="our own message")]


def test_resource_with_media_refers_to_the_list(fake: FakeTwilio) -> None:
    fake.send(CITIZEN, "", [("image/jpeg", b"x")], call=False)
    (row,) = make(api_base=fake.url).poll(None).messages
    (event,) = make().translate(raw_message(row.payload, row.content_type))
    sid = fake.messages()[0].sid
    assert [attachment.url for attachment in event.attachments] == [
        f"{API}/2010-04-01/Accounts/{SID}/Messages/{sid}/Media.json"
    ]
    assert event.text == ""


def test_webhook_and_resource_become_the_same_message(fake: FakeTwilio) -> None:
    adapter = make(api_base=fake.url)
    fake.send(CITIZEN, "Jalan rusak 😭", call=False)
    (row,) = adapter.poll(None).messages
    webhook = fake.webhook(fake.messages()[0])
    assert adapter.verify(webhook) == row.envelope
    (called,) = adapter.translate(stored(webhook))
    (listed,) = adapter.translate(raw_message(row.payload, JSON))
    assert isinstance(called, CitizenMessage)
    assert listed.sent_at is not None  # only the resource has it
    assert msgspec.structs.replace(listed, sent_at=None) == called


@pytest.mark.parametrize(
    "date", ["yesterday", "99", "Mon, 99 Foo 2026 99:99:99 +9999", "Sat, 21 Nov 99999 00:00 +0000"]
)
def test_bad_date_is_untranslatable(date: str) -> None:
    resource = {"sid": MESSAGE, "direction": "inbound", "from": CITIZEN, "to": "1708", "body": "x", "date_sent": date}
    with pytest.raises(Untranslatable):
        make().translate(raw_message(json.dumps(resource).encode()))
