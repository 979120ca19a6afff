"""The outbox: jobs for the centre and replies to citizens that are still to be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec
import sqlalchemy as sa

from gateway.domain.ids import new_id
from gateway.ports import Clock, Reply
from gateway.spool import keys
from gateway.spool.case import Case, CaseReference
from gateway.spool.consents import Consents
from gateway.spool.queue import Queue
from gateway.spool.rows import OutboxRow
from gateway.spool.tables import Kind, State, outbox, references, reply_counts
from gateway.storage import Transaction
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database, any_of
from gateway.storage.encrypted import purpose_of

_PURPOSE = purpose_of(outbox.c.payload)


class _StoredReply(msgspec.Struct):
    to: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NewReply:
    """A reply to queue."""

    region: str
    channel: str
    to: str  # address on the channel
    text: str
    correlation_id: UUID
    case_id: UUID | None = None
    asked: bool = False  # True: the answer to a command of the citizen, which is sent even after STOP


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A call to the centre about one case, made from a row of the outbox."""

    id: UUID
    kind: str
    region: str
    channel: str
    case_id: UUID
    correlation_id: UUID
    attempts: int
    payload: bytes | None = None  # encrypted: data of the job that the case does not have

    @classmethod
    def of(cls, row: OutboxRow) -> Job | None:
        """Return the job of a claimed row, or `None` if the row has no case id."""
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


class Preclaim(NamedTuple):
    """The claim and the lease of rows that are inserted as claimed."""

    claim: UUID
    lease: timedelta


class Outbox(Queue[OutboxRow]):
    """The outbox table, and the reply counts: without a limit, we could exchange replies with a machine for ever."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        super().__init__(database, outbox, OutboxRow._make, clock)
        self._keyring = keyring
        self._consents = Consents(database, keyring, clock)

    def sender_key(self, region: str, channel: str, address: str) -> UUID:
        """Return the keyed hash under which a citizen's address is looked up."""
        return keys.sender_key(self._keyring, region, channel, address)

    def add_jobs(
        self,
        transaction: Transaction,
        kind: Kind,
        cases: Sequence[Case | CaseReference],
        *,
        preclaim: Preclaim | None = None,
        content: bytes | None = None,
    ) -> list[Job]:
        """Queue one job per case and return the jobs; with `preclaim`, they are inserted as claimed.

        `content` is data of the job that the case does not have; it is stored encrypted.
        """
        jobs = [
            Job(
                id=new_id(),
                kind=kind.value,
                region=case.region,
                channel=case.channel,
                case_id=case.id,
                correlation_id=case.correlation_id,
                attempts=1 if preclaim else 0,
            )
            for case in cases
        ]
        now = self._clock()
        payload = self._keyring.encrypt(content, _PURPOSE) if content else None
        common: dict[str, object] = {"payload": payload, "created_at": now, "due_at": now}
        if preclaim:
            common |= {"state": State.CLAIMED.value, "claim": preclaim.claim, "due_at": now + preclaim.lease}
        self._database.insert(transaction, outbox, [_job_row(job) | common for job in jobs])
        return jobs

    def add_replies(self, transaction: Transaction, replies: Sequence[NewReply], per_hour: int) -> list[NewReply]:
        """Queue replies; return those that are held back, which are not stored.

        A reply is held back if its address got `per_hour` replies in the last 60 minutes, or if it answers no command
        and the citizen sent STOP.
        """
        lanes = [self.sender_key(reply.region, reply.channel, reply.to) for reply in replies]
        counts = self._recent_counts(transaction, set(lanes))
        refused = self._consents.refused(transaction, set(lanes))
        now = self._clock()
        rows, held_back = [], []
        queued: dict[UUID, int] = {}  # replies per lane
        for reply, lane in zip(replies, lanes, strict=True):
            if counts.get(lane, 0) + queued.get(lane, 0) >= per_hour or (lane in refused and not reply.asked):
                held_back.append(reply)
                continue
            queued[lane] = queued.get(lane, 0) + 1
            rows.append(self._reply_row(reply, lane, now))
        self._database.insert(transaction, outbox, rows)
        self._count(transaction, queued)
        return held_back

    def _reply_row(self, reply: NewReply, lane: UUID, now: datetime) -> dict[str, object]:
        stored = msgspec.json.encode(_StoredReply(reply.to, reply.text))
        return {
            "id": new_id(),
            "kind": Kind.REPLY.value,
            "region": reply.region,
            "channel": reply.channel,
            "lane": lane,
            "case_id": reply.case_id,
            "correlation_id": reply.correlation_id,
            "payload": self._keyring.encrypt(stored, _PURPOSE),
            "created_at": now,
            "due_at": now,
        }

    def _slot(self) -> int:
        return int(self._clock().timestamp() // 60)

    def _recent_counts(self, transaction: Transaction, lanes: set[UUID]) -> dict[UUID, int]:
        if not lanes:
            return {}
        statement = (
            sa.select(reply_counts.c.lane, sa.func.sum(reply_counts.c.replies))
            .where(any_of(reply_counts.c.lane, list(lanes), self._database), reply_counts.c.slot > self._slot() - 60)
            .group_by(reply_counts.c.lane)
        )
        return {lane: int(total) for lane, total in transaction.execute(statement)}

    def _count(self, transaction: Transaction, queued: Mapping[UUID, int]) -> None:
        if not queued:
            return
        slot = self._slot()
        # Sorted: every worker locks the rows in the same order, so two workers never wait for each other (deadlock).
        rows = [{"lane": lane, "slot": slot, "replies": queued[lane]} for lane in sorted(queued)]
        self._database.insert(transaction, reply_counts, rows, add_up="replies")

    def unseal(self, row: OutboxRow) -> Reply:
        """Return the reply of a row; raises `Undecryptable`."""
        stored = msgspec.json.decode(self._keyring.decrypt(row.payload or b"", _PURPOSE), type=_StoredReply)
        return Reply(id=row.id, to=stored.to, text=stored.text, created_at=row.created_at)

    def content(self, job: Job) -> bytes:
        """Return the `content` that `add_jobs` stored for a job; raises `Undecryptable`."""
        return self._keyring.decrypt(job.payload or b"", _PURPOSE)

    def purge(self, before: datetime, limit: int, *conditions: sa.ColumnElement[bool]) -> list[UUID]:
        """Delete as `Queue.purge` does, together with the receipts of the rows and with old reply counts."""
        ids = super().purge(before, limit, *conditions)
        with self._database.begin() as transaction:
            transaction.execute(sa.delete(reply_counts).where(reply_counts.c.slot < self._slot() - 120))
            if ids:
                transaction.execute(sa.delete(references).where(any_of(references.c.outbox_id, ids, self._database)))
            # Receipts of messages that this gateway did not send, or whose rows of the outbox were deleted before.
            orphans = sa.and_(references.c.outbox_id.is_(None), references.c.updated_at < before)
            transaction.execute(sa.delete(references).where(orphans))
        return ids


def _job_row(job: Job) -> dict[str, object]:
    return {
        "id": job.id,
        "kind": job.kind,
        "region": job.region,
        "channel": job.channel,
        "lane": job.case_id,
        "case_id": job.case_id,
        "correlation_id": job.correlation_id,
        "attempts": job.attempts,
    }
