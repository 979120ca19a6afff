"""Interpreted messages: the input of `pipeline.effects`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

from gateway.pipeline.interpret.compose import Composed


class LatePart(Enum):
    """Position of a part that came after its message had been joined without it."""

    FIRST = "first"  # it shows whether the message began with ANONIM or RAHASIA
    OTHER = "other"


@dataclass(frozen=True, kw_only=True, slots=True)
class InterpretedMessage:
    """One interpreted message of a citizen, with channel, correlation id and time."""

    composed: Composed
    region: str
    channel: str
    correlation_id: UUID
    received_at: datetime
    late: LatePart | None = None  # set if the message was joined before, without this part
