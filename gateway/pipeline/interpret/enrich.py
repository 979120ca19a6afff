"""Clean texts, convert phone numbers to E.164, and find class and category by word rules, with the reason. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import phonenumbers

from gateway.domain.complaint import Classification, Judgement
from gateway.settings.rules import CategoryRule, ClassificationRule

# Most senders have an Indonesian mobile number, and this pattern takes a hundredth of the library's time. ASCII,
# because \d alone also matches Arabic digits.
_MOBILE = re.compile(r"(?:\+62|62|0)(8[1-9]\d{7,10})", re.ASCII)
# Control characters of terminals, overrides of the writing direction, and code points that no database stores.
_UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
_TITLE = 80  # characters


def clean(text: str) -> str:
    """Return the text without control characters and lone surrogates, which harm databases and terminals."""
    return _UNWANTED.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def title_of(text: str) -> str:
    """Return the first line, cut between two words after at most 80 characters, and "…" if it was cut."""
    first = text.lstrip().split("\n", 1)[0].strip()
    if len(first) <= _TITLE:
        return first
    cut = first[:_TITLE]
    return (cut.rsplit(" ", 1)[0] if " " in cut else cut) + "…"


def phone(address: str) -> str | None:
    """Return the address as E.164, or `None` if it is no ordinary phone number, such as a short code or "TELKOMSEL".

    Short codes are not passed to the phone library, because it reads 1708 as a number in Jakarta.
    """
    compact = address.translate(_PUNCTUATION)
    if match := _MOBILE.fullmatch(compact):
        return "+62" + match[1]
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
    """Word rules, indexed by the first word of each term: one pass over a text finds the first rule that matches."""

    def __init__(self, rules: Sequence[Sequence[str]]) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], int, str]]] = {}
        for index, terms in enumerate(rules):
            for term in terms:
                words = tuple(words_of(term))
                if words:
                    self._by_first.setdefault(words[0], []).append((words, index, term))

    def first(self, words: Sequence[str]) -> tuple[int, str] | None:
        """Return the index of the first rule that matches, with the matching term, or `None` if no rule matches."""
        first = None
        for position, word in enumerate(words):
            if word in self._by_first:
                for term_words, index, term in self._by_first[word]:
                    if tuple(words[position : position + len(term_words)]) == term_words:
                        first = (index, term) if first is None else min(first, (index, term))
        return first


def words_of(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    return _WORD.findall(text.lower())


class Enricher:
    """The configured rules for category and class."""

    def __init__(self, categories: Sequence[CategoryRule], classifications: Sequence[ClassificationRule]) -> None:
        self._categories = categories
        self._classifications = classifications
        self._category_words = WordRules([rule.words for rule in categories])
        self._classification_words = WordRules([rule.words for rule in classifications])

    def category(self, words: Sequence[str]) -> Judgement | None:
        """Return the category, with the matching word as its reason, or `None` if no rule matches."""
        match = self._category_words.first(words)
        if match is None:
            return None
        index, term = match
        return Judgement(value=self._categories[index].code, reason=f"word: {term}")

    def classification(self, words: Sequence[str]) -> Judgement:
        """Return the class, with the matching word as its reason; "pengaduan" if no rule matches."""
        match = self._classification_words.first(words)
        if match is None:
            return Judgement(value=Classification.COMPLAINT.value, reason="free text")
        index, term = match
        return Judgement(value=self._classifications[index].classification.value, reason=f"word: {term}")
