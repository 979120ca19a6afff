"""A configured channel: one adapter that serves one region under one name."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.domain.channel import ChannelId
from gateway.ports.capabilities import Joiner, Listener, Poller, Replier, Translator, Webhook


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """One adapter that serves one region under one name.

    `webhook`, `poller`, `listener`, `joiner` and `replier` are the adapter itself with the type of that port. Use one
    only if the adapter implements the port. Check that with `isinstance(channel.adapter, Webhook)` once, not per
    message: `isinstance` with a protocol takes microseconds, an attribute does not.
    """

    region: str
    name: str
    adapter_key: str
    adapter: Translator
    own_addresses: frozenset[str] = frozenset()  # our numbers on all channels: a message from one is an echo
    replies: bool = True
    id: ChannelId = field(init=False, compare=False)
    webhook: Webhook = field(init=False, repr=False, compare=False)
    poller: Poller = field(init=False, repr=False, compare=False)
    listener: Listener = field(init=False, repr=False, compare=False)
    joiner: Joiner = field(init=False, repr=False, compare=False)
    replier: Replier = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", ChannelId(self.region, self.name))
        for port in ("webhook", "poller", "listener", "joiner", "replier"):
            object.__setattr__(self, port, self.adapter)
