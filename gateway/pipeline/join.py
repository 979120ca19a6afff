"""Long messages that come in parts: wait for all of them, but not for ever.

A part is durable in the inbox before it gets here. When the last one is there, or the time is over, the adapter joins
the stored parts; what never came is said in the message itself. A part that comes later still completes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import msgspec

from gateway.domain.errors import Untranslatable
from gateway.domain.events import CitizenMessage, MessagePart
from gateway.domain.ids import new_id
from gateway.pipeline.interpret.compose import Composer
from gateway.pipeline.interpret.message import InterpretedMessage, LatePart
from gateway.pipeline.interpret.translate import Channels, channel_of
from gateway.ports import Channel, Joiner, RawMessage
from gateway.spool import Spool
from gateway.spool.partial_messages import PartialMessage
from gateway.spool.rows import InboxRow
from gateway.storage import Transaction

_MOST = 255  # parts of one message: what a byte can count, as SMS does


class Joining:
    """Puts parts together."""

    def __init__(self, spool: Spool, channels: Channels, composer: Composer, wait: timedelta) -> None:
        self._spool, self._channels, self._composer, self._wait = spool, channels, composer, wait

    def add(self, connection: Transaction, row: InboxRow, part: MessagePart) -> InterpretedMessage | None:
        """Add a part; return the message if it is complete now, or was sent on without this part before."""
        if not 1 <= part.number <= part.total <= _MOST:
            raise Untranslatable(f"part {part.number} of {part.total}")
        partial, new = self._spool.partial_messages.add(connection, row, part, self._wait)
        if partial.open and partial.missing:
            return None
        if partial.open or not new:
            return self.send_on(connection, partial)
        return self._read(connection, partial, LatePart.FIRST if part.number == 1 else LatePart.OTHER)

    def send_on(self, connection: Transaction, partial: PartialMessage) -> InterpretedMessage:
        """Join what there is, and close the partial message; raises `Untranslatable` or `ChannelGone`."""
        said = self._read(connection, partial)
        self._spool.partial_messages.close(connection, partial.id)
        return said

    def again(self, connection: Transaction, inbox_id: UUID) -> InterpretedMessage | None:
        """Join a sent message once more, by the row of the part that came first; `None` for every other row."""
        partial = self._spool.partial_messages.of_part(connection, inbox_id)
        if partial is None or partial.open or partial.first != inbox_id:
            return None
        return self._read(connection, partial)

    def _read(
        self, connection: Transaction, partial: PartialMessage, late: LatePart | None = None
    ) -> InterpretedMessage:
        """Return what the message says, under the correlation id and the time of the part that came first."""
        channel = channel_of(self._channels, partial.region, partial.channel)
        stored = self._spool.inbox.among(connection, list(partial.numbers.values()))
        opened = {number: self._spool.inbox.unseal(stored[row_id]) for number, row_id in partial.numbers.items()}
        message = msgspec.structs.replace(
            join(channel, opened, partial.total), external_id=partial.external_id, made_id=False
        )
        raw = next(one for one in opened.values() if one.id == partial.first)
        return InterpretedMessage(
            composed=self._composer.compose(message, raw, channel, new_id(), headless=1 in partial.missing),
            region=raw.region,
            channel=raw.channel,
            correlation_id=raw.id,
            received_at=raw.received_at,
            late=late,
        )


def join(channel: Channel, parts: Mapping[int, RawMessage], total: int) -> CitizenMessage:
    """Return the message of its parts, by number; under it is written which never came. Pure."""
    if not isinstance(channel.adapter, Joiner):
        raise Untranslatable("this channel's adapter cannot join parts")
    message = channel.adapter.join([parts.get(number) for number in range(1, total + 1)])
    missing = ", ".join(str(number) for number in range(1, total + 1) if number not in parts)
    if not missing:
        return message
    note = f"[Pesan tidak lengkap: bagian {missing} dari {total} tidak diterima]"
    return msgspec.structs.replace(message, text=f"{message.text}\n\n{note}")
