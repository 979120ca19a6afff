"""Values of the wrong shape, and files that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.ports.registry import Registry
from gateway.settings.faults import Faults
from gateway.settings.reader import load
from tests.gateway.fixture_types import FindFaults
from tests.gateway.settings.support import only
from tests.gateway.site import Site


def test_what_gateway_toml_would_share_is_not_missed_where_it_cannot_be_read(faults: FindFaults) -> None:
    text = 'code = "32"\nname = "Jabar"\n[channels.sms]\nadapter = "sms.twilio"\nsender = "1799"\ntimeout = -1\n'
    reported = {(fault.file, fault.key) for fault in faults(extra="x = [", regions={"32.toml": text})}
    assert reported == {("config/gateway.toml", ""), ("config/regions/32.toml", "channels.sms.timeout")}
    reported = {(f.file, f.key) for f in faults(replace=('[adapters."sms.twilio"]', '[adapters."sms.twilo"]'))}
    assert ("config/gateway.toml", "adapters.sms.twilo") in reported
    assert not any("account_sid" in key for _, key in reported)


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
def test_what_the_parser_cannot_read_is_shown_with_what_it_mostly_is(faults: FindFaults, text: str, said: str) -> None:
    problem = only(faults(regions={"32.toml": text}))[3]
    assert problem.startswith("is not TOML: ")
    assert said in problem
    assert "kata-sandi" not in problem


def test_a_byte_order_mark_is_no_fault(sqlite_site: Site) -> None:
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
    faults: FindFaults, replace: tuple[str, str], region: str, said: str
) -> None:
    first, _, rest = region.partition("\n")
    files = {"regions": {"32.toml": f'{first}\nname = "Jabar"\n{rest}\n'}} if region else {}
    assert said in only(faults(replace=replace, **files))[3]


def test_rules_are_counted_from_1_and_named(faults: FindFaults) -> None:
    text = 'code = "32"\nname = "J"\n[[routes]]\nagency = "A"\n[[routes]]\nagency = "Dinas B"\nregio = "32"\n'
    assert only(faults(regions={"32.toml": text}))[1] == "routes.2 (Dinas B).regio"
    extra = '[[categories]]\ncode = "energi"\nwords = []\n'
    assert (
        only(faults(extra=extra, regions={"32.toml": text.replace("regio ", "region ")}))[1]
        == "categories.2 (energi).words"
    )


@pytest.mark.parametrize("name", ["jabar.toml", "3.toml", "320-jabar.toml", "32jabar.toml"])
def test_a_region_file_starts_with_its_code(faults: FindFaults, name: str) -> None:
    problem = only(faults(regions={name: 'code = "32"\nname = "Jabar"\n'}))[3]
    assert problem == "the file's name must start with its code: 32-<name>.toml"


@pytest.mark.parametrize("region", ["18.10", "18.10.01", "18"])
def test_a_routes_region_may_be_a_region_file_or_above_or_below_one(faults: FindFaults, region: str) -> None:
    assert faults(extra=f'[[routes]]\nagency = "PLN"\nregion = "{region}"\n') == []


@pytest.mark.parametrize("region", ["18.11", "32"])
def test_a_routes_region_without_a_region_file_is_a_fault(faults: FindFaults, region: str) -> None:
    file, key, value, problem = only(faults(extra=f'[[routes]]\nagency = "PLN"\nregion = "{region}"\n'))
    assert (file, key, value) == ("config/gateway.toml", "routes.1 (PLN).region", repr(region))
    assert "there are: 00, 18.10" in problem


def test_a_wrong_url_is_shown(faults: FindFaults) -> None:
    (fault,) = faults(replace=('"http://127.0.0.1:8080"', '"lapor.go.id"'))
    assert fault.found == "'lapor.go.id'"


def test_a_wrong_keyword_is_shown(faults: FindFaults) -> None:
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
def test_a_template_that_could_not_be_filled_in_is_a_fault(faults: FindFaults, template: str, problem: str) -> None:
    (fault,) = faults(extra=f"[templates]\n{template}\n")
    assert fault.key == f"templates.{template.split(' ', maxsplit=1)[0]}"
    assert problem in fault.problem


def test_a_template_with_escaped_braces_is_fine(faults: FindFaults) -> None:
    assert faults(extra='[templates]\nticket = "{{!}} {ticket:>12}"\n') == []


def test_no_configuration_at_all(tmp_path: Path) -> None:
    with pytest.raises(Faults) as raised:
        load(tmp_path / "config", Registry({}))
    assert [fault.problem for fault in raised.value.faults] == [
        f"{tmp_path}/config/gateway.toml does not exist; use --config DIRECTORY",
        "there is no region file; add one <code>-<name>.toml",
    ]


@pytest.mark.parametrize(("content", "problem"), [(b"x = [", "is not TOML"), (b"\xff", "is not UTF-8 text")])
def test_a_file_that_cannot_be_read_hides_no_other_fault(sqlite_site: Site, content: bytes, problem: str) -> None:
    region = 'code = "32"\nname = "Jabar"\n[channels.sms]\nadapter = "sms.twilo"\n'
    (sqlite_site.write(regions={"32.toml": region}).config / "gateway.toml").write_bytes(content)
    with pytest.raises(Faults) as raised:
        sqlite_site.settings()
    reported = [(fault.file, fault.problem) for fault in raised.value.faults]
    assert any(file == "config/gateway.toml" and text.startswith(problem) for file, text in reported)
    assert any(file == "config/regions/32.toml" and "did you mean" in text for file, text in reported)


def test_a_relative_sqlite_path_is_relative_to_the_configurations_parent(sqlite_site: Site) -> None:
    sqlite_site.url = "sqlite:///var/gateway.db"
    settings = sqlite_site.write().settings()
    assert settings.database_url() == f"sqlite:///{sqlite_site.root / 'var/gateway.db'}"
    assert settings.central_url() == settings.database_url()


def test_a_channel_may_override_what_its_adapter_shares(sqlite_site: Site) -> None:
    text = 'code = "32"\nname = "Jabar"\n[channels.sms]\nadapter = "sms.twilio"\nsender = "1799"\ntimeout = 3\n'
    settings = sqlite_site.write(regions={"32.toml": text}).settings()
    channels = {channel.region: channel for channel in settings.channels}
    assert (channels["32"].settings.timeout, channels["00"].settings.timeout) == (3, 0.5)
    assert channels["32"].context.webhook_url == "http://127.0.0.1:8080/in/32/sms"
