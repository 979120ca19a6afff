"""The pages behind the front door: health, metrics, status, and an API that shows no reporter."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from adapters.sms.twilio.simulator import FakeTwilio
from gateway.bootstrap import Gateway
from gateway.spool.tables import tickets
from gateway.storage.database import Database
from gateway.web.operator.app import create_app
from tests.gateway.fixture_types import Drain, MakeIncoming, Receive, Rows
from tests.gateway.site import Site
from tests.gateway.support import StillClock

BEARER = {"Authorization": "Bearer api-token-for-tests-only"}


@pytest.fixture
def delivered(site: Site, receive: Receive, drain: Drain, twilio: FakeTwilio) -> Gateway:
    """Return a gateway with an ordinary, a confidential and an anonymous complaint at the centre."""
    gateway = site.gateway()
    receive(gateway, "PRINGSEWU jalan berlubang", "SM1")
    receive(gateway, "RAHASIA guru minta pungli", "SM2", "+6281200000002")
    receive(gateway, "ANONIM kepala desa menyunat bansos", "SM3", "+6281200000003")
    drain(gateway)
    return gateway


def test_the_index_names_the_pages_and_all_of_them_answer(site: Site) -> None:
    client = create_app(site.gateway()).test_client()
    pages = client.get("/").json["pages"]
    assert pages
    for page in pages:
        assert client.get(page).status_code in (200, 401)


def test_every_answer_is_hardened(site: Site) -> None:
    answer = create_app(site.gateway()).test_client().get("/status")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_health(site: Site, database: Database) -> None:
    client = create_app(site.gateway()).test_client()
    assert client.get("/health/live").json == {"status": "live"}
    assert client.get("/health/ready").json == {"status": "ready"}
    with database.begin() as connection:
        newest = connection.execute(sa.text("SELECT version_num FROM spool_version")).scalar_one()
        connection.execute(sa.text("UPDATE spool_version SET version_num = '0000'"))
    try:
        behind = client.get("/health/ready")
        assert behind.status_code == 503
        assert "run_gateway.py migrate" in behind.json["why"]
    finally:
        with database.begin() as connection:
            connection.execute(sa.text("UPDATE spool_version SET version_num = :newest"), {"newest": newest})


def test_metrics_count_what_happened(delivered: Gateway, receive: Receive) -> None:
    receive(delivered, "menunggu", "SM9")
    text = create_app(delivered).test_client().get("/metrics").text
    labels = 'region="00"'
    for line in (
        'lapor_translated_total{channel="sms",kind="CitizenMessage",region="00"} 3.0',
        'lapor_delivered_total{channel="sms",region="00"} 3.0',
        'lapor_replies_total{channel="sms",outcome="sent",region="00"} 3.0',
        'lapor_waiting{channel="sms",queue="inbox",region="00"} 1.0',
        "lapor_database_up 1.0",
    ):
        assert line in text
    assert f'lapor_oldest_waiting_seconds{{channel="sms",queue="inbox",{labels}}}' in text
    assert "81200000" not in text


def test_metrics_count_dead_letters(site: Site, clock: StillClock, incoming: MakeIncoming) -> None:
    gateway = site.gateway()
    gateway.spool.inbox.commit([gateway.spool.inbox.seal(incoming("1", payload=b"x"))])
    gateway.stages["intake"].run_once()
    text = create_app(gateway).test_client().get("/metrics").text
    assert 'lapor_dead_letters{channel="sms",queue="inbox",region="00"} 1.0' in text
    assert 'lapor_dead_total{reason="untranslatable",stage="intake"} 1.0' in text


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": ""}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer é"}]
)
@pytest.mark.parametrize("path", ["/api/v1/complaints", "/api/v1/complaints/10000009"])
def test_the_api_needs_its_token(site: Site, path: str, headers: dict[str, str]) -> None:
    answer = create_app(site.gateway()).test_client().get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.json["error"] == "not_allowed"
    assert "for-tests-only" not in answer.text


def test_without_a_token_the_api_is_off(site: Site) -> None:
    main = site.write().config / "gateway.toml"
    main.write_text(main.read_text().replace('[api]\ntoken = { file = "keys/api" }', ""))
    answer = create_app(site.gateway()).test_client().get("/api/v1/complaints", headers={"Authorization": "Bearer "})
    assert answer.status_code == 401


def test_the_api_lists_and_shows_complaints_without_their_reporters(delivered: Gateway, rows: Rows) -> None:
    client = create_app(delivered).test_client()
    listed = client.get("/api/v1/complaints", headers=BEARER)
    assert len(listed.json["complaints"]) == 3
    shown = [listed.text]
    for ticket in rows(tickets):
        answer = client.get(f"/api/v1/complaints/{ticket['number']}", headers=BEARER)
        assert answer.status_code == 200
        assert answer.json["history"][0]["to_status"] == "received"
        shown.append(answer.text)
    everything = "".join(shown)
    assert "jalan berlubang" in everything
    for secret in ("81200000", "reporter", "pungli"):
        assert secret not in everything, f"{secret} is nobody's business"
    assert "kepala desa menyunat bansos" in everything


@pytest.mark.parametrize(("limit", "count"), [("1", 1), ("200", 3)])
def test_the_list_has_as_many_as_asked_for(delivered: Gateway, limit: str, count: int) -> None:
    answer = create_app(delivered).test_client().get(f"/api/v1/complaints?limit={limit}", headers=BEARER)
    assert len(answer.json["complaints"]) == count


@pytest.mark.parametrize("limit", ["0", "-5", "x", "", "201", "99999999999999999999", "%D9%A3"])
def test_a_limit_that_makes_no_sense_is_400(delivered: Gateway, limit: str) -> None:
    answer = create_app(delivered).test_client().get(f"/api/v1/complaints?limit={limit}", headers=BEARER)
    assert answer.status_code == 400
    assert answer.json == {"error": "bad_limit", "message": "limit harus angka dari 1 sampai 200"}


def test_an_error_of_the_api_is_english_if_the_client_prefers_it(delivered: Gateway) -> None:
    headers = {**BEARER, "Accept-Language": "en"}
    answer = create_app(delivered).test_client().get("/api/v1/complaints?limit=0", headers=headers)
    assert answer.json == {"error": "bad_limit", "message": "limit is a number from 1 to 200"}


@pytest.mark.parametrize("ticket", ["10000001", "x", "%00", "1%00", "' OR 1=1 --", "9" * 500, "%F0%9F%98%AD"])
def test_an_unknown_ticket_is_404_whatever_it_is(site: Site, ticket: str) -> None:
    answer = create_app(site.gateway()).test_client().get(f"/api/v1/complaints/{ticket}", headers=BEARER)
    assert answer.status_code == 404
    assert answer.json["error"] == "unknown_ticket"


def test_an_unknown_page_is_404(site: Site) -> None:
    assert create_app(site.gateway()).test_client().get("/wp-login.php").status_code == 404


@pytest.mark.parametrize(("language", "message"), [("id", "tidak ada halaman ini"), ("en", "there is no such page")])
def test_an_unknown_page_says_so_in_the_language_of_the_client(site: Site, language: str, message: str) -> None:
    answer = create_app(site.gateway()).test_client().get("/api/v2", headers={"Accept-Language": language})
    assert answer.json["message"].startswith(message)


def test_the_status_page_says_that_all_is_well(delivered: Gateway, clock: StillClock) -> None:
    delivered.jobs.beat()
    client = create_app(delivered).test_client()
    page = client.get("/status").text
    assert "Lancar: semua kanal berjalan" in page
    assert "all channels work" in client.get("/status?lang=en").text
    report = client.get("/status.json").json
    assert report["healthy"] is True
    assert report["waiting"] == 0
    assert report["dead"] == 0


def test_the_status_page_says_that_no_process_works(site: Site, clock: StillClock) -> None:
    gateway = site.gateway()
    gateway.jobs.beat()
    clock.advance(minutes=3)
    page = create_app(gateway).test_client().get("/status").text
    assert "tidak ada proses gateway sejak" in page
    assert "Ada masalah" in page


def test_the_status_page_escapes_what_it_shows(site: Site, clock: StillClock) -> None:
    gateway = site.gateway()
    gateway.spool.leases.fail("00", "sms", "unavailable: <script>alert(1)</script>")
    page = create_app(gateway).test_client().get("/status").text
    assert "<script>" not in page
    assert "Ada masalah" in page
