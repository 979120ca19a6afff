"""The inbox is emptied in one transaction a batch: nothing lost, nothing doubled, one bad row pays alone."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from adapters.sms.twilio.simulator import FakeTwilio
from gateway.bootstrap import Gateway
from gateway.domain.ids import new_id
from gateway.domain.tickets import make_ticket
from gateway.ports import JSON, Envelope
from gateway.spool import Spool
from gateway.spool.inbox import Incoming
from gateway.spool.tables import Kind, State, cases, inbox, outbox, references, tickets
from gateway.storage.crypto import Keyring
from tests.gateway.fixture_types import Drain, MakeIncoming, Receive, Refuse, Rows
from tests.gateway.site import Site
from tests.gateway.support import StillClock

CITIZEN, STRANGER = "+6281200000001", "+6281200000002"


def intake(gateway: Gateway) -> Any:
    return gateway.stages["intake"]


def put_json(
    gateway: Gateway, clock: StillClock, key: str, payload: bytes, sender: str | None = None, **changes: Any
) -> Any:
    """Store a raw message as a poll would."""
    given = {"id": new_id(), "region": "00", "channel": "sms", "envelope": Envelope(key, sender)}
    given |= {"content_type": JSON, "payload": payload, "received_at": clock()}
    message = Incoming(**(given | changes))
    gateway.spool.inbox.commit([gateway.spool.inbox.seal(message)])
    return message.id


def texts(gateway: Gateway, rows: Rows) -> list[str]:
    """Return the texts of the replies in the outbox."""
    with gateway.database.read() as connection:
        replies = connection.execute(outbox.select().where(outbox.c.kind == Kind.REPLY).order_by(outbox.c.id)).all()
    return [gateway.spool.outbox.unseal(row).text for row in replies]


def test_a_report_opens_a_case_and_queues_its_delivery(site: Site, receive: Receive, rows: Rows) -> None:
    gateway = site.gateway()
    row_id = receive(gateway, "PRINGSEWU jalan berlubang", "SM1")
    assert intake(gateway).run_once() == 1
    (case,), (job,), (row,) = rows(cases), rows(outbox), rows(inbox)
    assert case["correlation_id"] == job["correlation_id"] == row_id
    assert job["kind"] == Kind.DELIVER
    assert job["case_id"] == case["id"]
    assert row["state"] == State.DONE
    assert row["due_at"] is None
    assert row["claim"] is None
    assert intake(gateway).run_once() == 0


def test_the_same_message_by_webhook_and_by_poll_opens_one_case(
    site: Site, receive: Receive, rows: Rows, clock: StillClock
) -> None:
    gateway = site.gateway()
    receive(gateway, "jalan berlubang", "SM1")
    sid = "SM" + "1".rjust(32, "0")
    resource = b'{"sid":"%s","direction":"inbound","from":"+6281200000001","to":"1708","body":"jalan berlubang"}'
    resource %= sid.encode()
    put_json(gateway, clock, sid, resource, CITIZEN)
    put_json(gateway, clock, "another key, the same message", resource, CITIZEN)
    intake(gateway).run_once()
    assert len(rows(inbox)) == 2, "the front door knows the key"
    assert len(rows(cases)) == 1, "and the cases know the message, whatever key it came under"
    assert [row["state"] for row in rows(inbox)] == [State.DONE] * 2
    assert len(rows(outbox)) == 1


def test_a_message_that_comes_again_after_the_purge_opens_no_second_case(
    site: Site, receive: Receive, rows: Rows, clock: StillClock, drain: Drain
) -> None:
    gateway = site.gateway()
    receive(gateway, "jalan berlubang", "SM1")
    drain(gateway)
    clock.advance(days=31)
    gateway.jobs.purge()
    assert rows(inbox) == []
    receive(gateway, "jalan berlubang", "SM1")
    drain(gateway)
    assert len(rows(cases)) == 1


def test_everything_of_a_batch_is_written_or_nothing(site: Site, receive: Receive, rows: Rows, refuse: Refuse) -> None:
    """One transaction: where the outbox refuses the job, neither case nor inbox row has changed."""
    gateway = site.gateway()
    receive(gateway, "jalan berlubang", "SM1")
    refuse("outbox", "kind = 'deliver'")
    intake(gateway).run_once()
    assert rows(cases) == rows(outbox) == []
    (row,) = rows(inbox)
    assert row["state"] == State.DEAD
    assert row["reason"].startswith("rejected: the database refused it")


def test_a_row_that_the_database_refuses_fails_alone(site: Site, receive: Receive, rows: Rows, refuse: Refuse) -> None:
    """The database refuses one case of the batch: by the channel it came on."""
    text = 'code = "74.71"\nname = "Kota Kendari"\n[channels.sms]\nadapter = "sms.twilio"\nsender = "1799"\n'
    gateway = site.gateway(regions={"74.71-kendari.toml": text})
    for number in range(3):
        receive(gateway, "jalan berlubang", f"SM{number}", f"+628120000000{number}")
    receive(gateway, "lampu mati", "SM9", "+6281200000009", channel="74.71/sms")
    refuse("cases", "region = '74.71'")
    intake(gateway).run_once()
    found = {row["region"]: row["state"] for row in rows(inbox)}
    assert found == {"00": State.DONE, "74.71": State.DEAD}
    assert len(rows(cases)) == 3


@pytest.mark.parametrize("payload", [b"not JSON", b"[]", b"{}", b'{"sid":"SM1","direction":"inbound"}', b"\xff"])
def test_what_cannot_be_translated_is_a_dead_letter_alone(
    site: Site, receive: Receive, rows: Rows, clock: StillClock, payload: bytes
) -> None:
    gateway = site.gateway()
    bad = put_json(gateway, clock, "bad", payload, "+6281200000007")
    receive(gateway, "jalan berlubang", "SM2")
    assert intake(gateway).run_once() == 2
    states = {row["id"]: (row["state"], row["reason"]) for row in rows(inbox)}
    assert states[bad][0] == State.DEAD
    assert states[bad][1].startswith("untranslatable: ")
    assert len(rows(cases)) == 1


def test_a_message_of_a_channel_that_is_gone_is_a_dead_letter(site: Site, rows: Rows, clock: StillClock) -> None:
    gateway = site.gateway()
    put_json(gateway, clock, "1", b"{}", channel="lama")
    intake(gateway).run_once()
    (row,) = rows(inbox)
    assert row["state"] == State.DEAD
    assert row["reason"] == "channel_gone: the channel 00/lama is not configured any more; add it again and replay"


def test_a_message_whose_key_is_lost_is_a_dead_letter(
    site: Site, rows: Rows, clock: StillClock, incoming: MakeIncoming
) -> None:
    gateway = site.gateway()
    other = Spool(gateway.database, Keyring([b"x" * 32], b"l" * 32), clock)
    other.inbox.commit([other.inbox.seal(incoming("SM1"))])
    intake(gateway).run_once()
    (row,) = rows(inbox)
    assert row["state"] == State.DEAD
    assert row["reason"].split(":")[0] == "undecryptable"


def test_an_unexpected_error_is_tried_again_and_dead_at_last(
    site: Site, receive: Receive, rows: Rows, clock: StillClock, monkeypatch: pytest.MonkeyPatch, logs: io.StringIO
) -> None:
    gateway = site.gateway(extra="[work]\nattempts = 3\nretry_base = 4\nretry_cap = 6\n")
    receive(gateway, "Jalan rahasia di depan pasar", "SM1")
    receive(gateway, "jalan berlubang", "SM2", STRANGER)
    adapter = gateway.channels["00", "sms"].adapter
    real = adapter.translate

    def broken(raw: Any) -> Any:
        if b"rahasia" in raw.payload:
            raise ZeroDivisionError(raw.payload)
        return real(raw)

    monkeypatch.setattr(adapter, "translate", broken)
    assert intake(gateway).run_once() == 2
    first = rows(inbox)[0]
    assert first["state"] == State.PENDING
    assert first["attempts"] == 1
    assert first["reason"] == "ZeroDivisionError"
    assert timedelta(seconds=2) <= first["due_at"] - clock() <= timedelta(seconds=4), "[work] retry_base is obeyed"
    clock.advance(seconds=4)
    intake(gateway).run_once()
    second = rows(inbox)[0]
    assert timedelta(seconds=3) <= second["due_at"] - clock() <= timedelta(seconds=6), "[work] retry_cap is obeyed"
    clock.advance(seconds=6)
    intake(gateway).run_once()
    (dead, done) = rows(inbox)
    assert dead["state"] == State.DEAD
    assert dead["attempts"] == 3
    assert dead["due_at"] is None
    assert done["state"] == State.DONE
    assert "rahasia" not in logs.getvalue(), "an exception's text may quote the citizen"
    assert "ZeroDivisionError" in logs.getvalue()


def test_what_fails_unexpectedly_while_it_is_written_fails_alone(
    site: Site, receive: Receive, rows: Rows, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adapter lets a lone surrogate through: no database can take that, and no type of ours forbids it."""
    import msgspec

    gateway = site.gateway()
    receive(gateway, "lampu mati", "SM1", STRANGER)
    receive(gateway, "jalan berlubang", "SM2")
    adapter = gateway.channels["00", "sms"].adapter
    real = adapter.translate

    def careless(raw: Any) -> Any:
        (event,) = real(raw)
        return [msgspec.structs.replace(event, external_id="\ud800")] if event.text == "lampu mati" else [event]

    monkeypatch.setattr(adapter, "translate", careless)
    assert intake(gateway).run_once() == 2
    bad, good = rows(inbox)
    assert good["state"] == State.DONE
    assert bad["state"] == State.PENDING
    assert bad["attempts"] == 1
    assert len(rows(cases)) == 1


def test_a_later_message_does_not_overtake_one_that_is_tried_again(
    site: Site, receive: Receive, rows: Rows, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = site.gateway()
    receive(gateway, "pertama", "SM1")
    receive(gateway, "kedua", "SM2")
    receive(gateway, "orang lain", "SM3", STRANGER)
    adapter = gateway.channels["00", "sms"].adapter
    real, failing = adapter.translate, [True]

    def broken(raw: Any) -> Any:
        if failing and b"pertama" in raw.payload:
            raise ZeroDivisionError
        return real(raw)

    monkeypatch.setattr(adapter, "translate", broken)
    intake(gateway).run_once()
    assert [row["state"] for row in rows(inbox)] == [State.PENDING, State.PENDING, State.DONE]
    assert [row["attempts"] for row in rows(inbox)][1] <= 1
    failing.clear()
    clock.advance(seconds=10)
    intake(gateway).run_once()
    with gateway.database.read() as connection:
        found, _ = gateway.spool.cases.get(connection, [row["id"] for row in rows(cases)])
    opened = [case.complaint.description for _, case in sorted(found.items()) if case.complaint]
    assert opened == ["orang lain", "pertama", "kedua"]


def test_a_batch_that_was_taken_over_meanwhile_writes_nothing(
    site: Site, receive: Receive, rows: Rows, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, other = site.gateway(), site.gateway()
    receive(gateway, "jalan berlubang", "SM1")
    late = gateway.spool.inbox.claim(10, timedelta(seconds=30))
    clock.advance(seconds=31)
    assert intake(other).run_once() == 1, "another worker takes it over"
    monkeypatch.setattr(gateway.spool.inbox, "claim", lambda *_: late)
    assert intake(gateway).run_once() == 1
    assert len(rows(cases)) == len(rows(outbox)) == 1


def test_status_of_an_own_ticket_is_asked_of_the_centre(site: Site, receive: Receive, rows: Rows, drain: Drain) -> None:
    gateway = site.gateway()
    receive(gateway, "PRINGSEWU jalan berlubang", "SM1")
    drain(gateway)
    ticket = rows(tickets)[0]["number"]
    receive(gateway, f"status {ticket}", "SM2")
    intake(gateway).run_once()
    gateway.stages["deliver"].run_once()
    assert len(rows(cases)) == 1, "a command is no complaint"
    assert [text for text in texts(gateway, rows) if text.startswith(f"Tiket {ticket}: diterima")]


def test_status_of_a_strangers_ticket_reads_like_that_of_an_unknown_one(
    site: Site, receive: Receive, rows: Rows, drain: Drain
) -> None:
    gateway = site.gateway()
    receive(gateway, "PRINGSEWU jalan berlubang", "SM1")
    drain(gateway)
    ticket, unknown = rows(tickets)[0]["number"], make_ticket(9_999_999)
    before = len(texts(gateway, rows))
    receive(gateway, f"STATUS {ticket}", "SM2", STRANGER)
    receive(gateway, f"STATUS {unknown}", "SM3", STRANGER)
    intake(gateway).run_once()
    foreign, missing = texts(gateway, rows)[before:]
    assert foreign.replace(ticket, "#") == missing.replace(unknown, "#")
    assert "Pringsewu" not in foreign
    assert [row["kind"] for row in rows(outbox)].count(Kind.INQUIRE) == 0, "the centre is not even asked"


def test_help_and_mistyped_tickets_are_answered_at_once(site: Site, receive: Receive, rows: Rows) -> None:
    gateway = site.gateway()
    receive(gateway, "BANTUAN", "SM1")
    receive(gateway, "STATUS 10000000", "SM2")
    intake(gateway).run_once()
    templates = gateway.settings.gateway.templates
    assert texts(gateway, rows) == [templates.help, templates.status_format]
    assert rows(cases) == []


@pytest.mark.parametrize("sender", ["1708", "99999", "TELKOMSEL"])
def test_machines_and_ourselves_are_never_answered(site: Site, receive: Receive, rows: Rows, sender: str) -> None:
    gateway = site.gateway()
    for number, text in enumerate(("BANTUAN", "STATUS 10000000", "Promo pulsa hari ini")):
        receive(gateway, text, f"SM{number}", sender)
    intake(gateway).run_once()
    gateway.stages["deliver"].run_once()
    assert texts(gateway, rows) == []
    assert [row["state"] for row in rows(inbox)] == [State.DONE] * 3


def test_a_talkative_machine_gets_so_many_replies_an_hour(
    site: Site, receive: Receive, rows: Rows, clock: StillClock
) -> None:
    gateway = site.gateway(extra="[replies]\nper_hour = 3\n")
    for number in range(5):
        receive(gateway, "BANTUAN", f"SM{number}")
    receive(gateway, "BANTUAN", "SM9", STRANGER)
    intake(gateway).run_once()
    assert len(texts(gateway, rows)) == 4
    held = gateway.metrics.registry.get_sample_value(
        "lapor_replies_total", {"region": "00", "channel": "sms", "outcome": "suppressed"}
    )
    assert held == 2
    clock.advance(minutes=61)
    receive(gateway, "BANTUAN", "SM10")
    intake(gateway).run_once()
    assert len(texts(gateway, rows)) == 5


def test_receipts_are_noted_and_never_go_back(
    site: Site, receive: Receive, rows: Rows, clock: StillClock, twilio: FakeTwilio
) -> None:
    gateway = site.gateway()
    receive(gateway, "BANTUAN", "SM1")
    intake(gateway).run_once()
    gateway.stages["acknowledge"].run_once()
    (sent,) = twilio.messages("outbound-api")

    def receipt(status: str) -> None:
        sent.status_callback = "http://127.0.0.1:8080/in/00/sms"
        request = twilio.receipt(sent, status)
        envelope = gateway.channels["00", "sms"].adapter.verify(request)
        put_json(gateway, clock, envelope.key, request.dump(), envelope.sender, content_type="message/http")
        intake(gateway).run_once()

    receipt("delivered")
    receipt("sent")
    assert [row["delivery"] for row in rows(references)] == ["delivered"]
    assert {row["state"] for row in rows(inbox)} == {State.DONE}
    assert rows(cases) == []


def test_an_anonymous_complaint_is_nowhere_linked_in_readable_form(
    site: Site, receive: Receive, rows: Rows, drain: Drain
) -> None:
    from gateway.central.tables import complaints

    gateway = site.gateway()
    receive(gateway, "ANONIM/RAHASIA guru minta pungli", "SM1")
    drain(gateway)
    (row,) = rows(complaints)
    assert row["reporter"] is None
    assert row["anonymous"] is True
    assert row["confidential"] is True
    assert row["description"] == "guru minta pungli"


def test_many_messages_of_many_people_all_become_cases(site: Site, receive: Callable[..., Any], rows: Rows) -> None:
    gateway = site.gateway(extra="[work]\nbatch = 7\n")
    for number in range(30):
        receive(gateway, f"jalan rusak {number}", f"SM{number}", f"+62812000000{number % 5}0")
    while intake(gateway).run_once():
        continue
    assert len(rows(cases)) == 30
    assert {row["state"] for row in rows(inbox)} == {State.DONE}
