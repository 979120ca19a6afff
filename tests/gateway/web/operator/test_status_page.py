"""The status page: one language at a time, regions by name, local time, counts, and a remedy for each trouble."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from gateway.bootstrap import Gateway
from gateway.operations.sentences import Remedy
from gateway.web.operator.app import create_app
from tests.gateway.fixture_types import MakeIncoming
from tests.gateway.site import Site


@pytest.fixture
def gateway(site: Site) -> Gateway:
    """Return a gateway with a message that cannot be read."""
    return site.gateway()


@pytest.fixture
def client(gateway: Gateway, incoming: MakeIncoming) -> FlaskClient:
    inbox = gateway.spool.inbox
    inbox.commit([inbox.seal(incoming("1", payload=b"x"))])
    gateway.stages["intake"].run_once()
    gateway.jobs.beat()
    return create_app(gateway).test_client()


def test_it_speaks_indonesian(client: FlaskClient) -> None:
    assert "Ada masalah: lihat kanal yang perlu tindakan" in client.get("/status").text


def test_indonesian_has_no_english_beside_it(client: FlaskClient) -> None:
    assert "needs action" not in client.get("/status").text


def test_it_speaks_english_if_asked(client: FlaskClient) -> None:
    assert "Trouble: see the channels that need action" in client.get("/status?lang=en").text


def test_english_has_no_indonesian_beside_it(client: FlaskClient) -> None:
    assert "pesan gagal" not in client.get("/status?lang=en").text


@pytest.mark.parametrize(
    ("accepts", "language"), [("en-GB,en;q=0.9", "en"), ("id,en;q=0.5", "id"), ("nl", "id"), ("", "id")]
)
def test_the_browser_chooses_if_nobody_asks(client: FlaskClient, accepts: str, language: str) -> None:
    page = client.get("/status", headers={"Accept-Language": accepts}).text
    assert f'<html lang="{language}">' in page


def test_an_unknown_language_is_indonesian(client: FlaskClient) -> None:
    assert '<html lang="id">' in client.get("/status?lang=xx").text


def test_it_names_the_region(client: FlaskClient, gateway: Gateway) -> None:
    names = [region.file.name for region in gateway.settings.regions]
    assert any(f"<h2>{name} · " in client.get("/status").text for name in names)


def test_it_tells_local_time_with_its_zone(client: FlaskClient) -> None:
    assert re.search(r"\d{1,2} \w+ \d{4} \d{2}\.\d{2} WIB", client.get("/status").text)


def test_it_counts_what_is_dead(client: FlaskClient) -> None:
    assert "Pesan gagal: 1" in client.get("/status").text


def test_a_trouble_leads_to_its_remedy(client: FlaskClient) -> None:
    assert '<a href="/status/help?lang=id#dead">Yang perlu dilakukan</a>' in client.get("/status").text


@pytest.mark.parametrize("remedy", Remedy)
def test_every_trouble_has_a_section_on_the_help_page(client: FlaskClient, remedy: Remedy) -> None:
    assert f'<section id="{remedy}">' in client.get("/status/help").text


def test_the_json_says_the_same_in_one_language(client: FlaskClient) -> None:
    (channel,) = (c for c in client.get("/status.json?lang=id").json["channels"] if c["dead"])
    assert {"text": "1 pesan gagal; lihat: run_gateway.py dead list", "remedy": "dead"} in channel["sentences"]
