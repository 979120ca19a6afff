"""Test the sample configuration with a whole gateway and a simulated phone, from the SMS to the answer."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from adapters import BUILTIN
from adapters.sms.android.simulator import FakePhone, received_payload
from gateway.bootstrap import Gateway, build
from gateway.central.tables import complaints
from gateway.domain.events import Delivery
from gateway.ports import ChannelId
from gateway.ports.registry import Registry
from gateway.ports.wire import WebhookRequest
from gateway.settings.reader import load
from gateway.spool.tables import State, inbox, outbox, references
from gateway.testing import requestfile

ROOT = Path(__file__).parents[4]
SAMPLE = (Path(__file__).parents[1] / "sample.toml").read_text("utf-8")
REQUESTS = Path(__file__).parent / "requests"
CITIZEN = "+6281200000999"
OURS = "+6281200000100"
CHANNEL = ChannelId("18.71", "telepon")
PUBLIC = "https://lapor.example.go.id/in/18.71/telepon"
MAIN = """
[server]
public_url = "https://lapor.example.go.id"
[database]
url = "sqlite:///gateway.db"
[encryption]
keys = [{ file = "storage-key" }]
lookup_key = { file = "lookup-key" }
[[categories]]
code = "pekerjaan-umum"
words = ["jalan", "dalan"]
"""
NATIONAL = 'code = "00"\nname = "Indonesia"\n'


@pytest.fixture
def phone() -> Iterator[FakePhone]:
    # The delay keeps the phone's own webhooks back: a test passes each one to the gateway.
    with FakePhone(
        user="sms",
        password="test-password",
        signing_key="test-signing-key",
        sender=OURS,
        webhook_url=PUBLIC,
        delivery_delay=60,
    ) as phone:
        yield phone


@pytest.fixture
def gateway(tmp_path: Path, phone: FakePhone) -> Iterator[Gateway]:
    keys = tmp_path / "var" / "keys"
    keys.mkdir(parents=True)
    for name, secret in (("password", "test-password"), ("signing-key", "test-signing-key")):
        path = keys / f"bandar-lampung-android-{name}"
        path.write_text(secret)
        path.chmod(0o600)
    for name, key in (("storage-key", b"s" * 32), ("lookup-key", b"l" * 32)):
        (tmp_path / name).write_bytes(base64.b64encode(key))
    config = tmp_path / "config"
    (config / "regions").mkdir(parents=True)
    (config / "gateway.toml").write_text(MAIN)
    (config / "regions" / "00-nasional.toml").write_text(NATIONAL)
    region = SAMPLE.replace("http://127.0.0.1:17087", phone.url)
    (config / "regions" / "18.71-bandar-lampung.toml").write_text(region)
    registry = Registry(BUILTIN)
    gateway = build(load(config, registry), registry)
    gateway.prepare()
    yield gateway
    gateway.close()


def stored(gateway: Gateway, table: sa.Table) -> list[sa.Row[tuple[object, ...]]]:
    with gateway.database.read() as connection:
        return list(connection.execute(sa.select(table).order_by(table.c.id)).all())


def receive(gateway: Gateway, request: WebhookRequest) -> int:
    _, answer = asyncio.run(gateway.receiver.webhook(gateway.channels[CHANNEL], request))
    return answer.status


def work(gateway: Gateway) -> None:
    while sum(stage.run_once() for stage in gateway.stages.values()):
        pass


def poll(gateway: Gateway) -> int | None:
    return gateway.receiver.poll(gateway.channels[CHANNEL], uuid4())


def test_sample_configuration_has_no_fault(gateway: Gateway) -> None:
    channel = gateway.channels[CHANNEL]
    assert channel.adapter_key == "sms.android"
    assert channel.own_addresses == {OURS}


def test_seven_parts_in_javanese_arrive_whole_and_are_answered(gateway: Gateway, phone: FakePhone) -> None:
    recorded = requestfile.read(REQUESTS / "message-seven-parts-javanese.http")
    text = json.loads(recorded.body)["payload"]["message"]
    assert len(text.encode("utf-16-le")) // 2 > 6 * 67  # seven parts of UCS-2
    assert receive(gateway, phone.signed(recorded.body)) == 200
    work(gateway)
    (complaint,) = stored(gateway, complaints)
    assert complaint.description == text
    (answer,) = phone.replies_to(CITIZEN)
    assert complaint.ticket in answer
    # The phone sends a receipt per part; the first one counts.
    (reply,) = phone.replies()
    receipt = {"messageId": reply.id, "sender": OURS, "recipient": CITIZEN}
    for event in ("sms:delivered", "sms:sent", "sms:delivered"):
        assert receive(gateway, phone.signed(phone.event(event, receipt))) == 200
    work(gateway)
    assert {row.state for row in (*stored(gateway, inbox), *stored(gateway, outbox))} == {State.DONE}
    assert len(stored(gateway, inbox)) == 3  # the message, sent, delivered
    with gateway.database.read() as connection:
        assert connection.scalar(sa.select(references.c.delivery)) == Delivery.DELIVERED


def test_one_sms_is_one_complaint_whichever_way_it_comes(gateway: Gateway, phone: FakePhone) -> None:
    poll(gateway)  # the channel begins
    phone.send(CITIZEN, "jalan berlubang", call=False)
    (message,) = phone.messages()
    batch = phone.event("sms:batch:received", {"messages": [received_payload(message)]})
    assert receive(gateway, phone.signed(phone.body(message), 1_772_600_000)) == 200
    assert receive(gateway, phone.signed(phone.body(message), 1_772_600_010)) == 200  # a retry
    again = phone.event("sms:received", received_payload(message))  # another event of the same SMS
    assert receive(gateway, phone.signed(again)) == 200
    assert receive(gateway, phone.signed(phone.body(message, old=True))) == 200
    assert receive(gateway, phone.signed(batch)) == 200
    poll(gateway)
    work(gateway)
    assert len(stored(gateway, complaints)) == 1
    assert len(phone.replies_to(CITIZEN)) == 1


def test_sms_whose_webhook_never_came_becomes_a_complaint(gateway: Gateway, phone: FakePhone) -> None:
    poll(gateway)
    phone.send(CITIZEN, "jalan rusak parah 😭", seen=False)
    poll(gateway)
    work(gateway)
    (complaint,) = stored(gateway, complaints)
    assert complaint.description == "jalan rusak parah 😭"
    assert len(phone.replies_to(CITIZEN)) == 1


def test_lost_answer_sends_nothing_twice(gateway: Gateway, phone: FakePhone) -> None:
    phone.send(CITIZEN, "jalan rusak", call=False)
    phone.fail("drop_after_accept")
    receive(gateway, phone.signed(phone.body(phone.messages()[0])))
    work(gateway)
    (waiting,) = [row for row in stored(gateway, outbox) if row.state != State.DONE]
    with gateway.database.begin() as connection:  # its next attempt is due
        connection.execute(sa.update(outbox).where(outbox.c.id == waiting.id).values(due_at=waiting.created_at))
    work(gateway)
    assert {row.state for row in stored(gateway, outbox)} == {State.DONE}
    assert len(phone.replies_to(CITIZEN)) == 1
    assert [method for method, target, _ in phone.calls if target.startswith("/messages")] == ["POST", "GET"]
