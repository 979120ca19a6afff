"""Collect the gateway's replies, and put together those that come in parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from adapters.sms.smpp.simulator import wire


class Text(NamedTuple):
    """A whole reply of the gateway."""

    from_: str
    to: str
    body: str


class Replies:
    """Keep the whole replies, oldest first, and the parts of those that are not whole yet."""

    def __init__(self) -> None:
        self._texts: list[Text] = []
        self._parts: dict[tuple[str, int, int], dict[int, bytes]] = {}
        self._listeners: list[Callable[[Text], None]] = []

    def add(self, message: wire.Submitted) -> None:
        """Take a reply or a part of one; call the listeners if the reply is whole."""
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
        """Call the listener with every whole reply from now on."""
        self._listeners.append(listener)

    def _whole(self, message: wire.Submitted) -> bytes | None:
        """Return the bytes of the whole message; `None` while parts are missing."""
        if message.part is None:
            return message.content
        reference, total, number = message.part
        parts = self._parts.setdefault((message.destination, reference, total), {})
        parts[number] = message.content
        if len(parts) < total:
            return None
        del self._parts[message.destination, reference, total]
        return b"".join(parts[number] for number in sorted(parts))
