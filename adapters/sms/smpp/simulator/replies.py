"""Collect the gateway's replies, and put together those that come in parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from adapters.sms.smpp.simulator import wire


class Text(NamedTuple):
    """A complete reply of the gateway."""

    from_: str
    to: str
    body: str


class Replies:
    """The complete replies, oldest first, and the parts of the others."""

    def __init__(self) -> None:
        self._texts: list[Text] = []
        self._parts: dict[tuple[str, int, int], dict[int, bytes]] = {}
        self._listeners: list[Callable[[Text], None]] = []

    def add(self, message: wire.Submitted) -> None:
        """Keep a reply or a part of a reply; call the listeners if the reply is complete."""
        content = self._whole(message)
        if content is None:
            return
        reply = Text(message.source, message.destination, message.text(content))
        self._texts.append(reply)
        for listener in self._listeners:
            listener(reply)

    def to(self, number: str) -> list[str]:
        """Return the texts to a number, oldest first."""
        return [reply.body for reply in self._texts if reply.to == number]

    def subscribe(self, listener: Callable[[Text], None]) -> None:
        """Call the listener with every complete reply from now on."""
        self._listeners.append(listener)

    def _whole(self, message: wire.Submitted) -> bytes | None:
        """Return the bytes of the complete message; `None` while parts are missing."""
        if message.part is None:
            return message.content
        reference, total, number = message.part
        parts = self._parts.setdefault((message.destination, reference, total), {})
        parts[number] = message.content
        if len(parts) < total:
            return None
        del self._parts[message.destination, reference, total]
        return b"".join(parts[number] for number in sorted(parts))
