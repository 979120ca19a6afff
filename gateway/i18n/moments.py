"""Write moments, durations and numbers in the reader's language, with Babel."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Self

from gateway.domain.texts import Localizable, Text, text
from gateway.i18n.catalogue import Language

# Fixed offsets, because Indonesia has no daylight saving time, and a small server may have no time zone files.
WIB = timezone(timedelta(hours=7), "WIB")
WITA = timezone(timedelta(hours=8), "WITA")
WIT = timezone(timedelta(hours=9), "WIT")
_CENTRAL = ("51", "52", "53", "63", "64", "65", "71", "72", "73", "74", "75", "76")  # Kemendagri codes of provinces
_EASTERN = ("81", "82", "91", "92", "93", "94", "95", "96")


def zone_of(region: str) -> timezone:
    """Return the time zone of a region by its Kemendagri code; for the nation ("00") that of Jakarta.

    Source: Keputusan Presiden 41/1987 (three zones), by province.
    """
    if region.startswith(_EASTERN):
        return WIT
    return WITA if region.startswith(_CENTRAL) else WIB


def common_zone(regions: Iterable[str]) -> timezone:
    """Return the time zone of the regions if they all have the same, else that of Jakarta."""
    zones = {zone_of(region) for region in regions}
    return zones.pop() if len(zones) == 1 else WIB


class Moment(Localizable):
    """A moment in local time, as a value of a text: "21:14 WIB", with its date if that is not today's."""

    __slots__ = ("_local", "_today")
    _local: datetime
    _today: bool

    def __new__(cls, moment: datetime, now: datetime, zone: timezone) -> Self:
        """Take an aware moment, the present moment, and the zone of the reader's region."""
        local = moment.astimezone(zone)
        today = local.date() == now.astimezone(zone).date()
        shown = super().__new__(cls, _moment(local, Language.ENGLISH, today=today))
        shown._local = local
        shown._today = today
        return shown

    def localized(self, language: str) -> str:
        """Return the moment in a language: "pukul 21.14 WIB" in Indonesian."""
        return _moment(self._local, Language(language), today=self._today)


def at(moment: datetime, now: datetime, zone: timezone) -> Text:
    """Return the text of a moment in the past, with its age: "at 21:14 WIB (12 minutes ago)"."""
    return text("at {moment} ({age} ago)", moment=Moment(moment, now, zone), age=age(now - moment))


def since(moment: datetime, now: datetime, zone: timezone) -> Text:
    """Return the text of a state that goes on, with its age: "since 21:14 WIB (12 minutes ago)"."""
    return text("since {moment} ({age} ago)", moment=Moment(moment, now, zone), age=age(now - moment))


def format_moment(moment: datetime, language: Language, zone: timezone = WIB) -> str:
    """Return a moment in local time, with date and zone: "26 November 2026 21.14 WIB"."""
    local = moment.astimezone(zone)
    return f"{_day(local, language)} {_clock(local, language)}"


def _moment(local: datetime, language: Language, *, today: bool) -> str:
    clock = _clock(local, language)
    if language is Language.INDONESIAN:
        clock = f"pukul {clock}"
    return clock if today else f"{_day(local, language)} {clock}"


def _clock(local: datetime, language: Language) -> str:
    clock = f"{local:%H.%M}" if language is Language.INDONESIAN else f"{local:%H:%M}"
    return f"{clock} {local.tzname()}"


def _day(local: datetime, language: Language) -> str:
    from babel.dates import format_date  # noqa: PLC0415  slow to import, and seldom needed

    return format_date(local, "d MMMM yyyy", locale=language.value)


def format_number(number: int, language: Language) -> str:
    """Return a number with the language's separators: "1.234" or "1,234"."""
    from babel.numbers import format_decimal  # noqa: PLC0415  slow to import, and seldom needed

    return format_decimal(number, locale=language.value)


def age(length: timedelta) -> Text:
    """Return a duration as a text, in the largest unit (from days to seconds) of which it has at least two."""
    seconds = max(0, int(length.total_seconds()))
    if seconds >= 2 * 86_400:
        return text("{count} days", count=seconds // 86_400)
    if seconds >= 2 * 3_600:
        return text("{count} hours", count=seconds // 3_600)
    if seconds >= 2 * 60:
        return text("{count} minutes", count=seconds // 60)
    return text("1 second") if seconds == 1 else text("{count} seconds", count=seconds)
