"""The gateway's own durable tables. A message counts as accepted once it is stored in the inbox."""

from __future__ import annotations

from gateway.ports import Clock
from gateway.spool.activity import Activity
from gateway.spool.cases import Cases
from gateway.spool.consents import Consents
from gateway.spool.inbox import Inbox
from gateway.spool.leases import ChannelLeases
from gateway.spool.outbox import Outbox
from gateway.spool.partial_messages import PartialMessages
from gateway.spool.receipts import DeliveryReceipts
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database

__all__ = ["Spool"]


class Spool:
    """The tables of one database, each with its own class."""

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
