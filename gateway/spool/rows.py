"""The rows of the spool's tables as typed values, with one field per column in the tables' order."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID


class InboxRow(NamedTuple):
    """A row of the inbox: one raw message and its state in the queue."""

    id: UUID  # version 7; the correlation id of all that follows
    region: str
    channel: str
    dedupe_key: UUID
    lane: UUID  # keyed hash of the sender: a lane keeps its order
    content_type: str
    payload: bytes  # encrypted
    received_at: datetime
    state: str
    attempts: int
    due_at: datetime | None
    claim: UUID | None
    reason: str | None  # of the last failure
    finished_at: datetime | None


class OutboxRow(NamedTuple):
    """A row of the outbox: one job for the centre or one reply, and its state in the queue."""

    id: UUID
    kind: str
    region: str
    channel: str
    lane: UUID
    case_id: UUID | None
    correlation_id: UUID
    payload: bytes | None  # encrypted
    created_at: datetime
    state: str
    attempts: int
    due_at: datetime | None
    claim: UUID | None
    reason: str | None  # of the last failure
    finished_at: datetime | None


class LeaseRow(NamedTuple):
    """The row of a channel that is polled, or whose connection is held."""

    region: str
    channel: str
    position: str | None  # the cursor of the last stored page
    lease_holder: UUID | None
    lease_until: datetime | None
    succeeded_at: datetime | None
    failed_at: datetime | None
    failing_since: datetime | None
    reason: str | None  # of the last failure
