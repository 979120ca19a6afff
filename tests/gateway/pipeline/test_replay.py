"""Reading stored messages again: told before it is done, the same ticket, safe to repeat."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from adapters.sms.twilio.simulator import FakeTwilio
from gateway.bootstrap import Gateway
from gateway.central.tables import complaints, history
from gateway.domain.errors import Unavailable
from gateway.pipeline.replay import Replay
from gateway.spool.tables import Kind, State, cases, inbox, outbox
from tests.gateway.fixture_types import Drain, Receive, Rows
from tests.gateway.site import Site
from tests.gateway.support import StillClock

MORE_ROUTES = {
    "18.10-pringsewu.toml": """
code = "18.10"
name = "Kabupaten Pringsewu"
keywords = ["PRINGSEWU"]

[[routes]]
agency = "Dinas Bina Marga Kabupaten Pringsewu"
category = "pekerjaan-umum"
"""
}


def replay_of(gateway: Gateway) -> Replay:
    return Replay(gateway.spool, gateway.channels, gateway.composer, gateway.joining, gateway.casework)


def day(clock: StillClock) -> tuple[Any, Any]:
    return clock() - timedelta(hours=1), clock() + timedelta(hours=1)


def test_a_preview_touches_nothing(site: Site, receive: Receive, drain: Drain, rows: Rows, clock: StillClock) -> None:
    gateway = site.gateway()
    receive(gateway, "PRINGSEWU jalan berlubang", "SM1")
    drain(gateway)
    before = [rows(table) for table in (inbox, outbox, cases, complaints, history)]
    (change,) = replay_of(site.gateway(regions=MORE_ROUTES)).between(*day(clock))
    assert (change.action, str(change.channel)) == ("amend", "00/sms")
    assert change.detail == "agency: Dinas PUPR Kabupaten Pringsewu → Dinas Bina Marga Kabupaten Pringsewu"
    assert [rows(table) for table in (inbox, outbox, cases, complaints, history)] == before


def test_an_unchanged_reading_changes_nothing(
    site: Site, receive: Receive, drain: Drain, rows: Rows, clock: StillClock
) -> None:
    gateway = site.gateway()
    receive(gateway, "PRINGSEWU jalan berlubang", "SM1")
    receive(gateway, "BANTUAN", "SM2")
    drain(gateway)
    again = replay_of(gateway)
    assert [change.action for change in again.between(*day(clock))] == ["none", "none"]
    assert again.apply_between(*day(clock)) == {"none": 2}
    assert rows(outbox, outbox.c.kind == Kind.AMEND.value) == []


def test_a_new_reading_amends_the_centre_under_the_same_ticket(
    site: Site, receive: Receive, drain: Drain, rows: Rows, clock: StillClock
) -> None:
    gateway = site.gateway()
    receive(gateway, "PRINGSEWU jalan berlubang", "SM1")
    drain(gateway)
    (before,) = rows(complaints)
    gateway = site.gateway(regions=MORE_ROUTES)
    again = replay_of(gateway)
    assert again.apply_between(*day(clock)) == {"amend": 1}
    assert again.apply_between(*day(clock)) == {"none": 1}, "safe to repeat, also before it was delivered"
    drain(gateway)
    (after,) = rows(complaints)
    assert after["agency"] == "Dinas Bina Marga Kabupaten Pringsewu"
    assert (after["id"], after["ticket"], after["created_at"]) == (before["id"], before["ticket"], before["created_at"])
    first, second = rows(history)
    assert (first["why"], second["why"]) == ("18.10 route 1", "read again by a replay")
    assert len(rows(outbox, outbox.c.kind == Kind.REPLY.value)) == 1, "the citizen is not told a second time"


def test_an_amendment_waits_for_its_delivery(
    site: Site, receive: Receive, drain: Drain, rows: Rows, clock: StillClock
) -> None:
    gateway = site.gateway()
    receive(gateway, "PRINGSEWU jalan berlubang", "SM1")
    gateway.stages["intake"].run_once()
    gateway = site.gateway(regions=MORE_ROUTES)
    assert replay_of(gateway).apply_between(*day(clock)) == {"amend": 1}
    drain(gateway)
    (complaint,) = rows(complaints)
    assert complaint["agency"] == "Dinas Bina Marga Kabupaten Pringsewu"


def test_who_was_anonymous_stays_so_whatever_the_new_reading_says(
    site: Site, receive: Receive, drain: Drain, rows: Rows, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = site.gateway()
    receive(gateway, "ANONIM RAHASIA PRINGSEWU jalan berlubang", "SM1")
    drain(gateway)
    adapter = gateway.channels["00", "sms"].adapter
    real = adapter.translate

    def without_command_words(raw: Any) -> Any:
        import msgspec

        return [msgspec.structs.replace(event, text="PRINGSEWU jalan berlubang sekali") for event in real(raw)]

    monkeypatch.setattr(adapter, "translate", without_command_words)
    assert replay_of(gateway).apply_between(*day(clock)) == {"amend": 1}
    drain(gateway)
    (row,) = rows(complaints)
    assert (row["anonymous"], row["confidential"], row["reporter"]) == (True, True, None)
    assert row["description"] == "jalan berlubang sekali"


def test_dead_letters_are_previewed_and_given_back(
    site: Site, receive: Receive, drain: Drain, rows: Rows, clock: StillClock
) -> None:
    text = 'code = "74.71"\nname = "Kota Kendari"\n[channels.sms]\nadapter = "sms.twilio"\nsender = "1799"\n'
    gateway = site.gateway(regions={"74.71-kendari.toml": text})
    receive(gateway, "lampu mati", "SM1", channel="74.71/sms")
    (site.config / "regions" / "74.71-kendari.toml").unlink()
    poorer = site.gateway()
    drain(poorer)
    assert rows(inbox)[0]["state"] == State.DEAD
    (change,) = replay_of(poorer).dead(10)
    assert (change.action, change.detail.split(":")[0]) == ("fail", "channel_gone")
    gateway = site.gateway(regions={"74.71-kendari.toml": text})
    (change,) = replay_of(gateway).dead(10)
    assert (change.action, change.detail) == ("retry", "now reads as CitizenMessage")
    assert replay_of(gateway).apply_dead(10) == 1
    drain(gateway)
    assert rows(inbox)[0]["state"] == State.DONE
    assert len(rows(complaints)) == 1
    assert replay_of(gateway).apply_dead(10) == 0


def test_dead_replies_are_given_back_too(
    site: Site, receive: Receive, twilio: FakeTwilio, drain: Drain, rows: Rows
) -> None:
    gateway = site.gateway()
    receive(gateway, "BANTUAN", "SM1")
    gateway.stages["intake"].run_once()
    twilio.fail("reject:30007")
    gateway.stages["acknowledge"].run_once()
    assert rows(outbox)[0]["state"] == State.DEAD
    assert replay_of(gateway).apply_dead(10) == 1
    drain(gateway)
    assert rows(outbox)[0]["state"] == State.DONE
    assert len(twilio.replies_to("+6281200000001")) == 1


def test_a_dead_reply_that_had_gone_out_after_all_is_not_sent_again(
    site: Site, receive: Receive, twilio: FakeTwilio, drain: Drain, rows: Rows, clock: StillClock
) -> None:
    gateway = site.gateway(extra="[work]\nreply_hours = 1\n")
    receive(gateway, "BANTUAN", "SM1")
    gateway.stages["intake"].run_once()
    twilio.fail("drop_after_accept")
    gateway.stages["acknowledge"].run_once()
    clock.advance(hours=2)
    twilio.fail("server_error", on="list")
    gateway.stages["acknowledge"].run_once()
    assert rows(outbox)[0]["state"] == State.DEAD
    replay_of(gateway).apply_dead(10)
    drain(gateway)
    assert rows(outbox)[0]["state"] == State.DONE
    assert len(twilio.replies_to("+6281200000001")) == 1


def test_a_message_read_as_nothing_before_opens_its_case_now(
    site: Site, receive: Receive, drain: Drain, rows: Rows, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.domain.events import Ignored

    gateway = site.gateway()
    adapter = gateway.channels["00", "sms"].adapter
    with monkeypatch.context() as patch:
        patch.setattr(adapter, "translate", lambda raw: [Ignored(why="a kind we did not know")])
        receive(gateway, "jalan berlubang", "SM1")
        drain(gateway)
    assert rows(cases) == []
    again = replay_of(gateway)
    (change,) = again.between(*day(clock))
    assert (change.action, change.detail) == ("open", "a complaint for Meja Nasional SP4N-LAPOR!")
    assert again.apply_between(*day(clock)) == {"open": 1}
    assert again.apply_between(*day(clock)) == {"none": 1}, "it waits for the worker"
    drain(gateway)
    assert len(rows(complaints)) == 1


def test_what_is_still_waiting_is_left_alone(site: Site, receive: Receive, clock: StillClock) -> None:
    gateway = site.gateway()
    receive(gateway, "jalan berlubang", "SM1")
    (change,) = replay_of(gateway).between(*day(clock))
    assert (change.action, change.detail) == ("none", "still waits to be read")


def test_one_case_that_cannot_be_read_does_not_stop_a_replay(
    site: Site, receive: Receive, drain: Drain, rows: Rows, clock: StillClock
) -> None:
    gateway = site.gateway()
    receive(gateway, "PRINGSEWU jalan berlubang", "SM1")
    receive(gateway, "PRINGSEWU jalan rusak", "SM2", "+6281200000002")
    drain(gateway)
    broken = rows(cases)[0]["id"]
    with gateway.database.begin() as connection:
        connection.execute(sa.update(cases).where(cases.c.id == broken).values(complaint=b"\x00" * 60))
    gateway = site.gateway(regions=MORE_ROUTES)
    again = replay_of(gateway)
    assert sorted(change.action for change in again.between(*day(clock))) == ["amend", "fail"]
    assert again.apply_between(*day(clock)) == {"fail": 1, "amend": 1}


def test_the_details_quote_no_citizen(site: Site, receive: Receive, drain: Drain, clock: StillClock) -> None:
    gateway = site.gateway()
    receive(gateway, "PRINGSEWU jalan berlubang di rumah Pak Budi", "SM1")
    drain(gateway)
    gateway = site.gateway(regions={"18.10-pringsewu.toml": 'code = "18.10"\nname = "Kabupaten Pringsewu"\n'})
    (change,) = replay_of(gateway).between(*day(clock))
    assert "place changes" in change.detail
    assert "Budi" not in change.detail


def test_a_message_that_breaks_the_adapter_fails_alone(
    site: Site, receive: Receive, drain: Drain, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = site.gateway()
    receive(gateway, "PRINGSEWU jalan berlubang", "SM1")
    receive(gateway, "PRINGSEWU jalan rusak", "SM2", "+6281200000002")
    drain(gateway)
    adapter = gateway.channels["00", "sms"].adapter
    real = adapter.translate

    def broken(raw: Any) -> Any:
        if b"berlubang" in raw.payload:
            raise ZeroDivisionError(raw.payload)
        return real(raw)

    monkeypatch.setattr(adapter, "translate", broken)
    found = list(replay_of(gateway).between(*day(clock)))
    assert [(change.action, change.detail) for change in found] == [
        ("fail", "ZeroDivisionError"),
        ("none", "reads the same"),
    ]


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_database_that_goes_away_stops_a_replay_instead_of_failing_every_message(
    site: Site, receive: Receive, drain: Drain, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = site.gateway()
    receive(gateway, "PRINGSEWU jalan berlubang", "SM1")
    receive(gateway, "PRINGSEWU lampu mati", "SM2", "+6281200000002")
    drain(gateway)
    changes = replay_of(gateway).between(*day(clock))
    next(changes)
    away = sa.create_engine("postgresql+psycopg://127.0.0.1:9/x", connect_args={"connect_timeout": 1})
    with monkeypatch.context() as patch:
        patch.setattr(gateway.database, "engine", away)
        with pytest.raises(Unavailable):
            next(changes)
    away.dispose()
