"""Store the cases: one row per complaint that passed through this gateway, with the keyed hash of its sender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import sqlalchemy as sa

from gateway.domain import complaint as canonical
from gateway.domain.complaint import Complaint
from gateway.domain.errors import Undecryptable
from gateway.domain.ids import first_id_at
from gateway.domain.texts import text
from gateway.spool import keys
from gateway.spool.case import Case, LastCase, NewCase
from gateway.spool.tables import cases, follow_ups, tickets
from gateway.storage import Transaction
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database, any_of
from gateway.storage.encrypted import purpose_of

_COMPLAINT = purpose_of(cases.c.complaint)
_CONTACT = purpose_of(cases.c.contact)
_LONGEST_CONVERSATION = timedelta(days=1)  # a case that was opened longer before the window gets no more additions


class Cases:
    """The cases table, with the tickets and the messages that were added to cases."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    def message_key(self, region: str, channel: str, external_id: str) -> UUID:
        """Return the keyed hash of a message."""
        return keys.message_key(self._keyring, region, channel, external_id)

    def sender_key(self, region: str, channel: str, address: str) -> UUID:
        """Return the keyed hash of a citizen's address on a channel."""
        return keys.sender_key(self._keyring, region, channel, address)

    def create(self, transaction: Transaction, new: Sequence[NewCase]) -> list[Case]:
        """Open cases; return those that are new. A message that already has its case opens none."""
        rows = [self._row(case) for case in new]
        opened = set(self._database.insert(transaction, cases, rows, ignore_conflicts=True, returning="id"))
        return [_opened(case) for case in new if case.complaint.id in opened]

    def _row(self, case: NewCase) -> dict[str, object]:
        source, encrypt = case.complaint.source, self._keyring.encrypt
        return {
            "id": case.complaint.id,
            "region": source.region,
            "channel": source.channel,
            "external_key": case.message_key,
            "sender_key": case.sender_key,
            "correlation_id": case.correlation_id,
            "complaint": encrypt(canonical.dump(case.complaint), _COMPLAINT),
            "contact": encrypt(case.contact.encode(), _CONTACT) if case.contact else None,
            "opened_at": case.opened_at,
        }

    def with_case(self, transaction: Transaction, messages: Sequence[UUID]) -> set[UUID]:
        """Return the keys of those messages that have opened a case."""
        return self._among(transaction, cases.c.external_key, messages)

    def with_follow_up(self, transaction: Transaction, messages: Sequence[UUID]) -> set[UUID]:
        """Return the keys of those messages that were added to a case."""
        return self._among(transaction, follow_ups.c.external_key, messages)

    def _among(self, transaction: Transaction, column: sa.Column[UUID], values: Sequence[UUID]) -> set[UUID]:
        if not values:
            return set()
        return set(transaction.execute(sa.select(column).where(any_of(column, values, self._database))).scalars())

    def last_cases(self, transaction: Transaction, senders: Sequence[UUID], since: datetime) -> dict[UUID, LastCase]:
        """Return the last case per sender, if a message about it came since the moment and it was not withdrawn."""
        last = self._last(transaction, senders, first_id_at(since - _LONGEST_CONVERSATION))
        if not last:
            return {}
        last_message_at = sa.func.coalesce(cases.c.heard_at, cases.c.opened_at)
        chosen = (
            sa.select(cases.c.id, cases.c.sender_key, cases.c.complaint, last_message_at.label("last_message_at"))
            .where(any_of(cases.c.id, last, self._database), last_message_at >= since, cases.c.complaint.is_not(None))
            .order_by(last_message_at, cases.c.id)
        )
        rows = {row.sender_key: row for row in transaction.execute(chosen).all()}
        last_cases = {}
        for sender, row in rows.items():
            # An unreadable complaint cannot be compared with a new message, so the message opens its own case.
            with suppress(Undecryptable, msgspec.MsgspecError):
                complaint = canonical.load(self._keyring.decrypt(row.complaint, _COMPLAINT))
                last_cases[sender] = LastCase(row.id, complaint, row.last_message_at)
        return last_cases

    def _last(self, transaction: Transaction, senders: Sequence[UUID], after: UUID) -> list[UUID]:
        """Return the id of the newest case per sender, if it is greater than `after` and was not withdrawn."""
        not_withdrawn = cases.c.withdrawn_at.is_(None)
        if self._database.is_sqlite:
            newest = sa.select(sa.func.max(cases.c.id)).where(cases.c.sender_key.in_(senders), not_withdrawn)
            chosen = newest.where(cases.c.id > after).group_by(cases.c.sender_key)
            return list(transaction.execute(chosen).scalars())
        # A subquery per sender: one search each in the sender's index. For a join or a list the planner may read all
        # cases of the day for every batch, if its statistics are of an empty table.
        sender = self._database.bulk.each_uuid(senders)
        newest_of_sender = (
            sa.select(cases.c.id)
            .where(cases.c.sender_key == sender.c.id, not_withdrawn)
            .order_by(cases.c.sender_key.desc(), cases.c.id.desc())
            .limit(1)
            .correlate(sender)
            .scalar_subquery()
        )
        ids = transaction.execute(sa.select(newest_of_sender).select_from(sender)).scalars()
        return [case_id for case_id in ids if case_id is not None and case_id > after]

    def follow(self, transaction: Transaction, case_id: UUID, message: UUID, at: datetime) -> bool:
        """Record that a message was added to a case; return `False` if that was recorded before."""
        row = {"external_key": message, "case_id": case_id, "added_at": at}
        if not self._database.insert(transaction, follow_ups, [row], ignore_conflicts=True, returning="external_key"):
            return False
        transaction.execute(sa.update(cases).where(cases.c.id == case_id).values(heard_at=at))
        return True

    def withdraw(self, transaction: Transaction, case_id: UUID, at: datetime) -> None:
        """Record that the sender withdrew a case: further messages are not added to it."""
        transaction.execute(sa.update(cases).where(cases.c.id == case_id).values(withdrawn_at=at))

    def get(self, transaction: Transaction, ids: Sequence[UUID]) -> tuple[dict[UUID, Case], dict[UUID, Undecryptable]]:
        """Return the readable cases by id, and an error per case that cannot be read."""
        readable: dict[UUID, Case] = {}
        unreadable: dict[UUID, Undecryptable] = {}
        for row in transaction.execute(sa.select(cases).where(any_of(cases.c.id, ids, self._database))):
            try:
                readable[row.id] = self._unseal(row)
            except Undecryptable as exc:
                unreadable[row.id] = exc
            except msgspec.MsgspecError:
                unreadable[row.id] = Undecryptable(text("this version cannot read the form of a stored complaint"))
        return readable, unreadable

    def of_message(self, transaction: Transaction, message: UUID) -> Case | None:
        """Return the case that a message opened, or `None`; raises `Undecryptable`."""
        row = transaction.execute(sa.select(cases).where(cases.c.external_key == message)).one_or_none()
        return self._unseal(row) if row else None

    def followed(self, transaction: Transaction, message: UUID) -> UUID | None:
        """Return the id of the case to which a message was added, or `None`."""
        return transaction.execute(sa.select(follow_ups.c.case_id).where(follow_ups.c.external_key == message)).scalar()

    def owned(self, transaction: Transaction, ticket: str, region: str, channel: str, sender: str) -> UUID | None:
        """Return the id of a ticket's case, or `None` if this sender did not open it.

        An unknown ticket and another sender's ticket give the same result, so that nobody can find out which exist.
        """
        key = self.sender_key(region, channel, sender)
        with_tickets = cases.join(tickets, tickets.c.case_id == cases.c.id)
        statement = (
            sa.select(cases.c.id).select_from(with_tickets).where(tickets.c.number == ticket, cases.c.sender_key == key)
        )
        return transaction.execute(statement).scalars().first()

    def _unseal(self, row: sa.Row[tuple[object, ...]]) -> Case:
        decrypt = self._keyring.decrypt
        return Case(
            id=row.id,
            region=row.region,
            channel=row.channel,
            sender_key=row.sender_key,
            complaint=canonical.load(decrypt(row.complaint, _COMPLAINT)) if row.complaint else None,
            contact=decrypt(row.contact, _CONTACT).decode() if row.contact else None,
            correlation_id=row.correlation_id,
        )

    def add_tickets(self, transaction: Transaction, numbers: Mapping[UUID, str]) -> None:
        """Store the tickets that the centre gave, by case id."""
        rows = [{"case_id": case_id, "number": ticket} for case_id, ticket in numbers.items()]
        self._database.insert(transaction, tickets, rows, ignore_conflicts=True)

    def rewrite(self, transaction: Transaction, complaint: Complaint) -> None:
        """Replace the stored complaint of a case, after a replay or a late part has changed it."""
        sealed = self._keyring.encrypt(canonical.dump(complaint), _COMPLAINT)
        transaction.execute(sa.update(cases).where(cases.c.id == complaint.id).values(complaint=sealed))

    def purge(self, before: datetime, limit: int) -> int:
        """Delete the complaints of up to `limit` cases with a ticket, opened before the moment; return how many.

        The row stays: it holds the sender who may ask about the ticket, and prevents a second case for the message.
        """
        has_ticket = sa.exists().where(tickets.c.case_id == cases.c.id)
        chosen = (
            sa.select(cases.c.id)
            .where(cases.c.complaint.is_not(None), has_ticket, cases.c.id < first_id_at(before))
            .order_by(cases.c.id)
            .limit(limit)
        )
        with self._database.begin() as transaction:
            ids = list(transaction.execute(chosen).scalars())
            if ids:
                statement = sa.update(cases).where(any_of(cases.c.id, ids, self._database))
                transaction.execute(statement.values(complaint=None))
        return len(ids)


def _opened(case: NewCase) -> Case:
    source = case.complaint.source
    return Case(
        id=case.complaint.id,
        region=source.region,
        channel=source.channel,
        sender_key=case.sender_key,
        complaint=case.complaint,
        contact=case.contact,
        correlation_id=case.correlation_id,
    )
