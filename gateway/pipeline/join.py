"""Long messages that come in parts: wait for all of them, but not for ever.

A part is durable in the inbox before it gets here. When the last one is there, or the time is over, the adapter joins
the stored parts; what never came is said in the message itself. A part that comes later still completes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from gateway.errors import Untranslatable
from gateway.events import CitizenMessage, MessagePart
from gateway.pipeline.translate import Channels, channel_of
from gateway.ports import Joiner, RawMessage
from gateway.spool import Spool
from gateway.spool.drafts import Draft


@dataclass(frozen=True, slots=True)
class Joined:
    """A message made of its parts."""

    message: CitizenMessage
    raw: RawMessage  # of its first part: where and when it came
    late: bool  # a part came after the rest had been sent on


class Joining:
    """Puts parts together."""

    def __init__(self, spool: Spool, channels: Channels, wait: timedelta) -> None:
        self._spool, self._channels, self._wait = spool, channels, wait

    def add(self, connection: Any, row: Any, part: MessagePart) -> Joined | None:
        """Add a part; return the message if it is complete now, or was sent on without this part before."""
        draft = self._spool.drafts.add(connection, row, part, self._wait)
        if draft.open and draft.missing:
            return None
        return self.join(connection, draft)

    def join(self, connection: Any, draft: Draft) -> Joined:
        """Join what there is, and close the draft; raises `Untranslatable` or `ChannelGone`."""
        joined = self._read(connection, draft)
        self._spool.drafts.close(connection, draft.id)
        return joined

    def again(self, connection: Any, first: UUID) -> Joined | None:
        """Join a message once more, by the inbox row of its first part; `None` for other parts, and what still waits."""
        draft = self._spool.drafts.of_part(connection, first)
        if draft is None or draft.open or draft.numbers[min(draft.numbers)] != first:
            return None
        return self._read(connection, draft)

    def _read(self, connection: Any, draft: Draft) -> Joined:
        adapter = channel_of(self._channels, draft.region, draft.channel).adapter
        if not isinstance(adapter, Joiner):
            raise Untranslatable("this channel's adapter cannot join parts")
        stored = self._spool.inbox.among(connection, list(draft.numbers.values()))
        opened = {number: self._spool.inbox.open(stored[row_id]) for number, row_id in draft.numbers.items()}
        message = adapter.join([opened.get(number) for number in range(1, draft.total + 1)])
        if draft.missing:
            message = msgspec.structs.replace(message, text=f"{message.text}\n\n{_said(draft)}")
        return Joined(
            message=msgspec.structs.replace(message, external_id=draft.external_id),
            raw=opened[min(opened)],
            late=not draft.open,
        )


def _said(draft: Draft) -> str:
    numbers = ", ".join(str(number) for number in draft.missing)
    return f"[Pesan tidak lengkap: bagian {numbers} dari {draft.total} tidak diterima]"
