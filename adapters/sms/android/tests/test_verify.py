"""Test which webhooks of the phone are accepted, and which of them are one message."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from adapters.sms.android.simulator import FakePhone, Incoming
from adapters.sms.android.tests.support import AT, CITIZEN, KEY, OLD_KEY, URL, make, sms
from gateway.domain.errors import Malformed, Untranslatable, Unverified
from gateway.ports.wire import WebhookRequest
from gateway.testing.forge import stored


@pytest.mark.parametrize(("key", "valid"), [(KEY, True), (OLD_KEY, True), ("somebody else's", False)])
def test_which_key_signs(fake: FakePhone, key: str, valid: bool) -> None:
    fake.signing_key = key
    request = fake.signed(fake.body(sms("x")))
    if valid:
        assert make().verify(request).sender == CITIZEN
    else:
        with pytest.raises(Unverified):
            make().verify(request)


def test_changed_key_is_forgotten_once_removed(fake: FakePhone) -> None:
    fake.signing_key = OLD_KEY
    with pytest.raises(Unverified):
        make(previous_signing_key=None).verify(fake.signed(fake.body(sms("x"))))


@pytest.mark.parametrize("timestamp", [0, 1_772_600_767, 4_102_444_800], ids=["1970", "2026", "2100"])
def test_age_of_the_timestamp_does_not_matter(fake: FakePhone, timestamp: int) -> None:
    # After its battery was empty, a phone's clock may stand at the date of the factory.
    assert make().verify(fake.signed(fake.body(sms("x")), timestamp)).sender == CITIZEN


@pytest.mark.parametrize("timestamp", ["", "x", "-1", "1.5", "１", "1 ", 'é"}'])
def test_misshapen_timestamp_is_unverified(fake: FakePhone, timestamp: str) -> None:
    request = fake.signed(fake.body(sms("x")))
    with pytest.raises(Unverified):
        make().verify(replace(request, headers={**request.headers, "x-timestamp": timestamp}))


def test_digits_cannot_be_moved_from_the_timestamp_to_the_body(fake: FakePhone) -> None:
    # The signature of the whole run stays right, but the body would have another key: one message would become two.
    request = fake.signed(fake.body(sms("x")), 1_772_600_767)
    moved = replace(request, body=request.body + b"17", headers={**request.headers, "x-timestamp": "72600767"})
    with pytest.raises(Malformed):
        make().verify(moved)


def test_signature_in_capitals_is_right(fake: FakePhone) -> None:
    request = fake.signed(fake.body(sms("x")))
    headers = {**request.headers, "x-signature": request.headers["x-signature"].upper()}
    assert make().verify(replace(request, headers=headers)).sender == CITIZEN


def test_answer_is_an_empty_200() -> None:
    answer = make().accepted(WebhookRequest("POST", URL, {}, b""))
    assert answer.status == 200
    assert answer.body == b""


def key_of(fake: FakePhone, body: bytes) -> str:
    return make().verify(fake.signed(body)).key


def test_every_copy_of_a_message_has_one_key(fake: FakePhone) -> None:
    message = sms("Jalan rusak 😭")
    first = fake.body(message)
    copies = {
        "signed again later": first,
        "two events for one SMS": fake.body(sms("Jalan rusak 😭", id="evt2")),
        "by the webhook of another account": first.replace(fake.device_id.encode(), b"MxKw03Q2ZVoomrLeDLlMO"),
        "in the older form": fake.body(message, old=True),
        "with another hash of the app": first.replace(message.message_id.encode(), b"ffffffff"),
        "after the phone moved to another zone": first.replace(b"12:06:07.000+07:00", b"14:06:07.000+09:00"),
    }
    assert copies["after the phone moved to another zone"] != first
    assert {how: key_of(fake, body) for how, body in copies.items()} == dict.fromkeys(copies, key_of(fake, first))
    ids = {make().translate(stored(fake.signed(body)))[0].external_id for body in copies.values()}
    assert ids == {key_of(fake, first)}


@pytest.mark.parametrize(
    "other",
    [
        sms("STATUS", at=AT + timedelta(days=1)),  # the app's hash may be the same, because it leaves out the time
        sms("STATUS", at=AT + timedelta(seconds=1)),
        sms("STATUS", sender="+6281200000998"),
        sms("status"),
        sms(""),
    ],
)
def test_another_message_has_another_key(fake: FakePhone, other: Incoming) -> None:
    same_hash = fake.body(other).replace(other.message_id.encode(), sms("STATUS").message_id.encode())
    assert key_of(fake, same_hash) != key_of(fake, fake.body(sms("STATUS")))


@pytest.mark.parametrize(
    "body", [b"{}", b'{"event":"sms:received"}', b'{"event":7,"id":"a"}', b'{"event":"sms:sent","payload":{}}', b"[{}"]
)
def test_signed_event_that_cannot_be_read_is_stored(fake: FakePhone, body: bytes) -> None:
    # If refused, it is lost after the app's retries of two days; if stored, it can be replayed with a later adapter.
    request = fake.signed(body + b"}" * (not body.endswith(b"}")))
    assert make().verify(request) == make().verify(request)
    with pytest.raises(Untranslatable):
        make().translate(stored(request))


@pytest.mark.parametrize("event", ["sms:received", "sms:batch:received", "sms:failed", "system:ping"])
def test_too_many_brackets_inside_brackets_are_untranslatable(fake: FakePhone, event: str) -> None:
    """Send JSON for which the parser raises `RecursionError`, which must not end the connection."""
    deep = b"[" * 100_000 + b"]" * 100_000
    request = fake.signed(
        b'{"event":"%b","id":"e1","payload":{"messages":%b,"message":%b}}' % (event.encode(), deep, deep)
    )
    assert make().verify(request).key
    with pytest.raises(Untranslatable):
        make().translate(stored(request))


def test_parts_of_a_receipt_are_one(fake: FakePhone) -> None:
    bodies = [fake.event("sms:delivered", {"messageId": "r1", "phoneNumber": CITIZEN}) for _ in range(3)]
    assert {key_of(fake, body) for body in bodies} == {"sms:delivered:r1"}
    assert len(set(bodies)) == 3
