"""How many parts a simulated network cuts an SMS into."""

from __future__ import annotations


def segments(text: str) -> int:
    """Return how many parts a text takes; near enough, since exact counting is the adapter's business."""
    units, single, part = (len(text), 160, 153) if text.isascii() else (len(text.encode("utf-16-le")) // 2, 70, 67)
    return 1 if units <= single else -(-units // part)
