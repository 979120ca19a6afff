"""Distinguish commands from reports. Pure.

Case, spaces and punctuation of a command do not matter. A text that is no command is a report, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.domain import commands as words
from gateway.domain.tickets import check_ticket

# A longer text is a report and is not matched against the patterns, because an attacker can write a long text that keeps
# a pattern busy for minutes.
_LONGEST_COMMAND = 80  # characters


def _any_of(words: Sequence[str]) -> str:
    return f"(?:{'|'.join(words)})"


_HELP = re.compile(_any_of(words.HELP) + "[?!. ]*", re.IGNORECASE)
_TICKET = r" ?[:#.]?(?: ?(?:laporan|tiket|no(?:mor)?\b)\.?)*+ ?[:#]? ?([\d .\-]*)[?!.]*"
_STATUS = re.compile("(?:cek )?" + _any_of(words.STATUS) + _TICKET, re.IGNORECASE)
# Only digits may follow "batal", because "batalkan kenaikan tarif parkir" is a complaint. "batal" alone is a command
# without its ticket.
_WITHDRAW = re.compile(_any_of(words.WITHDRAW) + _TICKET, re.IGNORECASE)
_STOP = re.compile(_any_of(words.STOP) + "[?!. ]*", re.IGNORECASE)
_AGREE = re.compile("(?:ya,? )?" + _any_of(words.AGREE) + "[?!. ]*", re.IGNORECASE)
# Many sentences begin with "baru" ("baru saja...", "baru-baru ini..."). It is a command only in capitals, before a
# colon, or before a dash with spaces around it.
_NEW = re.compile(
    rf"\s*+(?:{words.NEW}\b|(?i:{words.NEW})(?=\s*+:|\s++[\-–—]\s))(?!\s*+[\-–—]?+\s*+(?i:{words.NEW})\b)"
    r"(?P<between>[\s:,;.!\-–—]*+)"
)
# A word with the signs that people write around it: "ANONIM!", "*ANONIM*", "(anonim)", "ANONIM/RAHASIA". Possessive
# quantifiers, so that nothing is matched twice. A quote or an opening bracket after the word belongs to the report.
_PREFIX = re.compile(r"[\s*_#(\[<]*+([A-Za-z0-9]++)(?![^\W_])[\s:,;.!?/|+&*_\-–—)\]>]*+")
_NOT_DIGITS = re.compile(r"\D")


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """A report of a citizen."""

    text: str  # without the command words at its beginning
    keyword: str | None = None  # the keyword of a region, as written
    region: str | None = None  # the code of that region
    anonymous: bool = False
    confidential: bool = False
    new: bool = False  # BARU: a report of its own, never an addition
    headless: bool = False  # its first part is missing, and with it any command words

    @property
    def plain(self) -> bool:
        """Return whether the report may be added to an earlier one: no command word or keyword, no missing first part."""
        return not (self.new or self.anonymous or self.confidential or self.keyword or self.headless)


@dataclass(frozen=True, slots=True)
class StatusQuery:
    """STATUS with a number that has a right check digit."""

    ticket: str


@dataclass(frozen=True, slots=True)
class MistypedTicket:
    """STATUS or BATAL with a number whose check digit is wrong, or without a number."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """BATAL with a number that has a right check digit."""

    ticket: str


@dataclass(frozen=True, slots=True)
class Consent:
    """SETUJU or STOP: the sender's choice whether the gateway may send messages that answer no command."""

    given: bool  # True after SETUJU


@dataclass(frozen=True, slots=True)
class HelpRequest:
    """BANTUAN, or an empty message."""


Request = Report | StatusQuery | MistypedTicket | Withdrawal | Consent | HelpRequest


def parse_request(text: str, keywords: Mapping[str, str], *, has_attachments: bool = False) -> Request:
    """Return the request of a message; `keywords` maps the regions' words in upper case to region codes."""
    compact = " ".join(text.split())
    if not (compact or has_attachments):
        return HelpRequest()
    if has_attachments or len(compact) > _LONGEST_COMMAND:
        return _report(text, keywords)
    if _HELP.fullmatch(compact):
        return HelpRequest()
    if _STOP.fullmatch(compact) or _AGREE.fullmatch(compact):
        return Consent(given=_STOP.fullmatch(compact) is None)
    for pattern, request in ((_STATUS, StatusQuery), (_WITHDRAW, Withdrawal)):
        if match := pattern.fullmatch(compact):
            ticket = _NOT_DIGITS.sub("", match[1])
            return request(ticket) if check_ticket(ticket) else MistypedTicket()
    return _report(text, keywords)


def _report(text: str, keywords: Mapping[str, str]) -> Report:
    """Remove command words from the beginning, in any order, each once at most; the rest is the report."""
    keyword = region = None
    anonymous = confidential = new = False
    rest = text
    while True:
        if not new and (new_match := _NEW.match(rest)):
            new = True
            if _in_capitals(rest, new_match, keywords):
                break
            rest = rest[new_match.end() :]
        if not (prefix := _PREFIX.match(rest)):
            break
        word = prefix[1].upper()
        if word == words.ANONYMOUS and not anonymous:
            anonymous = True
        elif word == words.CONFIDENTIAL and not confidential:
            confidential = True
        elif word in keywords and region is None:
            keyword, region = prefix[1], keywords[word]
        else:
            break
        rest = rest[prefix.end() :]
    # A message that has only command words is a report too, with these words as its text.
    body = rest if rest.strip() else text
    return Report(text=body, keyword=keyword, region=region, anonymous=anonymous, confidential=confidential, new=new)


def _in_capitals(text: str, new_match: re.Match[str], keywords: Mapping[str, str]) -> bool:
    """Return whether the whole text is in capitals, so that BARU may be its first word: it then stays in the text."""
    rest = text[new_match.end() :]
    if new_match["between"].strip() or not rest.isupper():
        return False
    following = _PREFIX.match(rest)
    return following is None or following[1] not in {words.ANONYMOUS, words.CONFIDENTIAL, *keywords}
