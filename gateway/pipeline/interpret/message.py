"""Interpreted messages: the input of `pipeline.effects`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

from gateway.pipeline.interpret.compose import Composed


class LatePart(Enum):
    """The position of a late part: its message was joined without it before."""

    FIRST = "first"  # it may begin with ANONIM or RAHASIA
    OTHER = "other"


@dataclass(frozen=True, kw_only=True, slots=True)
class InterpretedMessage:
    """One interpreted message of a citizen, with channel, correlation id and time."""

    composed: Composed
    region: str
    channel: str
    correlation_id: UUID
    received_at: datetime
    late: LatePart | None = None  # set if a late part was added to a joined message
