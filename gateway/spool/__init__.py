"""The gateway's own durable tables. When a message is in here, it is accepted."""

from __future__ import annotations

from gateway.crypto import Keyring
from gateway.database import Database
from gateway.ports import Clock
from gateway.spool.cases import Cases
from gateway.spool.cursors import Activity, Cursors
from gateway.spool.inbox import Inbox
from gateway.spool.outbox import Outbox

__all__ = ["Spool"]


class Spool:
    """Everything stored here, over one database."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        self.database = database
        self.keyring = keyring
        self.clock = clock
        self.inbox = Inbox(database, keyring, clock)
        self.outbox = Outbox(database, keyring, clock)
        self.cases = Cases(database, keyring)
        self.cursors = Cursors(database, clock)
        self.activity = Activity(database)
