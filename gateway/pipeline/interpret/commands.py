"""Commands or report? What a citizen's words ask for. Pure.

Forgiving of case, spaces and punctuation; what is no command is a report, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.tickets import check_ticket

# Matched against a text of single spaces and at most so many characters: patterns like these could otherwise take
# minutes for a message made to keep them busy.
_LONGEST_COMMAND = 80
_HELP = re.compile(r"(?:bantuan|help|info)[?!. ]*", re.IGNORECASE)
_TICKET = r" ?[:#.]?(?: ?(?:laporan|tiket|no(?:mor)?\b)\.?)*+ ?[:#]? ?([\d .\-]*)[?!.]*"
_STATUS = re.compile("(?:cek )?status" + _TICKET, re.IGNORECASE)
# Digits must follow "batal": "batalkan kenaikan tarif parkir" is a complaint. Alone it asks which ticket.
_WITHDRAW = re.compile("batal(?:kan)?" + _TICKET, re.IGNORECASE)
_STOP = re.compile(r"(?:stop|berhenti)[?!. ]*", re.IGNORECASE)
_AGREE = re.compile(r"(?:ya,? )?setuju[?!. ]*", re.IGNORECASE)
# "baru" opens many a sentence ("baru saja...", "baru-baru ini..."): it is a command in capitals, before a colon, or
# before a dash that stands alone.
_NEW = re.compile(
    r"\s*+(?:BARU\b|(?i:baru)(?=\s*+:|\s++[\-–—]\s))(?!\s*+[\-–—]?+\s*+(?i:baru)\b)(?P<between>[\s:,;.!\-–—]*+)"
)
# A word with what people write around it: "ANONIM!", "*ANONIM*", "(anonim)", "ANONIM/RAHASIA". Possessive: no
# backtracking. A quote or bracket that opens after the word belongs to the report.
_PREFIX = re.compile(r"[\s*_#(\[<]*+([A-Za-z0-9]++)(?![^\W_])[\s:,;.!?/|+&*_\-–—)\]>]*+")
_NOT_DIGITS = re.compile(r"\D")


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Something to be answered by an office."""

    text: str  # without the leading command words
    keyword: str | None = None  # as written, where it names a region
    region: str | None = None  # that region's code
    anonymous: bool = False
    confidential: bool = False
    new: bool = False  # BARU: in any case a report of its own
    headless: bool = False  # its first part never came: nobody knows which command words it began with

    @property
    def plain(self) -> bool:
        """Whether no command word asks for a report of its own, as far as we know."""
        return not (self.new or self.anonymous or self.confidential or self.keyword or self.headless)


@dataclass(frozen=True, slots=True)
class StatusQuery:
    """STATUS with a number that can be a ticket."""

    ticket: str


@dataclass(frozen=True, slots=True)
class MistypedTicket:
    """STATUS or BATAL with a number whose check digit is wrong, or with none."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """BATAL with a number that can be a ticket."""

    ticket: str


@dataclass(frozen=True, slots=True)
class Consent:
    """SETUJU, or STOP: whether the sender wants to hear from us unasked."""

    given: bool


@dataclass(frozen=True, slots=True)
class HelpRequest:
    """BANTUAN, or a message with nothing in it."""


Request = Report | StatusQuery | MistypedTicket | Withdrawal | Consent | HelpRequest


def parse_request(text: str, keywords: Mapping[str, str], *, has_attachments: bool = False) -> Request:
    """Return what a message asks for; `keywords` maps upper-case words to region codes."""
    compact = " ".join(text.split())
    if not (compact or has_attachments):
        return HelpRequest()
    if has_attachments or len(compact) > _LONGEST_COMMAND:  # a picture is never a question
        return _report(text, keywords)
    if _HELP.fullmatch(compact):
        return HelpRequest()
    if _STOP.fullmatch(compact) or _AGREE.fullmatch(compact):
        return Consent(given=_STOP.fullmatch(compact) is None)
    for pattern, asked in ((_STATUS, StatusQuery), (_WITHDRAW, Withdrawal)):
        if found := pattern.fullmatch(compact):
            ticket = _NOT_DIGITS.sub("", found[1])
            return asked(ticket) if check_ticket(ticket) else MistypedTicket()
    return _report(text, keywords)


def _report(text: str, keywords: Mapping[str, str]) -> Report:
    """Take command words off the front, in any order, each at most once; the rest is the report."""
    keyword = region = None
    anonymous = confidential = new = False
    rest = text
    while True:
        if not new and (marked := _NEW.match(rest)):
            new = True
            if _shouted(rest, marked, keywords):
                break
            rest = rest[marked.end() :]
        if not (prefix := _PREFIX.match(rest)):
            break
        word = prefix[1].upper()
        if word == "ANONIM" and not anonymous:
            anonymous = True
        elif word == "RAHASIA" and not confidential:
            confidential = True
        elif word in keywords and region is None:
            keyword, region = prefix[1], keywords[word]
        else:
            break
        rest = rest[prefix.end() :]
    # A message of nothing but command words is still somebody's message.
    return Report(
        text=rest if rest.strip() else text,
        keyword=keyword,
        region=region,
        anonymous=anonymous,
        confidential=confidential,
        new=new,
    )


def _shouted(text: str, marked: re.Match[str], keywords: Mapping[str, str]) -> bool:
    """Tell whether BARU may just be the first word of a text in capitals; it then stays in the text."""
    rest = text[marked.end() :]
    if marked["between"].strip() or not rest.isupper():
        return False
    following = _PREFIX.match(rest)
    return following is None or following[1] not in {"ANONIM", "RAHASIA", *keywords}
