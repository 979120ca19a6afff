"""Who wants to hear from us: SETUJU and STOP."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa

from gateway.ports import Clock
from gateway.spool.tables import consents
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database, any_of


class Consents:
    """The consent table: one row for each sender who said so, by keyed hash."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        self._database, self._keyring, self._clock = database, keyring, clock

    def record(self, connection: sa.Connection, region: str, channel: str, sender: str, *, given: bool) -> None:
        """Write down what a sender said last."""
        key = self._keyring.lookup("sender", region, channel, sender)
        row = {"sender_key": key, "given": given, "at": self._clock()}
        self._database.upsert(connection, consents, [row])

    def refused(self, connection: sa.Connection, keys: Collection[UUID]) -> set[UUID]:
        """Return those of the senders who said STOP."""
        if not keys:
            return set()
        chosen = sa.select(consents.c.sender_key).where(
            any_of(consents.c.sender_key, list(keys), self._database), consents.c.given.is_(False)
        )
        return set(connection.execute(chosen).scalars().all())
