"""What flows, what is stuck, since when and why, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.bootstrap import Gateway
from gateway.domain.errors import Unavailable
from gateway.i18n import Language, localize
from gateway.i18n.moments import WIB, WITA, common_zone, since, zone_of
from gateway.operations.status import ChannelState, report
from gateway.storage.database import Database
from tests.gateway.fixture_types import MakeIncoming, Receive
from tests.gateway.site import Site
from tests.gateway.support import StillClock

EVENING = datetime(2026, 11, 26, 14, 14, tzinfo=UTC)  # 21:14 in Jakarta


@pytest.fixture(autouse=True)
def evening(clock: StillClock) -> None:
    clock.now = EVENING


@pytest.fixture
def running(site: Site) -> Gateway:
    """Return a gateway of which a process just said that it runs."""
    gateway = site.gateway()
    gateway.jobs.beat()
    return gateway


def sentences(gateway: Gateway, channel: tuple[str, str] = ("00", "sms")) -> list[str]:
    (found,) = [c for c in report(gateway).channels if (c.region, c.name) == channel]
    return [str(sentence.text) for sentence in found.sentences]


def test_a_new_channel_has_seen_nothing_and_is_well(running: Gateway) -> None:
    assert sentences(running) == ["no message has come in yet"]
    assert report(running).healthy


def test_where_no_process_runs_it_says_since_when(site: Site, clock: StillClock) -> None:
    gateway = site.gateway()
    found = report(gateway)
    assert not found.healthy
    assert found.stopped is not None
    assert "no process of the gateway has run yet; start it" in found.stopped
    gateway.jobs.beat()
    clock.advance(seconds=29)
    assert report(gateway).healthy is True
    assert report(gateway).stopped is None
    last = clock() - timedelta(seconds=29)
    clock.advance(minutes=10)
    found = report(gateway)
    assert not found.healthy
    assert found.stopped is not None
    local = f"{last.astimezone(WIB):%H:%M} WIB"
    assert f"no process of the gateway has run since {local} (10 minutes ago)" in found.stopped
    assert "tidak ada proses gateway sejak" in localize(found.stopped, Language.INDONESIAN)


def test_it_says_when_what_happened_last(site: Site, clock: StillClock) -> None:
    gateway = site.gateway()
    gateway.activity.note("00", "sms", "accepted", clock())
    clock.advance(seconds=90)
    gateway.activity.note("00", "sms", "delivered", clock() - timedelta(hours=50))
    gateway.activity.note("00", "sms", "replied", clock() - timedelta(minutes=3))
    gateway.activity.flush()
    assert sentences(gateway) == [
        "last message came in at 21:14 WIB (90 seconds ago)",
        "last delivery to the centre at 24 November 2026 19:15 WIB (2 days ago)",
        "last reply sent at 21:12 WIB (3 minutes ago)",
    ]


def test_what_waits_long_is_trouble_with_its_reason(running: Gateway, receive: Receive, clock: StillClock) -> None:
    gateway = running
    receive(gateway, "jalan berlubang", "SM1")
    assert "1 messages wait to be read, the oldest since 21:14 WIB (0 seconds ago)" in sentences(gateway)
    assert report(gateway).healthy
    gateway.stages["intake"].run_once()
    gateway.stages["deliver"].central = type(
        "Down", (), {"deliver": lambda *_: (_ for _ in ()).throw(Unavailable("mati"))}
    )()
    gateway.stages["deliver"].run_once()
    clock.advance(minutes=5)
    found = report(gateway)
    assert found.healthy is False
    assert found.waiting == 1
    assert (
        "1 deliveries or replies wait to be sent, the oldest since 21:14 WIB (5 minutes ago): unavailable: mati"
        in sentences(gateway)
    )


def test_dead_letters_are_trouble_and_say_where_to_look(site: Site, incoming: MakeIncoming) -> None:
    gateway = site.gateway()
    gateway.spool.inbox.commit([gateway.spool.inbox.seal(incoming("1", payload=b"x"))])
    gateway.stages["intake"].run_once()
    assert "1 dead letters; see: run_gateway.py dead list" in sentences(gateway)
    assert report(gateway).healthy is False
    assert report(gateway).dead == 1


def test_refusals_are_trouble_only_where_nothing_was_accepted_since(running: Gateway, clock: StillClock) -> None:
    gateway = running
    gateway.activity.note("00", "sms", "refused", clock(), "unverified: header X-Twilio-Signature does not match")
    gateway.activity.flush()
    assert not report(gateway).healthy
    assert any("last refused a request" in sentence and "unverified" in sentence for sentence in sentences(gateway))
    clock.advance(seconds=5)
    gateway.activity.note("00", "sms", "accepted", clock())
    gateway.activity.flush()
    assert report(gateway).healthy


def test_failing_polls_are_trouble_since_the_first(site: Site, clock: StillClock) -> None:
    gateway = site.gateway()
    gateway.spool.leases.fail("00", "sms", "unavailable: Twilio error 20003")
    clock.advance(hours=2)
    assert any(
        "has failed since 21:14 WIB (2 hours ago): unavailable: Twilio error 20003" in text
        for text in sentences(gateway)
    )
    assert not report(gateway).healthy


def test_messages_of_a_channel_that_is_gone_are_shown(site: Site, incoming: MakeIncoming) -> None:
    gateway = site.gateway()
    gateway.spool.inbox.commit([gateway.spool.inbox.seal(incoming("1", channel="lama"))])
    assert "this channel is not configured any more" in sentences(gateway, ("00", "lama"))


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_database_that_is_away_is_the_one_thing_said(site: Site, database: Database) -> None:
    site.url = "postgresql+psycopg://127.0.0.1:9/lapor"
    found = report(site.gateway())
    assert found.healthy is False
    assert found.channels == []
    assert found.problem is not None
    assert found.problem.startswith("unavailable: ")


def state(gateway: Gateway, channel: tuple[str, str] = ("00", "sms")) -> ChannelState:
    (shown,) = [c for c in report(gateway).channels if (c.region, c.name) == channel]
    return shown.state


def test_a_channel_without_a_message_waits(running: Gateway) -> None:
    assert state(running) is ChannelState.WAITING


def test_a_channel_with_a_message_is_connected(running: Gateway, clock: StillClock) -> None:
    running.activity.note("00", "sms", "accepted", clock())
    running.activity.flush()
    assert state(running) is ChannelState.CONNECTED


def test_a_channel_whose_polls_fail_is_disconnected(running: Gateway) -> None:
    running.spool.leases.fail("00", "sms", "unavailable: Twilio error 20003")
    assert state(running) is ChannelState.DISCONNECTED


def test_a_channel_whose_messages_wait_long_is_slow(running: Gateway, receive: Receive, clock: StillClock) -> None:
    receive(running, "jalan berlubang", "SM1")
    clock.advance(minutes=5)
    running.jobs.beat()
    assert state(running) is ChannelState.SLOW


def test_every_channel_is_stopped_if_no_process_runs(site: Site) -> None:
    assert state(site.gateway()) is ChannelState.STOPPED


def test_a_channel_that_is_gone_is_stopped(running: Gateway, incoming: MakeIncoming) -> None:
    running.spool.inbox.commit([running.spool.inbox.seal(incoming("1", channel="lama"))])
    assert state(running, ("00", "lama")) is ChannelState.STOPPED


@pytest.mark.parametrize(
    ("region", "shown"),
    [("18.10", "sejak pukul 21.14 WIB (12 menit lalu)"), ("74.71", "sejak pukul 22.14 WITA (12 menit lalu)")],
)
def test_since_is_told_in_the_zone_of_the_region(region: str, shown: str) -> None:
    told = since(EVENING, EVENING + timedelta(minutes=12), zone_of(region))
    assert localize(told, Language.INDONESIAN) == shown


def test_a_moment_of_another_day_has_its_date() -> None:
    told = since(EVENING, EVENING + timedelta(hours=12), WIB)
    assert localize(told, Language.INDONESIAN) == "sejak 26 November 2026 pukul 21.14 WIB (12 jam lalu)"


@pytest.mark.parametrize(
    ("regions", "zone"), [(["74.71"], WITA), (["74.71", "72"], WITA), (["18.10", "74.71"], WIB), ([], WIB)]
)
def test_the_page_has_the_zone_that_its_regions_share(regions: list[str], zone: timezone) -> None:
    assert common_zone(regions) == zone
