"""Clean text, E.164 phones, class and category by keyword rules, each with its reason. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import phonenumbers

from gateway.domain.complaint import Classification, Judgement
from gateway.settings.rules import CategoryRule, ClassificationRule

# Plain Indonesian mobiles: most senders, at a hundredth the cost. ASCII, for \d also knows Arabic digits.
_MOBILE = re.compile(r"(?:\+62|62|0)(8[1-9]\d{7,10})", re.ASCII)
# Control characters of terminals, overrides of the writing direction, and what no database stores.
_UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
_TITLE = 80  # characters


def clean(text: str) -> str:
    """Return the text without control characters and lone surrogates, which no database or terminal should meet."""
    return _UNWANTED.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def title_of(text: str) -> str:
    """Return the first line, cut at a word's end."""
    first = text.lstrip().split("\n", 1)[0].strip()
    if len(first) <= _TITLE:
        return first
    cut = first[:_TITLE]
    return (cut.rsplit(" ", 1)[0] if " " in cut else cut) + "…"


def phone(address: str) -> str | None:
    """Return the address as E.164, or `None` for what is no ordinary number: short codes, "TELKOMSEL".

    Short codes are never given to a phone library: it would make 1708 a number in Jakarta.
    """
    compact = address.translate(_PUNCTUATION)
    if found := _MOBILE.fullmatch(compact):
        return "+62" + found[1]
    if len(compact) < 8 or not compact.removeprefix("+").isdigit():
        return None
    try:
        number = phonenumbers.parse(compact, "ID")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


_PUNCTUATION = str.maketrans("", "", " -.()/\u00a0")


class WordRules:
    """Finds the first rule of which a word or phrase occurs, in one pass over the text whatever their number."""

    def __init__(self, rules: Sequence[Sequence[str]]) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], int, str]]] = {}
        for index, terms in enumerate(rules):
            for term in terms:
                words = tuple(words_of(term))
                if words:
                    self._by_first.setdefault(words[0], []).append((words, index, term))

    def first(self, words: Sequence[str]) -> tuple[int, str] | None:
        """Return the index of the first rule that matches and its term, or `None`."""
        found = None
        for position, word in enumerate(words):
            if word in self._by_first:
                for term_words, index, term in self._by_first[word]:
                    if tuple(words[position : position + len(term_words)]) == term_words:
                        found = (index, term) if found is None else min(found, (index, term))
        return found


def words_of(text: str) -> list[str]:
    """Return the words in lower case."""
    return _WORD.findall(text.lower())


class Enricher:
    """Judges class and category by the configured rules."""

    def __init__(self, categories: Sequence[CategoryRule], classifications: Sequence[ClassificationRule]) -> None:
        self._categories, self._classifications = categories, classifications
        self._category_words = WordRules([rule.words for rule in categories])
        self._classification_words = WordRules([rule.words for rule in classifications])

    def category(self, words: Sequence[str]) -> Judgement | None:
        """Return the category and the word that gave it."""
        found = self._category_words.first(words)
        if found is None:
            return None
        return Judgement(value=self._categories[found[0]].code, reason=f"word: {found[1]}")

    def classification(self, words: Sequence[str]) -> Judgement:
        """Return the class; free text that no rule knows is a complaint."""
        found = self._classification_words.first(words)
        if found is None:
            return Judgement(value=Classification.COMPLAINT.value, reason="free text")
        return Judgement(value=self._classifications[found[0]].classification.value, reason=f"word: {found[1]}")
