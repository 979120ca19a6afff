"""Translate a stored message into events, with the adapter of its channel. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.domain.channel import ChannelId
from gateway.domain.errors import ChannelGone
from gateway.domain.events import Event
from gateway.domain.texts import text
from gateway.ports import Channel, RawMessage

Channels = Mapping[ChannelId, Channel]


def channel_of(channels: Channels, region: str, name: str) -> Channel:
    """Return a configured channel; raises `ChannelGone` if it was removed while rows of it were stored."""
    channel = channels.get(ChannelId(region, name))
    if channel is None:
        raise ChannelGone(
            text(
                "the channel {channel} is not configured any more; add it again and replay", channel=f"{region}/{name}"
            )
        )
    return channel


def translate(channels: Channels, raw: RawMessage) -> Sequence[Event]:
    """Return the events of one raw message; raises `Untranslatable` or `ChannelGone`. Pure."""
    events: Sequence[Event] = channel_of(channels, raw.region, raw.channel).adapter.translate(raw)
    return events
