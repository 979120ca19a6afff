"""Test parts of long messages, and delivery receipts."""

from __future__ import annotations

import pytest

from adapters.sms.http.simulator import FakeAggregator, calls
from adapters.sms.http.tests.support import CITIZEN, MOMENT, SECRETS, URL, example, kannel_call, make, text_of
from gateway.domain.errors import Untranslatable
from gateway.domain.events import CitizenMessage, Delivery, DeliveryReceipt, MessagePart
from gateway.ports.wire import WebhookRequest
from gateway.testing.forge import stored

LONG = (
    "Kepada Bapak Bupati ingkang kinurmatan, margi ing dhusun kula risak sanget 😭 lan jembatanipun sampun "
    "ambrol wiwit wulan kepengker ꦗꦮ. " * 3 + "Matur nuwun 🙏🏽"
)


def octet_parts(text: str, size: int) -> list[bytes]:
    octets = text.encode("utf-16-be")
    return [octets[start : start + size] for start in range(0, len(octets), size)]


def udh_calls(pieces: list[bytes], *, raw: bool, reference: int = 7) -> list[WebhookRequest]:
    requests = []
    for number, piece in enumerate(pieces, 1):
        header = bytes([5, 0, 3, reference, len(pieces), number])
        udh = header if raw else header.hex()
        requests.append(kannel_call(id=f"p{number}", udh=udh, coding="2", charset="UTF-16BE", text=piece))
    return requests


@pytest.mark.parametrize("form", ["raw", "hex"])
@pytest.mark.parametrize("size", [134, 131, 67, 1])
def test_parts_are_joined_as_bytes(form: str, size: int) -> None:
    adapter = make("kannel", receive={"parts": {"udh": "udh", "udh_form": form}})
    text = LONG if size > 60 else LONG[90:110]
    requests = udh_calls(octet_parts(text, size), raw=form == "raw")
    events = {}
    for request in reversed(requests):
        (event,) = adapter.translate(stored(request))
        assert isinstance(event, MessagePart)
        events[event.number] = event
    assert len({adapter.verify(request).key for request in requests}) == len(requests)
    assert {event.group for event in events.values()} == {f"1708:udh8:7:{len(requests)}"}
    assert sorted(events) == list(range(1, len(requests) + 1))
    joined = adapter.join([stored(request) for request in requests])
    assert joined.text == text
    assert joined.external_id == adapter.verify(requests[0]).key


def test_a_missing_part_leaves_a_mark() -> None:
    adapter = make("kannel", receive={"parts": {"udh": "udh", "udh_form": "raw"}})
    first, _, third = (stored(request) for request in udh_calls(octet_parts("satu dua tiga", 10), raw=True))
    assert adapter.join([first, None, third]).text == "satu  […] iga"
    assert adapter.join([None, None, third]).text == " […] iga"
    with pytest.raises(Untranslatable):
        adapter.join([None, None])


@pytest.mark.parametrize(
    ("charset", "codec", "size"), [("UTF-16BE", "utf-16-be", 5), ("UTF-16BE", "utf-16-be", 6), ("UTF-8", "utf-8", 5)]
)
@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_missing_part_with_half_a_character_leaves_the_rest_readable(
    charset: str, codec: str, size: int, lost: int
) -> None:
    adapter = make("kannel", receive={"parts": {"udh": "udh", "udh_form": "raw"}})
    octets = "é😭é😭é"[:5].encode(codec)
    requests = [
        kannel_call(
            id=f"p{number}",
            udh=bytes([5, 0, 3, 1, 3, number + 1]),
            coding="",
            charset=charset,
            text=octets[number * size : (number + 1) * size],
        )
        for number in range(3)
    ]
    parts = [None if number == lost else stored(request) for number, request in enumerate(requests)]
    assert " […] " in adapter.join(parts).text


def test_parts_by_reference_number_and_total() -> None:
    parts = {"reference": "data.ref", "number": "data.part", "total": "data.parts"}
    adapter = make("json", receive={"parts": parts})
    fake = FakeAggregator(example("json"), webhook_url=URL)

    def part(number: int, text: str, ref: str = "r-1", id_: str = "same") -> WebhookRequest:
        more = {"data.ref": ref, "data.part": number, "data.parts": 2, "data.message": text}
        return calls.call(example("json"), URL, fake.fields(CITIZEN, id_, MOMENT) | more)

    first, second = part(1, "Jalan "), part(2, "rusak")
    keys = {adapter.verify(first).key, adapter.verify(second).key}
    assert len(keys) == 2, "an aggregator may give all parts one id"
    groups = {adapter.translate(stored(request))[0].group for request in (first, second)}
    assert len(groups) == 1
    assert adapter.translate(stored(part(1, "x", ref="r-2")))[0].group not in groups
    assert adapter.join([stored(first), stored(second)]).text == "Jalan rusak"
    whole = calls.call(example("json"), URL, fake.fields(CITIZEN, "w", MOMENT) | {"data.message": "utuh"})
    assert text_of(adapter, whole) == "utuh"


@pytest.mark.parametrize("udh", ["", "050003070101", "06050400ff0000", "050003070200"])
def test_headers_of_a_complete_message(udh: str) -> None:
    adapter = make("kannel", receive={"parts": {"udh": "udh"}})
    assert text_of(adapter, kannel_call(udh=udh)) == "x"


def test_header_that_is_cut_is_untranslatable() -> None:
    adapter = make("kannel", receive={"parts": {"udh": "udh"}})
    with pytest.raises(Untranslatable):
        adapter.translate(stored(kannel_call(udh="0500030702")))


@pytest.mark.parametrize(
    ("status", "state"), [("1", "delivered"), ("2", "failed"), ("4", "sent"), ("8", "sent"), ("16", "failed")]
)
def test_kannel_receipts(status: str, state: str) -> None:
    request = WebhookRequest(
        "GET", f"{URL}?token={SECRETS['KANNEL_TOKEN']}&dlr={status}&reply=abc", {}, b"", "127.0.0.1"
    )
    assert make("kannel").verify(request).key == f"receipt:abc:{status}"
    assert make("kannel").translate(stored(request)) == [DeliveryReceipt(external_id="abc", state=Delivery(state))]


def test_receipt_is_recognised_by_a_parameter_of_its_own() -> None:
    adapter = make("kannel", receipts={"when": "event", "status": "coding"})
    message = kannel_call(coding="0", charset="UTF-8")
    assert isinstance(adapter.translate(stored(message))[0], CitizenMessage)
    receipt = kannel_call(coding="1", event="dlr", reply="abc")
    assert adapter.translate(stored(receipt)) == [DeliveryReceipt(external_id="abc", state=Delivery.DELIVERED)]
