"""Store each sender's consent: after STOP only commands are answered, after SETUJU all messages are sent again."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa

from gateway.ports import Clock
from gateway.spool import keys
from gateway.spool.tables import consents
from gateway.storage import Transaction
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database, any_of


class Consents:
    """The consent table: one row per sender, by keyed hash, with the last choice."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock

    def record(self, transaction: Transaction, region: str, channel: str, sender: str, *, given: bool) -> None:
        """Store a sender's choice; it replaces the earlier one."""
        key = keys.sender_key(self._keyring, region, channel, sender)
        row = {"sender_key": key, "given": given, "at": self._clock()}
        self._database.upsert(transaction, consents, [row])

    def refused(self, transaction: Transaction, senders: Collection[UUID]) -> set[UUID]:
        """Return the keys of those senders whose last choice was STOP."""
        if not senders:
            return set()
        chosen = sa.select(consents.c.sender_key).where(
            any_of(consents.c.sender_key, list(senders), self._database), consents.c.given.is_(False)
        )
        return set(transaction.execute(chosen).scalars())
