"""Count the parts of an SMS in a simulated network."""

from __future__ import annotations


def segments(text: str) -> int:
    """Return the number of parts of a text. It is an estimate: text beyond ASCII counts as UCS-2."""
    units, single, part = (len(text), 160, 153) if text.isascii() else (len(text.encode("utf-16-le")) // 2, 70, 67)
    return 1 if units <= single else -(-units // part)
