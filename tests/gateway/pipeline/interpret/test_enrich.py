"""Clean text, phones, titles, word rules."""

from __future__ import annotations

import time

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.complaint import Classification
from gateway.pipeline.interpret.enrich import Enricher, WordRules, clean, phone, title_of, words_of
from gateway.settings.rules import CategoryRule, ClassificationRule


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("081200000999", "+6281200000999"),
        ("+6281200000999", "+6281200000999"),
        ("6281200000999", "+6281200000999"),
        ("0812-0000-0999", "+6281200000999"),
        ("+62 812 0000 0999", "+6281200000999"),
        ("(0812) 0000.0999", "+6281200000999"),
        ("+62\u00a0812\u00a00000\u00a00999", "+6281200000999"),
        ("0217654321", "+62217654321"),
        ("+12025550123", "+12025550123"),
        ("+60123456789", "+60123456789"),
        ("1708", None),
        ("+1708", None),
        ("99999", None),
        ("TELKOMSEL", None),
        ("INDOSAT123", None),
        ("", None),
        ("+", None),
        ("+99999999999999999999", None),
        ("081200000999 ext 3", None),
        ("citizen@example.id", None),
        ("08\u0661\u0662\u0660\u0660\u0660\u0660\u0660\u0660\u0660", "+628120000000"),
    ],
)
def test_a_phone_becomes_e164_and_what_is_none_stays_none(address: str, expected: str | None) -> None:
    assert phone(address) == expected


@given(st.text(max_size=30) | st.text("+0123456789 -()٠١٢٣", max_size=20))
def test_a_phone_is_e164_or_none_whatever_is_given(address: str) -> None:
    found = phone(address)
    if found is not None:
        assert found[0] == "+"
        assert found[1:].isascii()
        assert found[1:].isdigit()
        assert phonenumbers.is_possible_number(phonenumbers.parse(found, None))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jalan\x00 rusak", "jalan rusak"),
        ("a\ud800b", "ab"),
        ("satu\r\ndua", "satu\ndua"),
        ("satu\rdua", "satu\ndua"),
        ("\x1b[31mmerah", "[31mmerah"),
        ("a\tb", "a\tb"),
        ("😭👩🏽‍🚒", "😭👩🏽‍🚒"),
        ("الطريق مكسور", "الطريق مكسور"),
        ("\u200fالطريق\u200e", "\u200fالطريق\u200e"),
        ("  spasi \n", "spasi"),
        ("\ufffe\uffff", ""),
    ],
)
def test_clean_drops_what_no_database_should_meet_and_keeps_the_rest(text: str, expected: str) -> None:
    assert clean(text) == expected


@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_clean_text_can_be_stored(text: str) -> None:
    found = clean(text)
    found.encode()
    assert "\x00" not in found
    assert clean(found) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jalan rusak\ndi depan pasar", "Jalan rusak"),
        ("\n\n  Jalan rusak  ", "Jalan rusak"),
        ("x" * 80, "x" * 80),
        ("x" * 200, "x" * 80 + "…"),
        ("kata " * 30, "kata " * 15 + "kata…"),
        ("", ""),
    ],
)
def test_a_title_is_the_first_line_cut_at_a_word(text: str, expected: str) -> None:
    assert title_of(text) == expected


@given(st.text(max_size=300))
def test_a_title_is_one_short_line(text: str) -> None:
    assert len(title_of(text)) <= 81
    assert "\n" not in title_of(text)


def test_words_are_whole_and_of_any_case() -> None:
    rules = WordRules([["bau"], ["lampu jalan", "e-ktp"], ["jalan"]])
    assert rules.first(words_of("Kebauan di pasar")) is None
    assert rules.first(words_of("LAMPU   Jalan mati")) == (1, "lampu jalan")
    assert rules.first(words_of("urus E-KTP lama")) == (1, "e-ktp")
    assert rules.first(words_of("jalan, lalu bau")) == (0, "bau"), "the first rule wins, not the first word"
    assert rules.first([]) is None
    assert WordRules([["!!!"]]).first(words_of("!!!")) is None


def test_category_and_class_tell_which_word_chose_them() -> None:
    enricher = Enricher(
        [CategoryRule(code="energi", words=["listrik"])],
        [ClassificationRule(classification=Classification.INFORMATION, words=["mau tanya"])],
    )
    category, asked = enricher.category(words_of("Listrik mati")), enricher.classification(words_of("Mau tanya ya"))
    assert category is not None
    assert (category.value, category.reason) == ("energi", "word: listrik")
    assert (asked.value, asked.reason) == ("permintaan_informasi", "word: mau tanya")
    free = enricher.classification(words_of("Listrik mati"))
    assert (free.value, free.reason) == ("pengaduan", "free text")
    assert enricher.category(words_of("apa saja")) is None


@pytest.mark.parametrize("text", ["a-" * 100_000, "a" * 300_000, "-" * 300_000, "a " * 100_000])
def test_words_of_a_long_text_are_found_quickly(text: str) -> None:
    began = time.thread_time()  # CPU time: a busy machine does not count
    words_of(text)
    assert time.thread_time() - began < 2
