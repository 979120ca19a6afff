"""Count accepted messages per channel, in the metrics and in the activity of the status page."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from gateway.domain.channel import ChannelId
from gateway.observe.metrics import Metrics
from gateway.ports import Channel
from gateway.spool.activity import ActivityLog


class Tally:
    """Count accepted messages per channel."""

    def __init__(self, channels: Iterable[Channel], metrics: Metrics, activity: ActivityLog) -> None:
        self._activity = activity
        ids = [channel.id for channel in channels]
        self._new = {channel: metrics.accepted.labels(*channel) for channel in ids}
        self._known = {channel: metrics.duplicates.labels(*channel) for channel in ids}

    def count(self, channel: ChannelId, new: int, known: int, at: datetime) -> None:
        """Count durable messages: new ones, and repeated deliveries of known ones."""
        if new:
            self._new[channel].inc(new)
        if known:
            self._known[channel].inc(known)
        if new or known:
            self._activity.note(*channel, "accepted", at)
