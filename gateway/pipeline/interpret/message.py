"""A message that was interpreted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

from gateway.pipeline.interpret.compose import Composed


class LatePart(Enum):
    """Which part of a message came after the rest had been sent on."""

    FIRST = "first"  # only now is it known whether it began with ANONIM or RAHASIA
    OTHER = "other"


@dataclass(frozen=True, kw_only=True, slots=True)
class InterpretedMessage:
    """One citizen's message, interpreted, and where it came in."""

    composed: Composed
    region: str
    channel: str
    correlation_id: UUID
    received_at: datetime
    late: LatePart | None = None  # it was sent on before, without a part that has come now
