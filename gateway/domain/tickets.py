"""Ticket numbers with a check digit."""

from __future__ import annotations

from stdnum import damm
from stdnum.exceptions import ValidationError

LONGEST_TICKET = 15  # digits


def make_ticket(number: int) -> str:
    """Return the ticket of a running number: its digits and Damm's check digit.

    Damm's scheme finds every single wrong digit and every swap of neighbours, which is how people mistype.
    """
    digits = str(number)
    return digits + str(damm.calc_check_digit(digits))


def check_ticket(text: str) -> bool:
    """Return whether the text can be a ticket: digits only, with a right check digit."""
    try:
        damm.validate(text)
    except ValidationError:
        return False
    return 2 <= len(text) <= LONGEST_TICKET
