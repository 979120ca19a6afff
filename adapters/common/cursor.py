"""How far a poll has come, as the text that the core keeps for the adapter."""

from __future__ import annotations

from typing import Self

import msgspec

from gateway.domain.errors import Unavailable


class StoredCursor(msgspec.Struct):
    """The base of each adapter's own cursor."""

    def dump(self) -> str:
        """Return the cursor as JSON text."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def load(cls, stored: str) -> Self:
        """Read what `dump` wrote; raises `Unavailable` for anything else."""
        try:
            return msgspec.json.decode(stored, type=cls)
        except msgspec.DecodeError as exc:
            raise Unavailable("the stored cursor cannot be read; reset it to begin again") from exc
