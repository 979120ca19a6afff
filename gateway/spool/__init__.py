"""The gateway's own durable tables. When a message is in here, it is accepted."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.ports import Clock
from gateway.spool.activity import Activity
from gateway.spool.cases import Cases
from gateway.spool.consents import Consents
from gateway.spool.inbox import Inbox
from gateway.spool.leases import ChannelLeases
from gateway.spool.outbox import Outbox
from gateway.spool.partial_messages import PartialMessages
from gateway.spool.receipts import DeliveryReceipts
from gateway.spool.tables import cases, inbox
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database

__all__ = ["Spool"]


class Spool:
    """Everything stored here, over one database."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        self.database = database
        self.keyring = keyring
        self.clock = clock
        self.inbox = Inbox(database, keyring, clock)
        self.outbox = Outbox(database, keyring, clock)
        self.receipts = DeliveryReceipts(database, keyring, clock)
        self.cases = Cases(database, keyring)
        self.partial_messages = PartialMessages(database, keyring, clock)
        self.consents = Consents(database, keyring, clock)
        self.leases = ChannelLeases(database, clock)
        self.activity = Activity(database)

    def missing_key(self) -> str | None:
        """Return the fingerprint of a key that stored values need and the ring lacks, by the newest of each kind."""
        with self.database.read() as connection:
            for table, column in ((inbox, inbox.c.payload), (cases, cases.c.complaint)):
                newest = sa.select(column).where(column.is_not(None)).order_by(table.c.id.desc()).limit(1)
                stored = connection.execute(newest).scalar()
                if stored is not None and (missing := self.keyring.missing(stored)):
                    return missing
        return None
