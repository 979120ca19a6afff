"""Reading a configuration: all faults at once, each with its file, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters import BUILTIN
from gateway.i18n import Language, localize
from gateway.ports.registry import Registry, Spec
from gateway.settings.faults import Faults
from gateway.settings.files import Settings
from gateway.settings.reader import load
from tests.gateway.fixture_types import FindFaults
from tests.gateway.settings.support import only
from tests.gateway.site import Site

REGION = 'code = "18.10"\nname = "Kabupaten Pringsewu"\n'


def test_the_sites_configuration_has_no_fault(faults: FindFaults) -> None:
    assert faults() == []


def test_the_shipped_configuration_has_no_fault_once_its_keys_are_made(tmp_path: Path) -> None:
    import shutil

    from click.testing import CliRunner

    import run_gateway

    root = Path(__file__).parents[3]
    shutil.copytree(root / "config", tmp_path / "config")
    result = CliRunner().invoke(run_gateway.main, ["--config", str(tmp_path / "config"), "init"])
    assert result.exit_code == 0, result.output
    assert isinstance(load(tmp_path / "config", Registry(BUILTIN)), Settings)


@pytest.mark.parametrize(
    ("words", "category", "agency"),
    [
        ("PRINGSEWU jalan rusak di depan SDN", "pekerjaan-umum", "Dinas PUPR Kabupaten Pringsewu"),
        ("KENDARI lampu jalan di Jl. Bunga", "pekerjaan-umum", "Dinas Pekerjaan Umum Kota Kendari"),
        ("LUBUKLINGGAU air pdam mati", "perairan", "Perumda Air Minum Kota Lubuklinggau"),
        ("SUMBAR jembatan gantung", "pekerjaan-umum", "Pemerintah Provinsi Sumatera Barat"),
        ("LAMPUNG pungli di jembatan timbang", "perhubungan", "Dinas Perhubungan Provinsi Lampung"),
        ("pringsewu, sampah", "lingkungan", "Dinas Lingkungan Hidup Kabupaten Pringsewu"),
        ("Kendari: puskesmas", "kesehatan", "Pemerintah Kota Kendari"),
        ("ANONIM RAHASIA guru", "pendidikan", "Meja Nasional SP4N-LAPOR!"),
        ("SUMBAR trotoar", "pekerjaan-umum", "Pemerintah Provinsi Sumatera Barat"),
        ("tambahan yg tadi pak, lubangnya", "pekerjaan-umum", "Meja Nasional SP4N-LAPOR!"),
        ("LUBUKLINGGAU lampu merah", "perhubungan", "Pemerintah Kota Lubuklinggau"),
        ("PRINGSEWU bansos PKH", "sosial", "Pemerintah Kabupaten Pringsewu"),
        ("Tolong ditertibkan balap liar", "ketertiban", "Meja Nasional SP4N-LAPOR!"),
    ],
)
def test_the_shipped_rules_send_the_shipped_samples_where_they_belong(words: str, category: str, agency: str) -> None:
    import tomllib

    from gateway.pipeline.interpret.commands import Report, parse_request
    from gateway.pipeline.interpret.enrich import Enricher, words_of
    from gateway.pipeline.interpret.route import Router
    from gateway.settings.files import RegionFile
    from gateway.settings.rules import CategoryRule, Route
    from gateway.simulation.citizens import SAMPLES, load_samples

    config = Path(__file__).parents[3] / "config"
    main = tomllib.loads((config / "gateway.toml").read_text())
    regions = [RegionFile(**tomllib.loads(path.read_text())) for path in (config / "regions").glob("*.toml")]
    (sample,) = [sample for sample in load_samples(SAMPLES) if sample.text.startswith(words)]
    report = parse_request(sample.text, {word: region.code for region in regions for word in region.keywords})
    assert isinstance(report, Report)
    said = words_of(report.text)
    judged = Enricher([CategoryRule(**rule) for rule in main["categories"]], []).category(said)
    assert judged is not None
    assert judged.value == category
    router = Router(regions, [Route(**rule) for rule in main.get("routes", [])], main["national_desk"])
    assert router.agency(report.region, judged.value, said).value == agency


def test_all_faults_are_told_together(faults: FindFaults, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAPOR_TEST_MISSING", raising=False)
    reported = faults(
        replace=("port = 0", 'port = "delapan"\nprot = 1'),
        extra='[replies]\nper_hour = 5000\n[templates]\nhelp = "{tiket}"\n[[routes]]\nagency = ""\ncategory = "tak-ada"\n',
        regions={
            "18-lampung.toml": 'code = "18"\nname = "Lampung"\nkeywords = ["PSW", "STATUS", "kecil"]\n',
            "18.10-lagi.toml": REGION,
            "32-rusak.toml": "code = ",
            "74.71-kendari.toml": 'code = "74-71"\nname = "Kendari"\n[channels.sms]\nsender = "1"\n'
            '[channels.wa]\nadapter = "sms.twilo"\n[channels.tg]\nadapter = "sms.twilio"\nsender = "x"\n'
            'auth_token = { env = "LAPOR_TEST_MISSING" }\n',
        },
    )
    keys = {(fault.file, fault.key) for fault in reported}
    assert {
        ("config/gateway.toml", "server.port"),
        ("config/gateway.toml", "server.prot"),
        ("config/gateway.toml", "replies.per_hour"),
        ("config/gateway.toml", "templates.help"),
        ("config/gateway.toml", "routes.1.agency"),
        ("config/regions/18-lampung.toml", "keywords.3"),
        ("config/regions/32-rusak.toml", ""),
        ("config/regions/74.71-kendari.toml", "code"),
    } <= keys
    assert all(fault.problem for fault in reported)


def test_faults_between_files_are_told_together(faults: FindFaults) -> None:
    reported = faults(
        extra='[[routes]]\nagency = "PLN"\ncategory = "energi"\n[adapters."sms.twilo"]\n',
        regions={
            "18-lampung.toml": 'code = "18"\nname = "Lampung"\nkeywords = ["PSW", "STATUS"]\n',
            "18.10-zzz.toml": REGION + '[[routes]]\nagency = "X"\ncategory = "tak-ada"\n',
        },
    )
    problems = {(fault.file, fault.key, fault.found): fault.problem for fault in reported}
    lampung, again = "config/regions/18-lampung.toml", "config/regions/18.10-zzz.toml"
    pringsewu = "config/regions/18.10-pringsewu.toml"
    assert problems[pringsewu, "keywords", "'PSW'"] == f"{lampung} has the same keyword"
    assert problems[lampung, "keywords", "'STATUS'"] == "is a command; choose another"
    assert problems[again, "code", "'18.10'"] == f"{pringsewu} has the same code"
    assert "there are: pekerjaan-umum" in problems[again, "routes.1 (X).category", "'tak-ada'"]
    assert "there are: pekerjaan-umum" in problems["config/gateway.toml", "routes.1 (PLN).category", "'energi'"]
    assert "did you mean 'sms.twilio'?" in problems["config/gateway.toml", "adapters.sms.twilo", ""]
    assert len(reported) == 6


def test_faults_name_the_files_that_were_read_wherever_they_are(sqlite_site: Site) -> None:
    sqlite_site.write(extra='[[routes]]\nagency = "PLN"\ncategory = "energi"\n')
    sqlite_site.config.rename(sqlite_site.root / "etc")
    with pytest.raises(Faults) as raised:
        load(sqlite_site.root / "etc", sqlite_site.registry)
    assert [fault.file for fault in raised.value.faults] == ["etc/gateway.toml"]


def test_a_misspelt_setting_is_answered_with_the_nearest_one(faults: FindFaults) -> None:
    file, key, _, problem = only(faults(extra="[work]\natempts = 3\n"))
    assert (file, key, problem) == ("config/gateway.toml", "work.atempts", "is not a setting; did you mean 'attempts'?")


def test_a_setting_like_no_other_is_answered_with_all(faults: FindFaults) -> None:
    assert "there are: per_hour" in only(faults(extra="[replies]\nqqq = 3\n"))[3]


def test_a_misspelt_adapter_is_answered_with_the_nearest_one(faults: FindFaults) -> None:
    text = REGION.replace("18.10", "32") + '[channels.sms]\nadapter = "sms.twillio"\n'
    assert only(faults(regions={"32.toml": text})) == (
        "config/regions/32.toml",
        "channels.sms.adapter",
        "'sms.twillio'",
        "there is no adapter 'sms.twillio'; did you mean 'sms.twilio'?",
    )


def test_a_missing_package_is_answered_with_the_pip_command(sqlite_site: Site) -> None:
    sqlite_site.registry = Registry({"sms.twilio": Spec("package_nobody_has.module:Class", "sms-twilio")})
    sqlite_site.write()
    with pytest.raises(Faults, match=r"pip install 'lapor-gateway\[sms-twilio\]'") as raised:
        sqlite_site.settings()
    assert "'package_nobody_has'" in raised.value.message


def test_a_fault_in_shared_adapter_settings_is_told_once_and_in_its_own_file(faults: FindFaults) -> None:
    second = 'code = "32"\nname = "Jawa Barat"\n[channels.sms]\nadapter = "sms.twilio"\nsender = "1799"\n'
    reported = faults(replace=("receipts = false", "recepts = false"), regions={"32.toml": second})
    file, key, _, problem = only(reported)
    assert (file, key) == ("config/gateway.toml", "adapters.sms.twilio.recepts")
    assert "did you mean 'receipts'?" in problem


def test_a_channels_own_value_is_blamed_on_the_channel(faults: FindFaults) -> None:
    text = 'code = "32"\nname = "Jawa Barat"\n[channels.sms]\nadapter = "sms.twilio"\nsender = "1799"\ntimeout = -1\n'
    file, key, found, _ = only(faults(regions={"32.toml": text}))
    assert (file, key, found) == ("config/regions/32.toml", "channels.sms.timeout", "-1")


def test_a_missing_setting_is_told_with_what_it_is(faults: FindFaults) -> None:
    text = 'code = "32"\nname = "Jawa Barat"\n[channels.sms]\nadapter = "sms.twilio"\n'
    file, key, found, problem = only(faults(regions={"32.toml": text}))
    assert (file, key, found) == ("config/regions/32.toml", "channels.sms.sender", "")
    assert problem == "is missing; add it: Our number: +62... or a short code such as 1708."


def test_a_missing_setting_is_told_in_indonesian_too(faults: FindFaults) -> None:
    text = 'code = "32"\nname = "Jawa Barat"\n[channels.sms]\nadapter = "sms.twilio"\n'
    _, _, _, problem = only(faults(regions={"32.toml": text}))
    told = localize(problem, Language.INDONESIAN)
    assert told == "belum ada; tambahkan: Nomor kanal ini: +62... atau nomor pendek seperti 1708."
