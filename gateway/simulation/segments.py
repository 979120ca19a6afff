"""The parts of an SMS, as a simulated network counts them."""

from __future__ import annotations


def segments(text: str) -> int:
    """Return the number of parts of a text; roughly, because exact counting is the task of the adapter."""
    units, single, part = (len(text), 160, 153) if text.isascii() else (len(text.encode("utf-16-le")) // 2, 70, 67)
    return 1 if units <= single else -(-units // part)
