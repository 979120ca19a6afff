"""A citizen's message, interpreted: the canonical complaint, who is told of it, and who is answered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.complaint import Attachment, dump, load
from gateway.domain.events import CitizenMessage
from gateway.domain.ids import new_id
from gateway.pipeline.interpret.commands import HelpRequest, Report
from gateway.pipeline.interpret.compose import Composed, Composer
from gateway.ports import Channel, RawMessage, Secret
from gateway.settings.files import GatewayFile, RegionFile
from gateway.settings.rules import CategoryRule, Route
from gateway.settings.sections import Encryption, Server

KEY = Secret("a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=")
GATEWAY = GatewayFile(
    server=Server(public_url="http://127.0.0.1:8080"),
    encryption=Encryption(keys=[KEY], lookup_key=KEY),
    categories=[CategoryRule(code="pekerjaan-umum", words=["jalan"])],
)
REGIONS = [
    RegionFile(code="00", name="Indonesia"),
    RegionFile(
        code="18.10",
        name="Kabupaten Pringsewu",
        keywords=["PRINGSEWU"],
        routes=[Route(agency="Dinas PUPR Kabupaten Pringsewu", category="pekerjaan-umum")],
    ),
]
COMPOSER = Composer(GATEWAY, REGIONS, GATEWAY.templates)
CITIZEN = "+6281200000001"


def compose(text: str, *, sender: str = CITIZEN, region: str = "00", replies: bool = True, **changes: Any) -> Composed:
    raw = RawMessage(
        id=new_id(), region=region, channel="sms", content_type="", payload=b"", received_at=datetime.now(UTC)
    )
    own = frozenset({"1708", "+6281299991708"})
    channel = Channel(region=region, name="sms", adapter_key="toy", adapter=None, own_addresses=own, replies=replies)
    message = CitizenMessage(external_id="SM1", sender=sender, recipient="1708", text=text, **changes)
    return COMPOSER.compose(message, raw, channel, new_id())


def test_a_report_becomes_a_complaint_with_a_reason_for_everything() -> None:
    found = compose("PRINGSEWU jalan berlubang\ndi depan pasar", sender="0812 0000 0001", sender_name="Ibu\x00 Sari")
    complaint = found.complaint
    assert complaint is not None
    assert complaint.title == "jalan berlubang"
    assert complaint.description == "jalan berlubang\ndi depan pasar"
    assert (complaint.place.code, complaint.place.reason) == ("18.10", "keyword: PRINGSEWU")
    assert (complaint.category.value, complaint.category.reason) == ("pekerjaan-umum", "word: jalan")
    assert (complaint.agency.value, complaint.agency.reason) == ("Dinas PUPR Kabupaten Pringsewu", "18.10 route 1")
    assert (complaint.reporter.phone, complaint.reporter.name) == (CITIZEN, "Ibu Sari")
    assert complaint.source.external_id == "SM1"
    assert found.contact == CITIZEN


def test_a_keyword_counts_on_the_national_channel_only() -> None:
    complaint = compose("PRINGSEWU jalan berlubang", region="74.71").complaint
    assert complaint is not None
    assert (complaint.place.code, complaint.description) == ("74.71", "PRINGSEWU jalan berlubang")
    assert complaint.place.reason == "the channel's region"


def test_an_anonymous_complaint_has_no_reporter_and_its_sender_is_still_answered() -> None:
    found = compose("ANONIM jalan berlubang", sender_name="Ibu Sari")
    assert found.complaint is not None
    assert (found.complaint.anonymous, found.complaint.reporter) == (True, None)
    stored = dump(found.complaint)
    assert b"81200000001" not in stored
    assert b"Sari" not in stored
    assert found.contact == CITIZEN


def test_a_confidential_complaint_says_so() -> None:
    complaint = compose("RAHASIA jalan berlubang").complaint
    assert complaint is not None
    assert (complaint.confidential, complaint.anonymous) == (True, False)
    assert complaint.reporter is not None


@pytest.mark.parametrize("sender", ["1708", "99999", "TELKOMSEL", "", "0812-9999-1708", "+6281299991708"])
def test_nobody_is_answered_who_is_ourselves_a_short_code_or_a_machine(sender: str) -> None:
    for text in ("Promo pulsa!", "BANTUAN", "STATUS 12"):
        assert compose(text, sender=sender).contact is None


def test_a_silent_channel_answers_nobody() -> None:
    assert compose("jalan berlubang", replies=False).contact is None


def test_an_address_that_is_no_phone_is_answered_as_it_is() -> None:
    found = compose("jalan berlubang", sender="123456789", sender_is_phone=False)
    assert found.contact == "123456789"
    assert found.complaint is not None
    assert (found.complaint.reporter.address, found.complaint.reporter.phone) == ("123456789", None)


def test_a_picture_without_text_is_a_complaint() -> None:
    attachments = (Attachment(url="https://api.twilio.com/x"),)
    complaint = compose("", attachments=attachments).complaint
    assert complaint is not None
    assert (complaint.title, complaint.description) == ("(tanpa teks)", "(tanpa teks)")
    assert complaint.attachments == attachments


def test_an_empty_message_is_answered_with_help() -> None:
    found = compose(" \x00 ")
    assert isinstance(found.request, HelpRequest)
    assert found.complaint is None


@settings(max_examples=300)
@given(
    st.text(st.characters(exclude_categories=()), max_size=300)
    | st.builds(lambda word, rest: f"{word} {rest}", st.sampled_from(["ANONIM", "RAHASIA", "STATUS"]), st.text()),
    st.text(max_size=20) | st.just(CITIZEN),
    st.none() | st.text(max_size=20),
)
def test_any_message_is_composed_and_no_report_is_lost(text: str, sender: str, name: str | None) -> None:
    found = compose(text, sender=sender, sender_name=name)
    if isinstance(found.request, Report):
        assert found.complaint is not None
        assert found.complaint.title
        assert found.complaint.description
        assert load(dump(found.complaint)) == found.complaint
        assert (found.complaint.reporter is None) == found.complaint.anonymous
