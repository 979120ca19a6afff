"""The commands check, status and try change nothing; the exit codes of all commands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest
import sqlalchemy as sa

import run_gateway
from adapters.sms.twilio.adapter import TwilioSms
from gateway import __version__
from gateway.domain.events import CitizenMessage, Event, MessagePart
from gateway.ports import RawMessage
from gateway.settings.templates import REPLIES
from gateway.spool.tables import metadata
from gateway.storage.database import Database
from tests.gateway.fixture_types import MakeIncoming, Rows, SmsRequest
from tests.gateway.site import Site

FOUND, USAGE, CONFIGURATION, UNAVAILABLE = 1, 2, 3, 4


def commands(group: click.Group, *path: str) -> Iterator[list[str]]:
    for name, command in group.commands.items():
        yield [*path, name]
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


@pytest.mark.parametrize("command", [[], *commands(run_gateway.main)], ids=" ".join)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_explains_itself_without_a_configuration(
    sqlite_site: Site, command: list[str], flag: str
) -> None:
    result = sqlite_site.run(*command, flag)
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_the_version_is_told(sqlite_site: Site) -> None:
    assert sqlite_site.run("--version").output == f"lapor-gateway, version {__version__}\n"


@pytest.mark.parametrize(
    "command", [["qqq"], ["check", "--qqq"], ["try"], ["replay"], ["work", "--stages", "qqq"], ["dead", "show", "x"]]
)
def test_wrong_usage_ends_with_2(sqlite_site: Site, command: list[str]) -> None:
    assert sqlite_site.write().run(*command).exit_code == USAGE


@pytest.mark.parametrize(
    "command",
    [
        ["check"],
        ["check", "--json"],
        ["status"],
        ["migrate"],
        ["dead", "list"],
        ["replay", "--dead"],
        ["keys", "rotate"],
        ["serve"],
        ["web"],
        ["work"],
        ["simulate", "--count", "1"],
    ],
    ids=" ".join,
)
def test_a_faulty_configuration_ends_with_3_and_no_traceback(sqlite_site: Site, command: list[str]) -> None:
    sqlite_site.write(extra="[work]\natempts = 3\n")
    result = sqlite_site.run(*command)
    assert result.exit_code == CONFIGURATION
    assert "did you mean 'attempts'?" in result.output
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("command", [["dead", "list"], ["migrate"], ["keys", "rotate"], ["serve"], ["web"]])
def test_a_database_that_is_away_ends_with_4_and_one_plain_line(sqlite_site: Site, command: list[str]) -> None:
    sqlite_site.url = "postgresql+psycopg://lapor:kata-sandi@127.0.0.1:9/lapor"
    result = sqlite_site.write().run(*command)
    assert result.exit_code == UNAVAILABLE, result.output
    assert "is it running" in result.output
    assert "kata-sandi" not in result.output


@pytest.mark.parametrize("url", ["bukan url", "mysql+nothing://lapor:kata-sandi@db/lapor", "oracle://lapor@db/lapor"])
def test_a_database_url_that_cannot_be_used_ends_with_3(sqlite_site: Site, url: str) -> None:
    sqlite_site.url = url
    result = sqlite_site.write().run("migrate")
    assert result.exit_code == CONFIGURATION
    assert isinstance(result.exception, SystemExit)
    assert "kata-sandi" not in result.output


def test_an_sqlite_file_that_cannot_be_made_is_told_with_what_to_do(sqlite_site: Site) -> None:
    sqlite_site.url = "sqlite:////proc/lapor/gateway.db"
    result = sqlite_site.write().run("migrate")
    assert result.exit_code == UNAVAILABLE
    assert "cannot be made" in result.output
    assert "check owner and permissions" in result.output


# --- check -------------------------------------------------------------------------------------------------------


def test_check_lists_channels_and_the_sms_parts_of_each_reply(sqlite_site: Site) -> None:
    result = sqlite_site.write().run("check")
    assert result.exit_code == 0
    assert "no fault" in result.output
    assert "http://127.0.0.1:8080/in/00/sms" in result.output
    assert "1 SMS, 113 characters" in result.output, "with the longest ticket there can be"


def test_check_in_json(sqlite_site: Site) -> None:
    report = json.loads(sqlite_site.write().run("check", "--json").output)
    assert report["ok"]
    assert report["channels"] == [{"address": "00/sms", "adapter": "sms.twilio", "replies": True}]
    assert {part["template"] for part in report["templates"]} == set(REPLIES)


def test_every_reply_as_shipped_takes_one_sms_with_the_longest_ticket(sqlite_site: Site) -> None:
    report = json.loads(sqlite_site.write().run("check", "--json").output)
    assert {part["template"]: part["parts"] for part in report["templates"] if part["parts"] > 1} == {}


def test_check_counts_the_parts_of_a_long_template(sqlite_site: Site) -> None:
    sqlite_site.write(extra='[templates]\nhelp = "' + "panjang 😊 " * 20 + '"\n')
    report = json.loads(sqlite_site.run("check", "--json").output)
    assert next(part["parts"] for part in report["templates"] if part["template"] == "help") > 1


def test_check_reports_faults_in_json(sqlite_site: Site) -> None:
    sqlite_site.write(extra="[work]\natempts = 3\n", regions={"32.toml": "x = "})
    result = sqlite_site.run("check", "--json")
    report = json.loads(result.output)
    assert (result.exit_code, report["ok"]) == (CONFIGURATION, False)
    assert {(fault["file"], fault["key"]) for fault in report["faults"]} == {
        ("config/gateway.toml", "work.atempts"),
        ("config/regions/32.toml", ""),
    }


def test_check_warns_of_a_file_among_the_regions_that_is_not_read(sqlite_site: Site) -> None:
    (sqlite_site.write().config / "regions" / "32-jabar.tml").write_text('code = "32"\n')
    result = sqlite_site.run("check")
    assert result.exit_code == 0
    assert "32-jabar.tml is not read: a region file ends in .toml" in result.output


def test_check_writes_schemas(sqlite_site: Site, tmp_path: Path) -> None:
    result = sqlite_site.run("check", "--schema", str(tmp_path / "schema"))
    assert result.exit_code == 0
    assert json.loads((tmp_path / "schema" / "region.schema.json").read_text())["properties"]["code"]


# --- status ------------------------------------------------------------------------------------------------------


def test_status_ends_with_1_before_a_process_has_run(site: Site) -> None:
    site.gateway()
    result = site.run("status")
    assert result.exit_code == FOUND
    assert "no process of the gateway has run yet" in result.output


def test_status_ends_with_0_if_all_is_well(site: Site) -> None:
    site.gateway().jobs.beat()
    assert site.run("status").exit_code == 0


@pytest.fixture
def stuck(site: Site, incoming: MakeIncoming) -> Site:
    """Return a site with one dead letter."""
    gateway = site.gateway()
    gateway.jobs.beat()
    gateway.spool.inbox.commit([gateway.spool.inbox.seal(incoming("1", payload=b"x"))])
    gateway.stages["intake"].run_once()
    return site


def test_status_ends_with_1_if_something_is_stuck(stuck: Site) -> None:
    result = stuck.run("status")
    assert result.exit_code == FOUND
    assert "NEEDS ACTION" in result.output


def test_status_is_shown_in_indonesian(stuck: Site) -> None:
    assert "PERLU TINDAKAN" in stuck.run("--lang", "id", "status").output


def test_status_in_json(stuck: Site) -> None:
    report = json.loads(stuck.run("status", "--json").output)
    assert (report["healthy"], report["dead"]) == (False, 1)


def test_status_says_that_the_database_does_not_answer(sqlite_site: Site) -> None:
    sqlite_site.url = "postgresql+psycopg://lapor:kata-sandi@127.0.0.1:9/lapor"
    result = sqlite_site.write().run("status")
    assert result.exit_code == FOUND
    assert result.output.startswith("database: ")
    assert sqlite_site.run("--lang", "id", "status").output.startswith("basis data: ")
    assert "kata-sandi" not in result.output


# --- try ---------------------------------------------------------------------------------------------------------


def test_try_shows_every_stage_and_writes_nothing(
    site: Site, tmp_path: Path, sms_request: SmsRequest, rows: Rows, database: Database
) -> None:
    sample = tmp_path / "sample.http"
    sample.write_bytes(sms_request("PRINGSEWU jalan berlubang", "SM1").dump())
    result = site.write().run("try", "00/sms", str(sample))
    assert result.exit_code == 0, result.output
    for shown in ("verified: True", "CitizenMessage", "Report", "pekerjaan-umum", "Dinas PUPR Kabupaten Pringsewu"):
        assert shown in result.output
    assert all(rows(table) == [] for table in metadata.sorted_tables)
    stages = [line["stage"] for line in json.loads(site.run("try", "00/sms", str(sample), "--json").output)]
    assert stages == ["verify", "translate", "commands", "enrich", "route", "answer"]


def test_try_needs_no_database_at_all(sqlite_site: Site, tmp_path: Path, sms_request: SmsRequest) -> None:
    sqlite_site.url = "postgresql+psycopg://127.0.0.1:9/lapor"
    sample = tmp_path / "sample.http"
    sample.write_bytes(sms_request("jalan berlubang", "SM1").dump())
    assert sqlite_site.write().run("try", "00/sms", str(sample)).exit_code == 0


def test_try_says_when_a_sample_is_not_signed_and_reads_on(
    sqlite_site: Site, tmp_path: Path, sms_request: SmsRequest
) -> None:
    sample = tmp_path / "sample.http"
    sample.write_bytes(sms_request("jalan", "SM1").dump().replace(b"Body=jalan", b"Body=jembatan"))
    report = json.loads(sqlite_site.write().run("try", "00/sms", str(sample), "--json").output)
    assert report[0]["result"]["verified"] is False
    assert report[1]["result"]["text"] == "jembatan"


def test_try_reads_a_json_resource(sqlite_site: Site, tmp_path: Path) -> None:
    sample = tmp_path / "sample.json"
    resource = {"sid": "SM1", "direction": "inbound", "from": "+6281200000001", "to": "1708", "body": "BANTUAN"}
    sample.write_text(json.dumps(resource))
    report = json.loads(sqlite_site.write().run("try", "00/sms", str(sample), "--json").output)
    assert [line["stage"] for line in report] == ["translate", "commands", "answer"]
    assert report[1]["result"]["request"] == "HelpRequest"


SMPP_CHANNEL = """
code = "74.71"
name = "Kota Kendari"
agency = "Pemerintah Kota Kendari"

[channels.smpp]
adapter = "sms.smpp"
host = "127.0.0.1"
system_id = "lapor"
password = { file = "keys/twilio" }
sender = "1708"
"""


def test_check_shows_a_url_only_where_a_provider_calls(sqlite_site: Site) -> None:
    sqlite_site.token = "sandi123"  # at most 8 characters
    shown = sqlite_site.write(regions={"74.71-kendari.toml": SMPP_CHANNEL}).run("check").output
    assert "/in/00/sms\n" in shown
    assert re.search(r"smpp +sms\.smpp +–\n", shown)


def test_try_reads_an_smpp_pdu(sqlite_site: Site, tmp_path: Path) -> None:
    requests = Path(__file__).parents[3] / "adapters/sms/smpp/tests/requests"
    sqlite_site.token = "sandi123"  # at most 8 characters
    sqlite_site.write(regions={"74.71-kendari.toml": SMPP_CHANNEL})
    sample = requests / "message-ucs2-emoji.pdu"
    report = json.loads(sqlite_site.run("try", "74.71/smpp", str(sample), "--json").output)
    assert [line["stage"] for line in report] == ["translate", "commands", "enrich", "route", "answer"]
    assert report[0]["result"]["text"] == "Banjir 😭 di Kampung Melayu"
    sample = tmp_path / "sample.http"
    sample.write_bytes(b"GET / HTTP/1.1\r\n\r\n")
    result = sqlite_site.run("try", "74.71/smpp", str(sample))
    assert (result.exit_code, "did not come over SMPP" in result.output) == (FOUND, True)


def test_try_ends_with_1_where_the_message_cannot_be_read(sqlite_site: Site, tmp_path: Path) -> None:
    sample = tmp_path / "sample.json"
    sample.write_text("{}")
    result = sqlite_site.write().run("try", "00/sms", str(sample))
    assert result.exit_code == FOUND
    assert "untranslatable: field sid is missing" in result.output


REQUESTS = sorted((Path(__file__).parents[3] / "adapters/sms/twilio/tests/requests").glob("*.http"))


@pytest.mark.parametrize("sample", REQUESTS, ids=lambda path: path.stem)
def test_try_ends_with_1_for_what_cannot_be_read_and_nothing_else(sqlite_site: Site, sample: Path) -> None:
    result = sqlite_site.write().run("try", "00/sms", str(sample))
    unreadable = sample.stem in UNREADABLE
    assert result.exit_code == (FOUND if unreadable else 0), result.output
    assert ("error: untranslatable" in result.output) == unreadable
    assert "None" not in result.output


UNREADABLE = {"message-without-sid", "message-not-utf-8"}


@pytest.mark.parametrize(
    ("text", "answer", "parts"),
    [
        ("PRINGSEWU jalan berlubang", "text: Laporan Anda kami terima. No. tiket: 12345671. ", 1),
        ("BANTUAN", "text: Tulis laporan Anda: apa, di mana, kapan.", 1),
        ("STATUS 12345671", "text: Tiket 12345671: diterima, menunggu verifikasi (", 1),
        ("STATUS 12345671", "otherwise: Tiket 12345671 tidak ditemukan untuk nomor ini.", 1),
        ("STATUS 12345678", "text: Nomor tiket tidak dikenali", 1),
        ("BATAL 12345671", "text: Laporan 12345671 kami batalkan", 1),
        ("BATAL 12345671", "otherwise: Tiket 12345671 tidak ditemukan untuk nomor ini.", 1),
        ("BATAL", "text: Nomor tiket tidak dikenali", 1),
        ("STOP", "text: Baik, kami tidak akan mengirim pesan lagi", 1),
        ("setuju", "text: Terima kasih. Persetujuan Anda kami catat", 1),
    ],
)
def test_try_shows_what_the_citizen_would_be_answered(
    sqlite_site: Site, tmp_path: Path, sms_request: SmsRequest, text: str, answer: str, parts: int
) -> None:
    sample = tmp_path / "sample.http"
    sample.write_bytes(sms_request(text, "SM" + "1" * 32).dump())
    result = sqlite_site.write().run("try", "00/sms", str(sample))
    assert result.exit_code == 0, result.output
    assert answer in result.output
    assert f"parts: {parts}" in result.output


@pytest.fixture
def in_parts(sqlite_site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Return the site, its channel's adapter changed into one of a channel with parts."""

    def translate(self: TwilioSms, raw: RawMessage) -> list[Event]:
        return [MessagePart(group="7", number=2, total=3, sender="+6281200000001")]

    def join(self: TwilioSms, parts: Sequence[RawMessage | None]) -> CitizenMessage:
        text = "".join(raw.json().get("body") for raw in parts if raw is not None)
        return CitizenMessage(external_id="x", sender="+6281200000001", recipient="1708", text=text)

    monkeypatch.setattr(TwilioSms, "translate", translate)
    monkeypatch.setattr(TwilioSms, "join", join, raising=False)
    return sqlite_site


def test_try_tells_what_a_part_waits_for_and_how_it_reads_alone(in_parts: Site, tmp_path: Path) -> None:
    sample = tmp_path / "sample.json"
    sample.write_text('{"body": "jalan rusak"}')
    report = json.loads(in_parts.write().run("try", "00/sms", str(sample), "--json").output)
    assert [line["stage"] for line in report] == ["translate", "join"]
    assert (report[1]["result"]["waits_for"], report[1]["result"]["seconds"]) == ([1, 3], 600)
    assert report[1]["result"]["alone"] == ("jalan rusak\n\n[Pesan tidak lengkap: bagian 1, 3 dari 3 tidak diterima]")


def test_try_ends_with_1_where_a_part_cannot_be_joined(in_parts: Site, tmp_path: Path) -> None:
    sample = tmp_path / "sample.json"
    sample.write_text('{"body": ["no text"]}')
    result = in_parts.write().run("try", "00/sms", str(sample))
    assert result.exit_code == FOUND
    assert "error: untranslatable: field body is not text" in result.output


def test_try_prints_for_readers(sqlite_site: Site, tmp_path: Path, sms_request: SmsRequest) -> None:
    sample = tmp_path / "sample.http"
    sample.write_bytes(sms_request("PRINGSEWU jalan berlubang", "SM" + "1" * 32).dump())
    shown = sqlite_site.write().run("try", "00/sms", str(sample)).output
    assert "place: text: PRINGSEWU, code: 18.10, reason: keyword: PRINGSEWU\n" in shown
    assert "{" not in shown
    assert "None" not in shown


def test_try_names_the_channels_there_are(sqlite_site: Site, tmp_path: Path) -> None:
    sample = tmp_path / "sample.json"
    sample.write_text("{}")
    result = sqlite_site.write().run("try", "99/sms", str(sample))
    assert result.exit_code == CONFIGURATION
    assert "configured: 00/sms" in result.output


def test_looking_neither_makes_nor_migrates_a_database(sqlite_site: Site) -> None:
    sqlite_site.url = f"sqlite:///{sqlite_site.root / 'fresh.db'}"
    sqlite_site.write()
    for command in (["dead", "list"], ["replay", "--dead"], ["status"]):
        assert sqlite_site.run(*command).exit_code in (FOUND, CONFIGURATION)
    assert "its tables are missing or old; run: run_gateway.py migrate" in sqlite_site.run("status").output
    fresh = sa.create_engine(sqlite_site.url)
    assert sa.inspect(fresh).get_table_names() == []
    fresh.dispose()
