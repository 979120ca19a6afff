"""The forms of a case, which is one complaint that passed through this gateway."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from gateway.domain.complaint import Complaint


class CaseReference(NamedTuple):
    """The fields of a case that a job for the centre needs."""

    id: UUID
    region: str
    channel: str
    correlation_id: UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class NewCase:
    """A complaint for which a case will be opened, unless its message has one already."""

    complaint: Complaint
    message_key: UUID  # keyed hash of the message: one message makes one complaint
    sender_key: UUID  # keyed hash of the sender's address
    contact: str | None  # the address to answer; `None` if the sender gets no answer
    correlation_id: UUID
    opened_at: datetime

    def standing_alone(self, reason: str) -> NewCase:
        """Return the same case, with the reason why its message was not added to an earlier one."""
        return replace(self, complaint=msgspec.structs.replace(self.complaint, apart=reason))


class LastCase(NamedTuple):
    """The last case of a sender."""

    id: UUID
    complaint: Complaint
    last_message_at: datetime  # when the last message about it came

    def after_message(self, at: datetime) -> LastCase:
        """Return the same case after one more message about it, which came at `at`."""
        return self._replace(last_message_at=max(self.last_message_at, at))


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A stored case."""

    id: UUID  # the complaint's
    region: str
    channel: str
    sender_key: UUID
    complaint: Complaint | None  # `None` after it was delivered and purged
    contact: str | None
    correlation_id: UUID
