"""The language of help pages and of click's own messages."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import run_gateway
from gateway.cli.language import language_of, localized, take_language
from gateway.i18n import Language
from gateway.i18n.click_texts import CLICK_PLURALS, CLICK_TEXTS


def run(*arguments: str, **environment: str | None) -> str:
    """Return the output of a command in an environment without a language, but for the variables given."""
    clean = {"LAPOR_LANG": None, "LC_ALL": None, "LC_MESSAGES": None, "LANG": None, **environment}
    return CliRunner().invoke(run_gateway.main, list(arguments), env=clean).output


def test_help_is_indonesian_by_default() -> None:
    assert run("--help").startswith("Cara pakai: ")


def test_help_of_a_command_is_indonesian_by_default() -> None:
    assert "Periksa seluruh konfigurasi." in run("check", "--help")


def test_help_of_an_option_is_indonesian_by_default() -> None:
    assert "Tampilkan JSON, untuk dibaca mesin." in run("check", "--help")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--lang", "en", "check", "--help"),
        ("check", "--lang", "en", "--help"),
        ("check", "--help", "--lang=en"),
    ],
)
def test_the_option_may_stand_anywhere_on_the_line(arguments: tuple[str, ...]) -> None:
    assert "Check the whole configuration." in run(*arguments)


@pytest.mark.parametrize("environment", [{"LAPOR_LANG": "en"}, {"LANG": "en_US.UTF-8"}])
def test_the_environment_may_choose_english(environment: dict[str, str]) -> None:
    assert run("--help", **environment).startswith("Usage: ")


def test_the_option_wins_over_the_environment() -> None:
    assert run("--help", "--lang", "id", LAPOR_LANG="en").startswith("Cara pakai: ")


def test_help_returns_to_english_after_indonesian() -> None:
    run("check", "--help")
    assert "Show this message and exit." in run("check", "--help", "--lang", "en")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["qqq"], "Kesalahan: Tidak ada perintah 'qqq'."),
        (["check", "--qqq"], "Kesalahan: Tidak ada opsi '--qqq'."),
        (["replay"], "Kesalahan: tulis salah satu: --dead atau --from MOMENT"),
        (["try", "00/sms"], "Kesalahan: Argumen belum ditulis 'FILE'."),
        (["try", "00/sms", "nowhere.http"], "Kesalahan: Nilai 'FILE' tidak sah: 'nowhere.http' tidak ada."),
        (["dead", "list", "--limit", "x"], "bukan bilangan yang sah (integer)."),
        (["check", "a", "b"], "Kesalahan: Ada argumen yang berlebih (a b)"),
        (["work", "--stages", "qqq"], "tidak dikenal: qqq; yang ada: intake"),
    ],
)
def test_wrong_usage_is_reported_in_indonesian(arguments: list[str], message: str) -> None:
    assert message in run(*arguments)


def test_an_unknown_language_is_refused_in_the_default_language() -> None:
    assert "Nilai '--lang' tidak sah: 'xx' bukan salah satu dari 'id', 'en'." in run("check", "--lang", "xx")


def test_an_unknown_language_of_the_environment_is_refused() -> None:
    assert "'xx' bukan salah satu dari" in run("check", LAPOR_LANG="xx")


@pytest.mark.parametrize(
    ("arguments", "option", "others"),
    [
        (["check"], None, ["check"]),
        (["check", "--lang", "en", "--json"], "en", ["check", "--json"]),
        (["--lang=id", "check", "--lang", "en"], "en", ["check"]),
        (["check", "--", "--lang", "en"], None, ["check", "--", "--lang", "en"]),
        (["check", "--lang"], None, ["check", "--lang"]),
    ],
)
def test_the_language_is_taken_from_the_line(arguments: list[str], option: str | None, others: list[str]) -> None:
    assert take_language(arguments) == (option, others)


def test_an_unknown_language_counts_as_none() -> None:
    assert language_of("xx", {"LAPOR_LANG": "yy", "LANG": "en_US"}) is Language.ENGLISH


def test_a_localized_command_leaves_the_original_as_it_is() -> None:
    command = click.Command("x", help="Check the whole configuration.")
    localized(command, Language.INDONESIAN)
    assert command.help == "Check the whole configuration."


def test_the_catalogue_has_only_texts_that_click_prints() -> None:
    """A text that a new version of click words differently would stay English unnoticed."""
    source = "".join(path.read_text("utf-8") for path in Path(click.__file__).parent.glob("*.py"))
    metavars = {"[OPTIONS]", "COMMAND [ARGS]..."}
    texts = {*map(str, CLICK_TEXTS), *(form for forms in CLICK_PLURALS for form in forms)} - metavars
    assert sorted(text for text in texts if f'"{text}"' not in source) == []
