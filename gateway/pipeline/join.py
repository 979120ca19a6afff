"""Join long messages that come in parts.

Every part is durable in the inbox already. When the last part has come, or the waiting time is over, the adapter joins
the stored parts. A note below the text gives the numbers of missing parts. If one comes later, the message is joined
once more and replaces the incomplete one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import msgspec

from gateway.domain.errors import Untranslatable
from gateway.domain.events import CitizenMessage, MessagePart
from gateway.domain.ids import new_id
from gateway.domain.texts import text
from gateway.pipeline.interpret.compose import Composer
from gateway.pipeline.interpret.message import InterpretedMessage, LatePart
from gateway.pipeline.interpret.translate import Channels, channel_of
from gateway.ports import Channel, Joiner, RawMessage
from gateway.settings.templates import Templates
from gateway.spool import Spool
from gateway.spool.partial_messages import PartialMessage
from gateway.spool.rows import InboxRow
from gateway.storage import Transaction

_MOST_PARTS = 255  # of one message: SMS counts them in one byte (3GPP TS 23.040, 9.2.3.24.1)


class Joining:
    """Store parts, and join those of one message."""

    def __init__(
        self, spool: Spool, channels: Channels, composer: Composer, templates: Templates, wait: timedelta
    ) -> None:
        self._spool = spool
        self._channels = channels
        self._composer = composer
        self._templates = templates
        self._wait = wait

    def add(self, transaction: Transaction, row: InboxRow, part: MessagePart) -> InterpretedMessage | None:
        """Add a part; return the message, or `None` if it still waits for other parts.

        Raises `Untranslatable` for an impossible number, or if the parts cannot be joined.
        """
        if not 1 <= part.number <= part.total <= _MOST_PARTS:
            raise Untranslatable(
                text("a part has an impossible number: {number} of {total}", number=part.number, total=part.total)
            )
        partial, new = self._spool.partial_messages.add(transaction, row, part, self._wait)
        if partial.open and partial.missing:
            return None
        if partial.open or not new:
            return self.join_now(transaction, partial)
        return self._interpret(transaction, partial, LatePart.FIRST if part.number == 1 else LatePart.OTHER)

    def join_now(self, transaction: Transaction, partial: PartialMessage) -> InterpretedMessage:
        """Join the parts that have come, and close the partial message; raises `Untranslatable` or `ChannelGone`."""
        message = self._interpret(transaction, partial)
        self._spool.partial_messages.close(transaction, partial.id)
        return message

    def again(self, transaction: Transaction, inbox_id: UUID) -> InterpretedMessage | None:
        """Join a closed message once more if the row is its part that came first; return `None` for all other rows."""
        partial = self._spool.partial_messages.of_part(transaction, inbox_id)
        if partial is None or partial.open or partial.first != inbox_id:
            return None
        return self._interpret(transaction, partial)

    def _interpret(
        self, transaction: Transaction, partial: PartialMessage, late: LatePart | None = None
    ) -> InterpretedMessage:
        """Join and interpret the parts; the message gets correlation id and time of the part that came first."""
        channel = channel_of(self._channels, partial.region, partial.channel)
        stored = self._spool.inbox.among(transaction, list(partial.numbers.values()))
        parts = {number: self._spool.inbox.unseal(stored[row_id]) for number, row_id in partial.numbers.items()}
        message = msgspec.structs.replace(
            join(channel, parts, partial.total, self._templates), external_id=partial.external_id, made_id=False
        )
        raw = next(part for part in parts.values() if part.id == partial.first)
        return InterpretedMessage(
            composed=self._composer.compose(message, raw, channel, new_id(), headless=1 in partial.missing),
            region=raw.region,
            channel=raw.channel,
            correlation_id=raw.id,
            received_at=raw.received_at,
            late=late,
        )


def join(channel: Channel, parts: Mapping[int, RawMessage], total: int, templates: Templates) -> CitizenMessage:
    """Return the message of its parts, by number, with a note below it if parts are missing. Pure.

    Raises `Untranslatable` if the adapter cannot join parts.
    """
    if not isinstance(channel.adapter, Joiner):
        raise Untranslatable(text("this channel's adapter cannot join parts"))
    message = channel.adapter.join([parts.get(number) for number in range(1, total + 1)])
    missing = ", ".join(str(number) for number in range(1, total + 1) if number not in parts)
    if not missing:
        return message
    note = templates.incomplete.format(missing=missing, total=total)
    return msgspec.structs.replace(message, text=f"{message.text}\n\n{note}")
