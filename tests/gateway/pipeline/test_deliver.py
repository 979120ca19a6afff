"""To the centre: at least once, by id, and nobody pays for another's complaint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from adapters.sms.twilio.simulator import FakeTwilio
from gateway.bootstrap import Gateway
from gateway.central.tables import complaints, history
from gateway.domain.complaint import Complaint
from gateway.domain.errors import GatewayError, Unavailable
from gateway.domain.tickets import check_ticket
from gateway.spool import Spool
from gateway.spool.case import CaseReference
from gateway.spool.tables import Kind, State, cases, outbox, tickets
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database
from gateway.storage.migrate import migrate
from tests.gateway.fixture_types import Drain, Receive, Refuse, Rows
from tests.gateway.site import Site
from tests.gateway.support import StillClock


class Centre:
    """The real store behind a line that breaks when told."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.before: list[BaseException] = []  # raised before anything was stored
        self.after: list[BaseException] = []  # raised after everything was stored: the answer is lost

    def deliver(self, complaints: Sequence[Complaint]) -> Any:
        if self.before:
            raise self.before.pop()
        answer = self.real.deliver(complaints)
        if self.after:
            raise self.after.pop()
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@pytest.fixture
def centre() -> Callable[[Any], Centre]:
    def put(gateway: Gateway) -> Centre:
        made = Centre(gateway.central)
        gateway.stages["deliver"].central = made
        return made

    return put


def deliver(gateway: Gateway) -> int:
    return gateway.stages["deliver"].run_once()


def open_cases(gateway: Gateway, receive: Receive, *texts: str) -> None:
    for number, text in enumerate(texts):
        receive(gateway, text, f"SM{number}", f"+6281200000{number:03}")
    gateway.stages["intake"].run_once()


def jobs(rows: Rows, kind: Kind = Kind.DELIVER) -> list[dict[str, Any]]:
    return rows(outbox, outbox.c.kind == kind.value)


def reference(row: Mapping[str, Any]) -> CaseReference:
    return CaseReference(row["id"], row["region"], row["channel"], row["correlation_id"])


def test_a_delivery_numbers_its_case_and_queues_the_acknowledgement(site: Site, receive: Receive, rows: Rows) -> None:
    gateway = site.gateway()
    open_cases(gateway, receive, "PRINGSEWU jalan berlubang")
    assert deliver(gateway) == 1
    (case,), (ticket,), (complaint,) = rows(cases), rows(tickets), rows(complaints)
    assert case["id"] == ticket["case_id"] == complaint["id"]
    assert ticket["number"] == complaint["ticket"]
    assert check_ticket(ticket["number"])
    (reply,) = jobs(rows, Kind.REPLY)
    with gateway.database.read() as connection:
        row = connection.execute(outbox.select().where(outbox.c.id == reply["id"])).one()
    opened = gateway.spool.outbox.unseal(row)
    assert opened.to == "+6281200000000"
    assert (ticket["number"] in opened.text) is True
    assert reply["correlation_id"] == case["correlation_id"]


def test_an_answer_lost_after_the_commit_gives_the_same_ticket_on_retry(
    site: Site, receive: Receive, rows: Rows, centre: Any, clock: StillClock
) -> None:
    gateway = site.gateway()
    open_cases(gateway, receive, "jalan berlubang", "lampu mati")
    centre(gateway).after.append(Unavailable("the line broke"))
    deliver(gateway)
    stored = {row["id"]: row["ticket"] for row in rows(complaints)}
    assert len(stored) == 2
    assert {row["state"] for row in jobs(rows)} == {State.PENDING}
    clock.advance(seconds=5)
    deliver(gateway)
    assert {row["case_id"]: row["number"] for row in rows(tickets)} == stored
    assert len(rows(complaints)) == len(rows(history)) == len(jobs(rows, Kind.REPLY)) == 2
    assert {row["state"] for row in jobs(rows)} == {State.DONE}


def test_a_centre_that_is_down_is_asked_for_ever(
    site: Site, receive: Receive, rows: Rows, centre: Any, clock: StillClock
) -> None:
    gateway = site.gateway(extra="[work]\nattempts = 2\n")
    open_cases(gateway, receive, "jalan berlubang")
    broken = centre(gateway)
    for _ in range(12):
        broken.before.append(Unavailable("no answer"))
        deliver(gateway)
        clock.advance(seconds=601)
    (job,) = jobs(rows)
    assert job["state"] == State.PENDING
    assert job["attempts"] == 12
    assert job["reason"] == "unavailable: no answer"
    deliver(gateway)
    assert jobs(rows)[0]["state"] == State.DONE


def test_a_centre_that_asks_for_patience_gets_it(
    site: Site, receive: Receive, rows: Rows, centre: Any, clock: StillClock
) -> None:
    gateway = site.gateway()
    open_cases(gateway, receive, "jalan berlubang")
    centre(gateway).before.append(Unavailable("maintenance", retry_after=900))
    deliver(gateway)
    assert (jobs(rows)[0]["due_at"] - clock()).total_seconds() >= 900


def test_a_complaint_that_the_centre_refuses_fails_alone(
    site: Site, receive: Receive, rows: Rows, refuse: Refuse
) -> None:
    gateway = site.gateway()
    open_cases(gateway, receive, "jalan berlubang", "buruk", "lampu mati")
    refuse("complaint", "title = 'buruk'")
    deliver(gateway)
    assert [row["state"] for row in jobs(rows)] == [State.DONE, State.DEAD, State.DONE]
    assert jobs(rows)[1]["reason"].startswith("rejected: ")
    assert len(jobs(rows, Kind.REPLY)) == 2


def test_an_unexpected_error_makes_only_the_bad_row_pay(
    site: Site, receive: Receive, rows: Rows, centre: Any, clock: StillClock
) -> None:
    gateway = site.gateway(extra="[work]\nattempts = 2\n")
    open_cases(gateway, receive, "jalan berlubang", "buruk")
    broken = centre(gateway)
    real = broken.real.deliver

    def picky(batch: Sequence[Complaint]) -> Any:
        if any(one.title == "buruk" for one in batch):
            raise ZeroDivisionError
        return real(batch)

    broken.real = type("Picky", (), {"deliver": staticmethod(picky)})
    deliver(gateway)
    assert [row["state"] for row in jobs(rows)] == [State.DONE, State.PENDING]
    clock.advance(seconds=5)
    deliver(gateway)
    assert [row["state"] for row in jobs(rows)] == [State.DONE, State.DEAD]


def test_a_row_that_our_own_database_refuses_makes_only_itself_pay(
    site: Site, receive: Receive, rows: Rows, refuse: Refuse
) -> None:
    """The centre has both; queueing one's acknowledgement is refused here."""
    text = 'code = "74.71"\nname = "Kota Kendari"\n[channels.sms]\nadapter = "sms.twilio"\nsender = "1799"\n'
    gateway = site.gateway(regions={"74.71-kendari.toml": text})
    receive(gateway, "jalan berlubang", "SM1")
    receive(gateway, "lampu mati", "SM2", "+6281200000002", channel="74.71/sms")
    gateway.stages["intake"].run_once()
    refuse("outbox", "region = '74.71'")
    deliver(gateway)
    found = {row["region"]: row["state"] for row in jobs(rows)}
    assert found == {"00": State.DONE, "74.71": State.DEAD}
    assert [row["region"] for row in jobs(rows, Kind.REPLY)] == ["00"]


def test_a_case_whose_key_is_lost_fails_alone(site: Site, receive: Receive, rows: Rows, clock: StillClock) -> None:
    gateway = site.gateway()
    open_cases(gateway, receive, "jalan berlubang", "lampu mati")
    lost = rows(cases)[0]["id"]
    other = Spool(gateway.database, Keyring([b"x" * 32], b"l" * 32), clock)
    with gateway.database.begin() as connection:
        sealed = other.keyring.encrypt(b"{}", b"case")
        connection.execute(sa.update(cases).where(cases.c.id == lost).values(complaint=sealed))
    deliver(gateway)
    assert {row["case_id"]: row["state"] for row in jobs(rows)}[lost] == State.DEAD
    assert sorted(row["state"] for row in jobs(rows)) == [State.DEAD, State.DONE]


def test_a_case_that_this_version_cannot_read_fails_alone(site: Site, receive: Receive, rows: Rows) -> None:
    gateway = site.gateway()
    open_cases(gateway, receive, "jalan berlubang", "lampu mati")
    strange, gone = (row["id"] for row in rows(cases))
    with gateway.database.begin() as connection:
        sealed = gateway.spool.keyring.encrypt(b'{"a":"complaint of another time"}', b"case")
        connection.execute(sa.update(cases).where(cases.c.id == strange).values(complaint=sealed))
        connection.execute(sa.delete(cases).where(cases.c.id == gone))
    receive(gateway, "sampah menumpuk", "SM9", "+6281200000009")
    gateway.stages["intake"].run_once()
    deliver(gateway)
    assert sorted(row["state"] for row in jobs(rows)) == [State.DEAD, State.DEAD, State.DONE]
    assert {row["reason"] is None for row in jobs(rows) if row["state"] == State.DEAD} == {False}


def test_the_centre_may_live_in_another_database(
    site: Site, receive: Receive, drain: Drain, tmp_path: Any, twilio: FakeTwilio
) -> None:
    url = f"sqlite:///{tmp_path / 'central.db'}"
    elsewhere = Database(url)
    migrate(elsewhere, ["central"])
    gateway = site.gateway(extra=f'[central]\nurl = "{url}"\n')
    receive(gateway, "PRINGSEWU jalan berlubang", "SM1")
    drain(gateway)
    with elsewhere.read() as connection:
        (row,) = connection.execute(sa.select(complaints)).all()
    with gateway.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(complaints)).scalar() == 0
    elsewhere.close()
    (text,) = twilio.replies_to("+6281200000001")
    assert row.ticket in text


def test_status_of_a_complaint_the_centre_forgot_is_a_dead_letter(
    site: Site, receive: Receive, rows: Rows, drain: Drain
) -> None:
    gateway = site.gateway()
    open_cases(gateway, receive, "jalan berlubang")
    deliver(gateway)
    with gateway.database.begin() as connection:
        connection.execute(sa.delete(complaints))
    receive(gateway, f"STATUS {rows(tickets)[0]['number']}", "SM9", "+6281200000000")
    gateway.stages["intake"].run_once()
    deliver(gateway)
    (job,) = jobs(rows, Kind.INQUIRE)
    assert job["state"] == State.DEAD
    assert job["reason"] == "rejected: the centre does not have the complaint"


def test_status_words_and_a_date_of_western_indonesia(
    site: Site, receive: Receive, rows: Rows, clock: StillClock
) -> None:
    clock.now = clock.now.replace(hour=20, minute=0)  # the next day in Jakarta
    gateway = site.gateway()
    open_cases(gateway, receive, "PRINGSEWU jalan berlubang")
    deliver(gateway)
    with gateway.database.begin() as connection:
        connection.execute(sa.update(complaints).values(status="in_progress", updated_at=clock()))
    ticket = rows(tickets)[0]["number"]
    receive(gateway, f"STATUS {ticket}", "SM9", "+6281200000000")
    gateway.stages["intake"].run_once()
    deliver(gateway)
    with gateway.database.read() as connection:
        found = connection.execute(outbox.select().where(outbox.c.kind == Kind.REPLY).order_by(outbox.c.id)).all()
    clock.advance(hours=7)
    assert gateway.spool.outbox.unseal(found[-1]).text == (
        f"Tiket {ticket}: dalam proses ({clock():%d-%m-%Y}). Instansi: Dinas PUPR Kabupaten Pringsewu. SP4N-LAPOR!"
    )


def test_a_batch_that_was_taken_over_meanwhile_queues_no_second_acknowledgement(
    site: Site, receive: Receive, rows: Rows, centre: Any, clock: StillClock
) -> None:
    gateway = site.gateway()
    open_cases(gateway, receive, "jalan berlubang")
    slow = centre(gateway)
    real = slow.real

    class TakesTooLong:
        def deliver(self, batch: Sequence[Complaint]) -> Any:
            answer = real.deliver(batch)
            clock.advance(seconds=31)
            slow.real = real
            assert deliver(gateway) == 1, "another worker takes the batch over and finishes it"
            return answer

    slow.real = TakesTooLong()
    deliver(gateway)
    assert len(jobs(rows, Kind.REPLY)) == len(rows(complaints)) == 1


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_database_that_is_away_stops_the_stage_and_loses_nothing(site: Site, receive: Receive, rows: Rows) -> None:
    gateway = site.gateway()
    open_cases(gateway, receive, "jalan berlubang")
    real = gateway.database.engine
    gateway.database.engine = sa.create_engine(
        "postgresql+psycopg://127.0.0.1:9/x", connect_args={"connect_timeout": 1}
    )
    with pytest.raises(GatewayError) as raised:
        deliver(gateway)
    assert isinstance(raised.value, Unavailable)
    gateway.database.engine.dispose()
    gateway.database.engine = real
    assert deliver(gateway) == 1
    assert len(rows(complaints)) == 1


def test_an_amendment_that_comes_after_the_purge_says_so(
    site: Site, receive: Receive, rows: Rows, clock: StillClock
) -> None:
    gateway = site.gateway()
    open_cases(gateway, receive, "jalan berlubang")
    deliver(gateway)
    (case,) = rows(cases)
    with gateway.database.begin() as connection:
        gateway.spool.outbox.add_jobs(connection, Kind.AMEND, [reference(case)])
    gateway.spool.cases.purge(clock() + timedelta(days=1), 10)
    deliver(gateway)
    (job,) = jobs(rows, Kind.AMEND)
    assert job["state"] == State.DEAD
    assert job["reason"] == "rejected: the complaint was purged here, because the centre has it"


def test_an_amendment_is_tried_again_until_the_centre_answers(
    site: Site, receive: Receive, rows: Rows, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = site.gateway()
    open_cases(gateway, receive, "jalan berlubang", "lampu mati")
    deliver(gateway)
    with gateway.database.begin() as connection:
        gateway.spool.outbox.add_jobs(connection, Kind.AMEND, [reference(case) for case in rows(cases)])
    first = rows(cases)[0]["id"]
    real = gateway.central.amend

    def busy(one: Complaint, why: str) -> None:
        if one.id == first:
            raise Unavailable("no answer")
        real(one, why)

    with monkeypatch.context() as patch:
        patch.setattr(gateway.central, "amend", busy)
        deliver(gateway)
    assert sorted(row["state"] for row in jobs(rows, Kind.AMEND)) == [State.DONE, State.PENDING]
    clock.advance(seconds=5)
    deliver(gateway)
    assert {row["state"] for row in jobs(rows, Kind.AMEND)} == {State.DONE}
    assert len(rows(history)) == 4, "two lines for each, and none twice"
