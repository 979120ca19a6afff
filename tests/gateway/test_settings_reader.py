"""The configuration is checked at once and whole: every fault with its file, key, what was found, and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.registry import Registry, Spec
from gateway.settings import Settings
from gateway.settings_reader import Fault, Faults, load

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

    root = Path(__file__).parents[2]
    shutil.copytree(root / "config", tmp_path / "config")
    made = CliRunner().invoke(run_gateway.main, ["--config", str(tmp_path / "config"), "init"])
    assert made.exit_code == 0, made.output
    assert isinstance(load(tmp_path / "config", Registry(run_gateway.BUILTIN)), Settings)


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
        ("config/gateway.toml", "routes.0.agency"),
        ("config/regions/18-lampung.toml", "keywords.2"),
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
    assert "there are: pekerjaan-umum" in told[again, "routes.category", "'tak-ada'"]
    assert "there are: pekerjaan-umum" in told["config/gateway.toml", "routes.category", "'energi'"]
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
        ('"rahasia-sekali"', "write a reference"),
        ('{ env = "LAPOR_TEST_MISSING" }', "set the environment variable LAPOR_TEST_MISSING"),
        ('{ file = "keys/tak-ada" }', "let `run_gateway.py init` make it"),
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
        "the file does not exist; use --config DIRECTORY",
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
