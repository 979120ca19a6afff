"""Read the User Data Header of a short message: the place of a part in a long message.

Source: 3GPP TS 23.040, sections 9.2.3.24 (the header), .1 (8-bit reference) and .8 (16-bit reference).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gateway.domain.errors import Untranslatable
from gateway.domain.texts import text

_CONCATENATED = {0x00: 1, 0x08: 2}  # information element → bytes of its reference number


class Concatenation(NamedTuple):
    """The place of a part in a long message."""

    reference: int
    bits: int  # 8 or 16: equal numbers of different width are different messages
    total: int
    number: int  # from 1

    @property
    def group(self) -> str:
        """Return the name that is equal for all parts of the message."""
        return f"udh{self.bits}:{self.reference}:{self.total}"


def split(user_data: bytes) -> tuple[bytes, bytes]:
    """Return the header (without its length byte) and the content of user data that begins with a header.

    Raises `Untranslatable` if the data is shorter than the length byte says.
    """
    if not user_data or len(user_data) <= user_data[0]:
        raise Untranslatable(text("the user data header is cut off"))
    end = 1 + user_data[0]
    return user_data[1:end], user_data[end:]


def concatenation(header: bytes) -> Concatenation | None:
    """Return the place of a part from a header (without its length byte); `None` if it is missing or impossible."""
    for element, value in _elements(header):
        width = _CONCATENATED.get(element)
        if width is not None and len(value) == width + 2:
            total, number = value[width], value[width + 1]
            # TS 23.040: a part number of 0 or beyond the total is ignored, and the message counts as complete.
            if 1 <= number <= total and total > 1:
                return Concatenation(int.from_bytes(value[:width], "big"), 8 * width, total, number)
    return None


def _elements(header: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 2 <= len(header):
        element, length = header[position], header[position + 1]
        yield element, header[position + 2 : position + 2 + length]
        position += 2 + length
