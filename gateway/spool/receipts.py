"""Store the delivery state of replies, by the provider's ids of them."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.domain.channel import ChannelId
from gateway.domain.events import Delivery
from gateway.ports import Clock, Receipt
from gateway.spool import keys
from gateway.spool.rows import OutboxRow
from gateway.spool.tables import references
from gateway.storage import Transaction
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database

_RANK = {Delivery.SENT: 0, Delivery.DELIVERED: 1, Delivery.FAILED: 1}  # receipts come in any order


class DeliveryReceipts:
    """The reference table: one row per id that a provider gave to a reply, by keyed hash."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock

    def refer(self, transaction: Transaction, row: OutboxRow, receipt: Receipt) -> None:
        """Store the provider's ids of a sent reply, by which receipts are matched; a receipt may have come before."""
        sent = {"outbox_id": row.id, "delivery": Delivery.SENT.value}
        for external_id in (receipt.external_id, *receipt.others):
            self._write(transaction, ChannelId(row.region, row.channel), external_id, sent, keep=("delivery",))

    def note(
        self, transaction: Transaction, channel: ChannelId, external_id: str, state: Delivery, error: str | None
    ) -> None:
        """Record the delivery state of a reply; an earlier state never replaces a later one."""
        key = keys.reference_key(self._keyring, *channel, external_id)
        stored = transaction.execute(sa.select(references.c.delivery).where(references.c.key == key)).scalar()
        if stored is None or _RANK[state] > _RANK[Delivery(stored)]:
            self._write(transaction, channel, external_id, {"delivery": state.value, "error": error})

    def _write(
        self,
        transaction: Transaction,
        channel: ChannelId,
        external_id: str,
        values: dict[str, object],
        *,
        keep: tuple[str, ...] = (),
    ) -> None:
        key = keys.reference_key(self._keyring, *channel, external_id)
        row = {"key": key, "updated_at": self._clock(), **values}
        self._database.upsert(transaction, references, [row], keep=keep)
