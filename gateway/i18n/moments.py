"""Write moments, durations and numbers in the reader's language, with Babel."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from gateway.domain.texts import Text, text
from gateway.i18n.catalogue import Language

# Fixed offsets: Indonesia changes no clocks, and a small server may have no time zone files.
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


def format_moment(moment: datetime, language: Language, zone: timezone = WIB) -> str:
    """Return a moment in local time with the zone's name: "26 November 2026 21.14 WIB"."""
    from babel.dates import format_datetime  # noqa: PLC0415  only the status page and commands need it

    local = moment.astimezone(zone)
    pattern = "d MMMM yyyy HH.mm" if language is Language.INDONESIAN else "d MMMM yyyy HH:mm"
    return f"{format_datetime(local, pattern, locale=language.value)} {local.tzname()}"


def format_number(number: int, language: Language) -> str:
    """Return a number with the language's separators: "1.234" or "1,234"."""
    from babel.numbers import format_decimal  # noqa: PLC0415  only the status page and commands need it

    return format_decimal(number, locale=language.value)


def age(length: timedelta) -> Text:
    """Return a duration as a text, in the largest unit of which it has at least two."""
    seconds = max(0, int(length.total_seconds()))
    if seconds >= 2 * 86_400:
        return text("{count} days", count=seconds // 86_400)
    if seconds >= 2 * 3_600:
        return text("{count} hours", count=seconds // 3_600)
    if seconds >= 2 * 60:
        return text("{count} minutes", count=seconds // 60)
    return text("1 second") if seconds == 1 else text("{count} seconds", count=seconds)
