"""Commands or report? What a citizen's words ask for. Pure.

Forgiving of case, spaces and punctuation; what is no command is a report, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.ids import check_ticket

# Matched against a text of single spaces and at most so many characters: patterns like these could otherwise take
# minutes for a message made to keep them busy.
_LONGEST_COMMAND = 80
_HELP = re.compile(r"(?:bantuan|help|info)[?!. ]*", re.IGNORECASE)
_STATUS = re.compile(
    r"(?:cek )?status ?[:#.]? ?(?:no(?:mor)?\b\.? ?)?(?:tiket ?)?[:#]? ?([\d .\-]*)[?!.]*", re.IGNORECASE
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


@dataclass(frozen=True, slots=True)
class StatusQuery:
    """STATUS with a number that can be a ticket."""

    ticket: str


@dataclass(frozen=True, slots=True)
class MistypedTicket:
    """STATUS with a number whose check digit is wrong, or with none."""


@dataclass(frozen=True, slots=True)
class HelpRequest:
    """BANTUAN, or a message with nothing in it."""


Request = Report | StatusQuery | MistypedTicket | HelpRequest


def assemble(text: str, keywords: Mapping[str, str], *, has_attachments: bool = False) -> Request:
    """Return what a message asks for; `keywords` maps upper-case words to region codes."""
    compact = " ".join(text.split())
    if not (compact or has_attachments):
        return HelpRequest()
    if has_attachments or len(compact) > _LONGEST_COMMAND:  # a picture is never a question
        return _report(text, keywords)
    if _HELP.fullmatch(compact):
        return HelpRequest()
    if found := _STATUS.fullmatch(compact):
        ticket = _NOT_DIGITS.sub("", found[1])
        return StatusQuery(ticket) if check_ticket(ticket) else MistypedTicket()
    return _report(text, keywords)


def _report(text: str, keywords: Mapping[str, str]) -> Report:
    """Take command words off the front, in any order, each at most once; the rest is the report."""
    keyword = region = None
    anonymous = confidential = False
    rest = text
    while prefix := _PREFIX.match(rest):
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
    )
