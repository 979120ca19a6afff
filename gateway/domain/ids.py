"""Time-ordered ids: UUID version 7."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

__all__ = ["first_id_at", "new_id", "time_of"]

new_id = uuid7


def first_id_at(moment: datetime) -> UUID:
    """Return the lowest possible version 7 id of a moment: the bound of a range of ids by time."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | (0b10 << 62))


def time_of(identifier: UUID) -> datetime:
    """Return the moment at which a version 7 id was made, to the millisecond."""
    return datetime.fromtimestamp((identifier.int >> 80) / 1000, UTC)
