"""The outbox: everything that is still to be said, to the centre or to a citizen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import sqlalchemy as sa

from gateway.domain.ids import new_id
from gateway.ports import Clock, Reply
from gateway.spool.consents import Consents
from gateway.spool.queue import Queue
from gateway.spool.rows import OutboxRow
from gateway.spool.tables import Kind, State, outbox, references, reply_counts
from gateway.storage import Transaction
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database, any_of

_PURPOSE = b"outbox"


class _Letter(msgspec.Struct):
    to: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NewReply:
    """A reply that somebody wants to send."""

    region: str
    channel: str
    to: str  # address on the channel
    text: str
    correlation_id: UUID
    case_id: UUID | None = None
    asked: bool = False  # an answer to a question: it is sent even to who said STOP


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A row that asks something of the centre, as its worker sees it."""

    id: UUID
    kind: str
    region: str
    channel: str
    case_id: UUID
    correlation_id: UUID
    attempts: int
    payload: bytes | None = None  # encrypted: what the job is about, if the case does not say it

    @classmethod
    def of(cls, row: OutboxRow) -> Job | None:
        """Return the job of a claimed row, or `None` if the row names no case."""
        if row.case_id is None:
            return None
        return cls(
            id=row.id,
            kind=row.kind,
            region=row.region,
            channel=row.channel,
            case_id=row.case_id,
            correlation_id=row.correlation_id,
            attempts=row.attempts,
            payload=row.payload,
        )


class Hold(NamedTuple):
    """A claim that rows are born with."""

    claim: UUID
    lease: timedelta


class Outbox(Queue[OutboxRow]):
    """The outbox table, with the counts that keep us from answering a machine for ever."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        super().__init__(database, outbox, OutboxRow, clock)
        self._keyring = keyring
        self._consents = Consents(database, keyring, clock)

    def sender_key(self, region: str, channel: str, address: str) -> UUID:
        """Return the keyed hash under which a citizen's address is looked up."""
        return self._keyring.lookup("sender", region, channel, address)

    def add_cases(
        self,
        connection: Transaction,
        kind: Kind,
        cases: Sequence[Mapping[str, Any]],
        hold: Hold | None = None,
        content: bytes | None = None,
    ) -> list[Job]:
        """Queue one job for each case row (id, region, channel, correlation_id); with `hold`, claimed from the start.

        `content` is what the job is about, where the case does not say it; it is stored encrypted.
        """
        now = self._clock()
        jobs = [
            Job(
                id=new_id(),
                kind=kind.value,
                region=case["region"],
                channel=case["channel"],
                case_id=case["id"],
                correlation_id=case["correlation_id"],
                attempts=1 if hold else 0,
            )
            for case in cases
        ]
        claimed = {"state": State.CLAIMED.value, "claim": hold.claim, "due_at": now + hold.lease} if hold else {}
        rows = [
            {
                "id": job.id,
                "kind": job.kind,
                "region": job.region,
                "channel": job.channel,
                "lane": job.case_id,
                "case_id": job.case_id,
                "correlation_id": job.correlation_id,
                "attempts": job.attempts,
                "payload": self._keyring.encrypt(content, _PURPOSE) if content else None,
                "created_at": now,
                "due_at": now,
                **claimed,
            }
            for job in jobs
        ]
        self._database.insert(connection, outbox, rows)
        return jobs

    def add_replies(self, connection: Transaction, replies: Sequence[NewReply], per_hour: int) -> list[NewReply]:
        """Queue replies, at most `per_hour` to one address in any 60 minutes, and none unasked to who said STOP.

        Returns those held back.
        """
        lanes = [self.sender_key(reply.region, reply.channel, reply.to) for reply in replies]
        counts = self._recent_counts(connection, set(lanes))
        refused = self._consents.refused(connection, set(lanes))
        now = self._clock()
        rows, held = [], []
        sent: dict[UUID, int] = {}
        for reply, lane in zip(replies, lanes, strict=True):
            if counts.get(lane, 0) + sent.get(lane, 0) >= per_hour or (lane in refused and not reply.asked):
                held.append(reply)
                continue
            sent[lane] = sent.get(lane, 0) + 1
            letter = msgspec.json.encode(_Letter(reply.to, reply.text))
            rows.append(
                {
                    "id": new_id(),
                    "kind": Kind.REPLY.value,
                    "region": reply.region,
                    "channel": reply.channel,
                    "lane": lane,
                    "case_id": reply.case_id,
                    "correlation_id": reply.correlation_id,
                    "payload": self._keyring.encrypt(letter, _PURPOSE),
                    "created_at": now,
                    "due_at": now,
                }
            )
        self._database.insert(connection, outbox, rows)
        self._count(connection, sent)
        return held

    def _slot(self) -> int:
        return int(self._clock().timestamp() // 60)

    def _recent_counts(self, connection: Transaction, lanes: set[UUID]) -> dict[UUID, int]:
        if not lanes:
            return {}
        statement = (
            sa.select(reply_counts.c.lane, sa.func.sum(reply_counts.c.replies))
            .where(any_of(reply_counts.c.lane, list(lanes), self._database), reply_counts.c.slot > self._slot() - 60)
            .group_by(reply_counts.c.lane)
        )
        return {lane: int(total) for lane, total in connection.execute(statement)}

    def _count(self, connection: Transaction, sent: Mapping[UUID, int]) -> None:
        if not sent:
            return
        slot = self._slot()
        # In one order everywhere, so that two workers never wait for each other in a circle.
        rows = [{"lane": lane, "slot": slot, "replies": sent[lane]} for lane in sorted(sent)]
        self._database.insert(connection, reply_counts, rows, add_up="replies")

    def unseal(self, row: OutboxRow) -> Reply:
        """Return the reply of a row; raises `Undecryptable`."""
        letter = msgspec.json.decode(self._keyring.decrypt(row.payload or b"", _PURPOSE), type=_Letter)
        return Reply(id=row.id, to=letter.to, text=letter.text, created_at=row.created_at)

    def content(self, job: Job) -> bytes:
        """Return what a job is about; raises `Undecryptable`."""
        return self._keyring.decrypt(job.payload or b"", _PURPOSE)

    def purge(self, before: datetime, limit: int, *conditions: sa.ColumnElement[bool]) -> list[UUID]:
        """Delete as `Queue.purge` does, with what refers to the rows and with old reply counts."""
        ids = super().purge(before, limit, *conditions)
        with self._database.begin() as connection:
            connection.execute(sa.delete(reply_counts).where(reply_counts.c.slot < self._slot() - 120))
            if ids:
                connection.execute(sa.delete(references).where(any_of(references.c.outbox_id, ids, self._database)))
            # Receipts of what we never sent, or have long forgotten.
            orphans = sa.and_(references.c.outbox_id.is_(None), references.c.updated_at < before)
            connection.execute(sa.delete(references).where(orphans))
        return ids
