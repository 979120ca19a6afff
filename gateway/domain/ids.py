"""Time-ordered ids (UUIDv7) and ticket numbers with a check digit."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from stdnum import damm
from stdnum.exceptions import ValidationError
from uuid_utils.compat import uuid7

__all__ = ["LONGEST_TICKET", "check_ticket", "first_id_at", "make_ticket", "new_id", "time_of"]

new_id = uuid7
LONGEST_TICKET = 15  # digits


def first_id_at(moment: datetime) -> UUID:
    """Return the lowest id that could have been made at the moment: bounds a range of ids by time."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | (0b10 << 62))


def time_of(identifier: UUID) -> datetime:
    """Return the moment a version 7 id was made, to the millisecond."""
    return datetime.fromtimestamp((identifier.int >> 80) / 1000, UTC)


def make_ticket(number: int) -> str:
    """Return the ticket of a running number: its digits and Damm's check digit.

    Damm's scheme finds every single wrong digit and every swap of neighbours, which is how people mistype.
    """
    digits = str(number)
    return digits + str(damm.calc_check_digit(digits))


def check_ticket(text: str) -> bool:
    """Tell whether the text can be a ticket: digits only, the check digit right."""
    try:
        damm.validate(text)
    except ValidationError:
        return False
    return 2 <= len(text) <= LONGEST_TICKET
