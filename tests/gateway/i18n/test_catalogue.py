"""Users' texts in two languages, from one catalogue."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from gateway.domain.texts import text
from gateway.i18n import Language, localize, preferred
from gateway.i18n.catalogue import LOCALE
from gateway.i18n.moments import WIB, WIT, WITA, age, format_moment, format_number, zone_of

ROOT = Path(__file__).parents[3]
MOMENT = datetime(2026, 11, 26, 14, 14, tzinfo=UTC)


@pytest.fixture(scope="module")
def indonesian() -> Catalog:
    return read_po(io.BytesIO((LOCALE / "id/LC_MESSAGES/lapor.po").read_bytes()), locale="id")


def forms(content: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return a message's text or translation in all its plural forms; most have one."""
    return (content,) if isinstance(content, str) else tuple(content or ("",))


def placeholders(content: str | Sequence[str] | None) -> set[str]:
    return {name for form in forms(content) for _, name, _, _ in Formatter().parse(form) if name}


def translations(catalogue: Catalog) -> dict[tuple[str, ...], tuple[str, ...]]:
    return {forms(message.id): forms(message.string) for message in catalogue if message.id}


def test_every_text_is_translated(indonesian: Catalog) -> None:
    assert [message.id for message in indonesian if message.id and not all(forms(message.string))] == []


def test_no_translation_is_a_guess(indonesian: Catalog) -> None:
    assert [message.id for message in indonesian if message.id and message.fuzzy] == []


def test_a_translation_has_the_placeholders_of_its_pattern(indonesian: Catalog) -> None:
    messages = [(message.id, message.string) for message in indonesian if message.id]
    assert [pattern for pattern, shown in messages if placeholders(pattern) != placeholders(shown)] == []


def test_the_compiled_catalogue_is_current(indonesian: Catalog) -> None:
    compiled = read_mo(io.BytesIO((LOCALE / "id/LC_MESSAGES/lapor.mo").read_bytes()))
    assert translations(compiled) == translations(indonesian)


def test_the_catalogue_has_every_text_of_the_code(indonesian: Catalog, tmp_path: Path) -> None:
    out = tmp_path / "lapor.pot"
    command = [sys.executable, "-m", "babel.messages.frontend", "--quiet", "extract", "--no-default-keywords"]
    command += [
        "--keywords=text",
        "--keywords=plural:1,2",
        "--no-location",
        "--ignore-dirs=migrations .* _*",
        f"--output={out}",
    ]
    subprocess.run([*command, "gateway", "adapters", "run_gateway.py"], cwd=ROOT, check=True)
    extracted = {forms(message.id) for message in read_po(io.BytesIO(out.read_bytes()))}
    assert extracted ^ {forms(message.id) for message in indonesian} == set(), (
        "make catalogue, then translate what is new"
    )


def test_a_text_is_shown_in_indonesian_with_its_values() -> None:
    waiting = text("last message came in {at}", at=age(timedelta(minutes=12)))
    assert localize(waiting, Language.INDONESIAN) == "pesan terakhir masuk 12 menit"


def test_a_text_stays_english_for_those_who_ask_for_it() -> None:
    waiting = text("last message came in {at}", at=age(timedelta(minutes=12)))
    assert localize(waiting, Language.ENGLISH) == "last message came in 12 minutes"


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("this channel is not configured any more", "kanal ini sudah tidak ada di setelan"),
        (
            "unavailable: the database var/gateway.db cannot grow: the disk is full; make room",
            "unavailable: basis data var/gateway.db tidak dapat bertambah: disk penuh; kosongkan sebagian",
        ),
        ("unavailable: Twilio error 20003", "unavailable: kesalahan Twilio 20003"),
        (
            "unavailable: the phone answered HTTP 401; cause: user or password is wrong",
            "unavailable: telepon menjawab HTTP 401; penyebab: user atau password salah",
        ),
        ("unavailable: a text of another version", "unavailable: a text of another version"),
        ("untranslatable", "untranslatable"),
    ],
)
def test_a_stored_reason_is_shown_in_the_language_of_its_reader(stored: str, shown: str) -> None:
    assert localize(stored, Language.INDONESIAN) == shown


@pytest.mark.parametrize(
    ("option", "environment", "language"),
    [
        (None, {}, "id"),
        (None, {"LANG": "C.UTF-8"}, "id"),
        (None, {"LANG": "id_ID.UTF-8"}, "id"),
        (None, {"LANG": "en_GB.UTF-8"}, "en"),
        (None, {"LC_ALL": "en_US", "LANG": "id_ID.UTF-8"}, "en"),
        (None, {"LAPOR_LANG": "id", "LANG": "en_US.UTF-8"}, "id"),
        ("en", {"LAPOR_LANG": "id"}, "en"),
    ],
)
def test_indonesian_is_spoken_unless_english_is_asked_for(
    option: str | None, environment: dict[str, str], language: str
) -> None:
    assert preferred(option, environment) == language


def test_a_moment_is_local_and_names_its_zone() -> None:
    assert format_moment(MOMENT, Language.INDONESIAN) == "26 November 2026 21.14 WIB"


@pytest.mark.parametrize(("region", "zone"), [("00", WIB), ("18.10", WIB), ("74.71", WITA), ("91.71", WIT)])
def test_a_region_has_the_zone_of_its_province(region: str, zone: object) -> None:
    assert zone_of(region) is zone


@pytest.mark.parametrize(("language", "shown"), [(Language.INDONESIAN, "1.234"), (Language.ENGLISH, "1,234")])
def test_numbers_have_the_separators_of_the_language(language: Language, shown: str) -> None:
    assert format_number(1234, language) == shown


@pytest.mark.parametrize("english", ["", "no TLS with the operator ()"])
def test_an_empty_text_does_not_become_the_head_of_the_catalogue(english: str) -> None:
    assert "Project-Id-Version" not in localize(english, Language.INDONESIAN)


@pytest.mark.parametrize("piece", ["a: ", "; cause: ", "x: x; cause: ", "the gateway answered "])
def test_a_long_stored_text_takes_no_time(piece: str) -> None:
    began = time.thread_time()  # CPU time: a busy machine does not count
    localize(piece * 4000, Language.INDONESIAN)
    localize((piece * 4000)[:500], Language.INDONESIAN)
    assert time.thread_time() - began < 1


def test_a_long_stored_text_stays_as_it_is() -> None:
    assert localize("a: " * 1000, Language.INDONESIAN) == "a: " * 1000


def test_a_translation_has_the_paragraphs_of_its_text(indonesian: Catalog) -> None:
    texts = {message.id: str(message.string) for message in indonesian if isinstance(message.id, str)}
    assert [text for text, shown in texts.items() if text.count("\n\n") != shown.count("\n\n") and text] == []


def test_no_translation_is_glued_to_another(indonesian: Catalog) -> None:
    shown = [str(message.string) for message in indonesian if message.id]
    assert [text for text in shown if re.search(r"[a-z)]\.[A-Z]", text)] == []
