"""The identity of a channel."""

from __future__ import annotations

from typing import NamedTuple


class ChannelId(NamedTuple):
    """The identity of a channel: a region's code, and the channel's name in that region."""

    region: str  # Kemendagri code, "00" for the national channels
    name: str

    def __str__(self) -> str:
        """Return `region/name`, as in URLs, logs and metrics."""
        return f"{self.region}/{self.name}"
