"""Convert the position of a poll to text and back; the core stores the text together with the messages of the poll."""

from __future__ import annotations

from typing import Self

import msgspec

from gateway.domain.errors import Unavailable
from gateway.domain.texts import text


class StoredCursor(msgspec.Struct):
    """The base of each adapter's cursor."""

    def dump(self) -> str:
        """Return the cursor as JSON text."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def load(cls, stored: str) -> Self:
        """Read a cursor that `dump` wrote; raises `Unavailable` for any other text."""
        try:
            return msgspec.json.decode(stored, type=cls)
        except msgspec.DecodeError as exc:
            raise Unavailable(
                text("the stored cursor cannot be read; to begin again, delete this channel's row in the table cursor")
            ) from exc
