"""One SMS, from the citizen's phone to the ticket in their hand: the executable overview. Read it from top to bottom.

Everything is real but the SMS company: the configuration, the database, the stages. Between two stages the test looks
at what is stored; whatever stops in between goes on from there.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from adapters import BUILTIN
from adapters.sms.twilio.simulator import FakeTwilio
from gateway.bootstrap import Gateway, build
from gateway.central.tables import complaints
from gateway.domain.tickets import check_ticket
from gateway.ports.registry import Registry
from gateway.settings.reader import load
from gateway.spool.tables import Kind, State, cases, inbox, outbox, tickets

CITIZEN = "+6281200000001"
SENTENCE = "PRINGSEWU jalan berlubang di depan pasar, sudah ada yang jatuh"

GATEWAY = """
[server]
public_url = "https://lapor.example.go.id"
[database]
url = "sqlite:///gateway.db"
[encryption]
keys = [{ file = "storage-key" }]
lookup_key = { file = "lookup-key" }
[adapters."sms.twilio"]
account_sid = "AC00000000000000000000000000001708"
auth_token = { file = "twilio-token" }
api_base = "TWILIO"
[[categories]]
code = "pekerjaan-umum"
words = ["jalan"]
"""

NATIONAL = """
code = "00"
name = "Indonesia"
[channels.sms]
adapter = "sms.twilio"
sender = "1708"
"""

PRINGSEWU = """
code = "18.10"
name = "Kabupaten Pringsewu"
keywords = ["PRINGSEWU"]
[[routes]]
agency = "Dinas PUPR Kabupaten Pringsewu"
category = "pekerjaan-umum"
"""


@pytest.fixture
def twilio() -> Iterator[FakeTwilio]:
    """Run the SMS company, on this machine."""
    with FakeTwilio(
        account_sid="AC00000000000000000000000000001708",
        auth_token="token-rahasia",
        sender="1708",
        webhook_url="https://lapor.example.go.id/in/00/sms",
        delivery_delay=60,  # no delivery receipts in this story
    ) as company:
        yield company


@pytest.fixture
def gateway(tmp_path: Path, twilio: FakeTwilio) -> Iterator[Gateway]:
    """Make a gateway as an operator does: three files of secrets, one of settings, one for each region."""
    for name, key in (("storage-key", b"s" * 32), ("lookup-key", b"l" * 32)):
        (tmp_path / name).write_bytes(base64.b64encode(key))
    (tmp_path / "twilio-token").write_text("token-rahasia")
    config = tmp_path / "config"
    (config / "regions").mkdir(parents=True)
    (config / "gateway.toml").write_text(GATEWAY.replace("TWILIO", twilio.url))
    (config / "regions" / "00-nasional.toml").write_text(NATIONAL)
    (config / "regions" / "18.10-pringsewu.toml").write_text(PRINGSEWU)
    registry = Registry(BUILTIN)
    made = build(load(config, registry), registry)
    made.prepare()
    yield made
    made.close()


def stored(gateway: Gateway, table: sa.Table, *where: Any) -> list[Any]:
    """Return a table's rows, oldest first."""
    with gateway.database.read() as connection:
        return list(connection.execute(sa.select(table).where(*where).order_by(*table.primary_key)).all())


def test_an_sms_becomes_a_complaint_with_a_ticket(gateway: Gateway, twilio: FakeTwilio) -> None:
    translate, deliver, acknowledge = (gateway.stages[name] for name in ("intake", "deliver", "acknowledge"))
    sms = gateway.channels["00", "sms"]

    # A citizen writes to 1708. The company sends us a signed webhook.
    twilio.send(CITIZEN, SENTENCE, call=False)
    webhook = twilio.webhook(twilio.messages("inbound")[0])

    # 1 receive: the signature is checked, the raw message is stored, and only then the company gets its 200.
    correlation_id, answer = asyncio.run(gateway.receiver.webhook(sms, webhook))
    assert answer.status == 200
    (message,) = stored(gateway, inbox)
    assert message.id == correlation_id, "one id, from the first byte to the reply"
    assert message.state == State.PENDING
    assert CITIZEN.encode() not in message.payload, "encrypted"

    # 2 translate, 3 assemble, 4 enrich, 5 route: the message is understood, in one transaction.
    assert translate.run_once() == 1
    (case,) = stored(gateway, cases)
    (delivery,) = stored(gateway, outbox)
    assert not stored(gateway, tickets), "the centre gives the ticket"
    assert delivery.kind == Kind.DELIVER
    assert delivery.case_id == case.id
    assert delivery.correlation_id == correlation_id
    assert stored(gateway, inbox)[0].state == State.DONE

    # 6 deliver: the centre takes the complaint and gives it a number.
    assert deliver.run_once() == 1
    (complaint,) = stored(gateway, complaints)
    assert complaint.id == case.id, "the id is the idempotency key everywhere"
    assert complaint.description == "jalan berlubang di depan pasar, sudah ada yang jatuh"
    assert complaint.place_code == "18.10"
    assert complaint.category == "pekerjaan-umum"
    assert complaint.agency == "Dinas PUPR Kabupaten Pringsewu"
    assert check_ticket(complaint.ticket), "the last digit finds typing slips"
    assert stored(gateway, tickets)[0] == (case.id, complaint.ticket)

    # 7 acknowledge: the citizen reads the ticket on the phone they wrote with.
    assert twilio.replies_to(CITIZEN) == []
    assert acknowledge.run_once() == 1
    (text,) = twilio.replies_to(CITIZEN)
    assert text == (
        f"Laporan Anda kami terima. No. tiket: {complaint.ticket}. "
        f"Cek perkembangan: balas STATUS {complaint.ticket}. SP4N-LAPOR!"
    )

    # The company sends its webhook again, as companies do. It is accepted, and nothing happens twice.
    _, again = asyncio.run(gateway.receiver.webhook(sms, webhook))
    assert again.status == 200
    assert [stage.run_once() for stage in gateway.stages.values()] == [0, 0, 0, 0]

    # Later the citizen asks how it goes, typing as people type.
    twilio.send(CITIZEN, f"status: {complaint.ticket[:4]} {complaint.ticket[4:]}", call=False)
    asyncio.run(gateway.receiver.webhook(sms, twilio.webhook(twilio.messages("inbound")[-1])))
    for stage in gateway.stages.values():
        stage.run_once()
    assert twilio.replies_to(CITIZEN)[-1].startswith(f"Tiket {complaint.ticket}: diterima, menunggu verifikasi (")
    assert len(stored(gateway, complaints)) == 1, "a question is no complaint"

    # Nothing is left to do, and nothing was lost.
    assert {row.state for row in (*stored(gateway, inbox), *stored(gateway, outbox))} == {State.DONE}
