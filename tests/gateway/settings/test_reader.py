"""The configuration is checked at once and whole: every fault with its file, key, what was found, and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.ports.registry import Registry, Spec
from gateway.settings.faults import Fault, Faults
from gateway.settings.files import Settings
from gateway.settings.reader import load

REGION = 'code = "18.10"\nname = "Kabupaten Pringsewu"\n'


@pytest.fixture
def faults(sqlite_site: Any) -> Any:
    """Return a function that writes a configuration and returns its faults."""

    def find(*, replace: tuple[str, str] = ("", ""), **files: Any) -> list[Fault]:
        sqlite_site.write(**files)
        main = sqlite_site.config / "gateway.toml"
        main.write_text(main.read_text().replace(*replace))
        try:
            sqlite_site.settings()
        except Faults as exc:
            told = exc
        else:
            return []
        assert all(str(fault) in told.message for fault in told.faults)
        return told.faults

    return find


def only(found: list[Fault]) -> tuple[str, str, str, str]:
    (fault,) = found
    return fault.file, fault.key, fault.found, fault.problem


def test_the_sites_configuration_has_no_fault(faults: Any) -> None:
    assert faults() == []


def test_the_shipped_configuration_has_no_fault_once_its_keys_are_made(tmp_path: Path) -> None:
    import shutil

    from click.testing import CliRunner

    import run_gateway

    root = Path(__file__).parents[3]
    shutil.copytree(root / "config", tmp_path / "config")
    made = CliRunner().invoke(run_gateway.main, ["--config", str(tmp_path / "config"), "init"])
    assert made.exit_code == 0, made.output
    assert isinstance(load(tmp_path / "config", Registry(run_gateway.BUILTIN)), Settings)


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
    from gateway.simulation.simulator import SAMPLES, load_samples

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


def test_all_faults_are_told_together(faults: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAPOR_TEST_MISSING", raising=False)
    found = faults(
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
    keys = {(fault.file, fault.key) for fault in found}
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
    assert all(fault.problem for fault in found)


def test_faults_between_files_are_told_together(faults: Any) -> None:
    found = faults(
        extra='[[routes]]\nagency = "PLN"\ncategory = "energi"\n[adapters."sms.twilo"]\n',
        regions={
            "18-lampung.toml": 'code = "18"\nname = "Lampung"\nkeywords = ["PSW", "STATUS"]\n',
            "18.10-zzz.toml": REGION + '[[routes]]\nagency = "X"\ncategory = "tak-ada"\n',
        },
    )
    told = {(fault.file, fault.key, fault.found): fault.problem for fault in found}
    lampung, again = "config/regions/18-lampung.toml", "config/regions/18.10-zzz.toml"
    pringsewu = "config/regions/18.10-pringsewu.toml"
    assert told[pringsewu, "keywords", "'PSW'"] == f"{lampung} has the same keyword"
    assert told[lampung, "keywords", "'STATUS'"] == "is a command; choose another"
    assert told[again, "code", "'18.10'"] == f"{pringsewu} has the same code"
    assert "there are: pekerjaan-umum" in told[again, "routes.1 (X).category", "'tak-ada'"]
    assert "there are: pekerjaan-umum" in told["config/gateway.toml", "routes.1 (PLN).category", "'energi'"]
    assert "did you mean 'sms.twilio'?" in told["config/gateway.toml", "adapters.sms.twilo", ""]
    assert len(found) == 6


def test_faults_name_the_files_that_were_read_wherever_they_are(sqlite_site: Any) -> None:
    sqlite_site.write(extra='[[routes]]\nagency = "PLN"\ncategory = "energi"\n')
    sqlite_site.config.rename(sqlite_site.root / "etc")
    with pytest.raises(Faults) as raised:
        load(sqlite_site.root / "etc", sqlite_site.registry)
    assert [fault.file for fault in raised.value.faults] == ["etc/gateway.toml"]


def test_a_misspelt_setting_is_answered_with_the_nearest_one(faults: Any) -> None:
    file, key, _, problem = only(faults(extra="[work]\natempts = 3\n"))
    assert (file, key, problem) == ("config/gateway.toml", "work.atempts", "is not a setting; did you mean 'attempts'?")


def test_a_setting_like_no_other_is_answered_with_all(faults: Any) -> None:
    assert "there are: per_hour" in only(faults(extra="[replies]\nqqq = 3\n"))[3]


def test_a_misspelt_adapter_is_answered_with_the_nearest_one(faults: Any) -> None:
    text = REGION.replace("18.10", "32") + '[channels.sms]\nadapter = "sms.twillio"\n'
    assert only(faults(regions={"32.toml": text})) == (
        "config/regions/32.toml",
        "channels.sms.adapter",
        "'sms.twillio'",
        "there is no adapter 'sms.twillio'; did you mean 'sms.twilio'?",
    )


def test_a_missing_package_is_answered_with_the_pip_command(sqlite_site: Any) -> None:
    sqlite_site.registry = Registry({"sms.twilio": Spec("package_nobody_has.module:Class", "sms-twilio")})
    sqlite_site.write()
    with pytest.raises(Faults, match=r"pip install 'lapor-gateway\[sms-twilio\]'") as raised:
        sqlite_site.settings()
    assert "'package_nobody_has'" in raised.value.message


def test_a_fault_in_shared_adapter_settings_is_told_once_and_in_its_own_file(faults: Any) -> None:
    second = 'code = "32"\nname = "Jawa Barat"\n[channels.sms]\nadapter = "sms.twilio"\nsender = "1799"\n'
    found = faults(replace=("receipts = false", "recepts = false"), regions={"32.toml": second})
    file, key, _, problem = only(found)
    assert (file, key) == ("config/gateway.toml", "adapters.sms.twilio.recepts")
    assert "did you mean 'receipts'?" in problem


def test_a_channels_own_value_is_blamed_on_the_channel(faults: Any) -> None:
    text = 'code = "32"\nname = "Jawa Barat"\n[channels.sms]\nadapter = "sms.twilio"\nsender = "1799"\ntimeout = -1\n'
    file, key, found, _ = only(faults(regions={"32.toml": text}))
    assert (file, key, found) == ("config/regions/32.toml", "channels.sms.timeout", "-1")


def test_a_missing_setting_is_told_with_what_it_is(faults: Any) -> None:
    text = 'code = "32"\nname = "Jawa Barat"\n[channels.sms]\nadapter = "sms.twilio"\n'
    file, key, found, problem = only(faults(regions={"32.toml": text}))
    assert (file, key, found) == ("config/regions/32.toml", "channels.sms.sender", "")
    assert problem == "is missing; add it: Our number: +62... or a short code like 1708."


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ('"rahasia-sekali"', 'write a reference: { env = "NAME" } or { file = "path" }, not the value'),
        ('{ env = "LAPOR_TEST_MISSING" }', "set the environment variable LAPOR_TEST_MISSING"),
        ('{ file = "keys/tak-ada" }', "let `run_gateway.py init` make it"),
        ('{ file = "keys" }', "Is a directory"),
        ('{ file = "keys/kosong" }', "is empty"),
        ('{ file = "keys/biner" }', "is not UTF-8 text"),
        ('{ value = "rahasia-sekali" }', "write a reference"),
        ("{ env = 5 }", "must be a name in quotes"),
    ],
)
def test_a_secret_is_a_reference_and_never_shown(
    faults: Any, sqlite_site: Any, monkeypatch: pytest.MonkeyPatch, written: str, problem: str
) -> None:
    monkeypatch.delenv("LAPOR_TEST_MISSING", raising=False)
    keys = sqlite_site.write().root / "keys"
    (keys / "kosong").write_text("\n")
    (keys / "biner").write_bytes(b"\xff\xfe")
    (fault,) = faults(replace=('token = { file = "keys/api" }', f"token = {written}"))
    assert (fault.file, fault.key) == ("config/gateway.toml", "api.token")
    assert problem in fault.problem
    assert "rahasia-sekali" not in str(fault)


def test_a_secret_file_of_another_user_is_told_with_what_to_do(faults: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text

    def refused(path: Path, *args: Any, **options: Any) -> str:
        if path.name == "api":
            raise PermissionError(13, "Permission denied")
        return read(path, *args, **options)

    monkeypatch.setattr(Path, "read_text", refused)
    problem = only(faults())[3]
    assert "keys/api is not readable by this user" in problem
    assert "chown" in problem
    assert "chmod" in problem


def test_a_missing_storage_key_is_to_be_restored_and_not_invented(faults: Any) -> None:
    (fault,) = faults(replace=("keys/storage", "keys/hilang"))
    assert fault.key == "encryption.keys.1"
    assert "keys/hilang does not exist; restore it from the backup (only for a first installation: " in fault.problem


def test_a_secret_from_the_environment(sqlite_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAPOR_TEST_TOKEN", "rahasia-sekali")
    main = sqlite_site.write().config / "gateway.toml"
    main.write_text(main.read_text().replace('{ file = "keys/api" }', '{ env = "LAPOR_TEST_TOKEN" }'))
    settings = sqlite_site.settings()
    assert settings.gateway.api.token.reveal() == "rahasia-sekali"
    for shown in (repr(settings), str(settings.gateway.api), f"{settings.gateway.api.token}"):
        assert "rahasia-sekali" not in shown
    assert "rahasia-sekali" not in settings.gateway.model_dump_json()


def test_a_bad_key_is_not_shown(faults: Any, sqlite_site: Any) -> None:
    (sqlite_site.write().root / "keys" / "short").write_text("cnVtYWg=")
    (fault,) = faults(replace=("keys/storage", "keys/short"))
    assert fault.key.startswith("encryption.keys")
    assert "a key is 32 bytes" in fault.problem
    assert "cnVtYWg" not in str(fault)


def test_a_database_url_with_a_password_is_not_shown(faults: Any) -> None:
    found = faults(extra='[central]\nurl = ["postgresql://lapor:kata-sandi@db/lapor"]\n')
    assert found
    assert "kata-sandi" not in " ".join(str(fault) for fault in found)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://lapor:kata-sandi@db/lapor",
        "postgresql://lapor:kata-sandi@db/lapor",
        "postgresql+psycopg2://lapor:kata-sandi@db/lapor",
        "sqlite:///",
        "sqlite://",
        "var/gateway.db",
        "",
        "postgresql+psycopg://lapor:kata/sandi@db/lapor",
    ],
)
@pytest.mark.parametrize("section", ["database", "central"])
def test_a_database_url_of_another_kind_is_a_fault_and_never_shown(
    faults: Any, monkeypatch: pytest.MonkeyPatch, url: str, section: str
) -> None:
    monkeypatch.setenv("LAPOR_TEST_URL", url)
    for written in (f'"{url}"', '{ env = "LAPOR_TEST_URL" }' if url else '"mysql://x"'):
        table = f"[{section}]\nurl = {written}\n"
        fault = only(
            faults(extra=table) if section == "central" else faults(replace=("[database]\nurl = ", f"{table}#"))
        )
        assert fault[1] == f"{section}.url"
        assert (
            "write @ : / as %40" in fault[3]
            if "kata/sandi" in url
            else "sqlite:///PATH or postgresql+psycopg://" in fault[3]
        )
        assert "sandi" not in str(fault)


def test_what_gateway_toml_would_share_is_not_missed_where_it_cannot_be_read(faults: Any) -> None:
    text = 'code = "32"\nname = "Jabar"\n[channels.sms]\nadapter = "sms.twilio"\nsender = "1799"\ntimeout = -1\n'
    told = {(fault.file, fault.key) for fault in faults(extra="x = [", regions={"32.toml": text})}
    assert told == {("config/gateway.toml", ""), ("config/regions/32.toml", "channels.sms.timeout")}
    told = {(f.file, f.key) for f in faults(replace=('[adapters."sms.twilio"]', '[adapters."sms.twilo"]'))}
    assert ("config/gateway.toml", "adapters.sms.twilo") in told
    assert not any("account_sid" in key for _, key in told)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('code = "32\nname = "J"\n', '(at line 1, column 11): code = "32; a closing quote is missing?'),
        ('code = "32"\nname = "J', "a closing quote is missing?"),
        ('code = "32"\ncode = "33"\n', 'code = "33"; the key is written twice; keep one'),
        ("[channels.sms]\n[channels.sms]\n", "[channels.sms]; the table is written twice"),
        ("code = Jabar\n", "code = Jabar; text belongs in quotes"),
        ('[channels.sms]\nauth_token = "kata-sandi\n', "auth_token = ***; a closing quote is missing?"),
    ],
)
def test_what_the_parser_cannot_read_is_shown_with_what_it_mostly_is(faults: Any, text: str, said: str) -> None:
    problem = only(faults(regions={"32.toml": text}))[3]
    assert problem.startswith("is not TOML: ")
    assert said in problem
    assert "kata-sandi" not in problem


def test_a_byte_order_mark_is_no_fault(sqlite_site: Any) -> None:
    for path in (sqlite_site.write().config / "gateway.toml", sqlite_site.config / "regions" / "00-nasional.toml"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert sqlite_site.settings().channels
    assert sqlite_site.run("init").exit_code == 0


@pytest.mark.parametrize(
    ("replace", "region", "said"),
    [
        (("port = 0", 'port = "8080"'), "", "must be a whole number, without quotes"),
        (("timeout = 0.5", ""), "code = 18.1", "must be text: write it in quotes"),
        (("timeout = 0.5", ""), 'code = "18.1"', "must be a Kemendagri code"),
        (("timeout = 0.5", ""), 'code = "32"\nkeywords = ["jabar"]', "2 to 20 capital letters and digits"),
        (("timeout = 0.5", ""), 'code = "32"\n[channels.SMS]\nadapter = "sms.twilio"', "small letters, digits"),
        (("http://127.0.0.1:8080", "lapor.go.id"), "", "must start with https:// or http://"),
        (("[api]", '[work]\nidle = "1"\n[api]'), "", "must be a number, without quotes"),
    ],
)
def test_a_value_of_the_wrong_shape_is_told_in_words(
    faults: Any, replace: tuple[str, str], region: str, said: str
) -> None:
    first, _, rest = region.partition("\n")
    files = {"regions": {"32.toml": f'{first}\nname = "Jabar"\n{rest}\n'}} if region else {}
    assert said in only(faults(replace=replace, **files))[3]


def test_rules_are_counted_from_1_and_named(faults: Any) -> None:
    text = 'code = "32"\nname = "J"\n[[routes]]\nagency = "A"\n[[routes]]\nagency = "Dinas B"\nregio = "32"\n'
    assert only(faults(regions={"32.toml": text}))[1] == "routes.2 (Dinas B).regio"
    extra = '[[categories]]\ncode = "energi"\nwords = []\n'
    assert (
        only(faults(extra=extra, regions={"32.toml": text.replace("regio ", "region ")}))[1]
        == "categories.2 (energi).words"
    )


@pytest.mark.parametrize("name", ["jabar.toml", "3.toml", "320-jabar.toml", "32jabar.toml"])
def test_a_region_file_starts_with_its_code(faults: Any, name: str) -> None:
    problem = only(faults(regions={name: 'code = "32"\nname = "Jabar"\n'}))[3]
    assert problem == "the file's name must start with its code: 32-<name>.toml"


@pytest.mark.parametrize(
    ("region", "well"), [("18.10", True), ("18.10.01", True), ("18", True), ("18.11", False), ("32", False)]
)
def test_a_routes_region_is_one_that_a_region_file_has_or_contains(faults: Any, region: str, well: bool) -> None:
    found = faults(extra=f'[[routes]]\nagency = "PLN"\nregion = "{region}"\n')
    if well:
        assert found == []
    else:
        file, key, value, problem = only(found)
        assert (file, key, value) == ("config/gateway.toml", "routes.1 (PLN).region", repr(region))
        assert "there are: 00, 18.10" in problem


@pytest.mark.parametrize("name", ["public_url", "keywords"])
def test_the_value_found_is_shown_where_it_is_no_secret(faults: Any, name: str) -> None:
    if name == "public_url":
        (fault,) = faults(replace=('"http://127.0.0.1:8080"', '"lapor.go.id"'))
        assert fault.found == "'lapor.go.id'"
    else:
        (fault,) = faults(regions={"32.toml": 'code = "32"\nname = "Jabar"\nkeywords = ["jawa barat"]\n'})
        assert fault.found == "'jawa barat'"


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ('ticket = "Terima kasih"', "must contain {ticket}"),
        ('ticket = "No. {tiket}"', "unknown placeholder {tiket}; this text may use {agency}, {region}, {ticket}"),
        ('ticket = "No. {ticket"', "braces must be in pairs"),
        ('ticket = "No. {}"', "unknown placeholder {}"),
        ('ticket = "No. {0} {ticket}"', "unknown placeholder {0}"),
        ('ticket = "No. {ticket.x}"', "unknown placeholder {ticket.x}"),
        ('ticket = "No. {ticket:d}"', "cannot be filled in"),
        ('ticket = "No. {ticket:{agency}}"', "cannot be filled in"),
        ('status = "{ticket}"', "must contain {status}"),
        ('help = "Kirim ke {ticket}"', "this text may use no placeholder"),
    ],
)
def test_a_template_that_could_not_be_filled_in_is_a_fault(faults: Any, template: str, problem: str) -> None:
    (fault,) = faults(extra=f"[templates]\n{template}\n")
    assert fault.key == f"templates.{template.split(' ', maxsplit=1)[0]}"
    assert problem in fault.problem


def test_a_template_with_escaped_braces_is_fine(faults: Any) -> None:
    assert faults(extra='[templates]\nticket = "{{!}} {ticket:>12}"\n') == []


def test_no_configuration_at_all(tmp_path: Path) -> None:
    with pytest.raises(Faults) as raised:
        load(tmp_path / "config", Registry({}))
    assert [fault.problem for fault in raised.value.faults] == [
        f"{tmp_path}/config/gateway.toml does not exist; use --config DIRECTORY",
        "there is no region file; add one <code>-<name>.toml",
    ]


@pytest.mark.parametrize(("content", "problem"), [(b"x = [", "is not TOML"), (b"\xff", "is not UTF-8 text")])
def test_a_file_that_cannot_be_read_hides_no_other_fault(sqlite_site: Any, content: bytes, problem: str) -> None:
    region = 'code = "32"\nname = "Jabar"\n[channels.sms]\nadapter = "sms.twilo"\n'
    (sqlite_site.write(regions={"32.toml": region}).config / "gateway.toml").write_bytes(content)
    with pytest.raises(Faults) as raised:
        sqlite_site.settings()
    told = [(fault.file, fault.problem) for fault in raised.value.faults]
    assert any(file == "config/gateway.toml" and text.startswith(problem) for file, text in told)
    assert any(file == "config/regions/32.toml" and "did you mean" in text for file, text in told)


def test_a_relative_sqlite_path_is_relative_to_the_configurations_parent(sqlite_site: Any) -> None:
    sqlite_site.url = "sqlite:///var/gateway.db"
    settings = sqlite_site.write().settings()
    assert settings.database_url() == f"sqlite:///{sqlite_site.root / 'var/gateway.db'}"
    assert settings.central_url() == settings.database_url()


def test_a_channel_may_override_what_its_adapter_shares(sqlite_site: Any) -> None:
    text = 'code = "32"\nname = "Jabar"\n[channels.sms]\nadapter = "sms.twilio"\nsender = "1799"\ntimeout = 3\n'
    settings = sqlite_site.write(regions={"32.toml": text}).settings()
    found = {channel.region: channel for channel in settings.channels}
    assert (found["32"].settings.timeout, found["00"].settings.timeout) == (3, 0.5)
    assert found["32"].context.webhook_url == "http://127.0.0.1:8080/in/32/sms"
