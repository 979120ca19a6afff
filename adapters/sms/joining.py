"""Join the parts of a long SMS: first the bytes of parts in one alphabet, then their characters.

A part may end in the middle of a character (3GPP TS 23.040, section 9.2.3.24, cuts octets): an escape sequence of GSM
7-bit or a surrogate pair of UCS-2 may straddle two parts. Therefore neighbouring parts are decoded together.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import groupby
from typing import TypeVar

Part = TypeVar("Part")

GAP = " […] "  # in place of parts that never came


def join(
    parts: Iterable[Part | None],
    *,
    alphabet: Callable[[Part], Hashable],
    decode: Callable[[Sequence[Part]], str],
) -> str:
    """Return the text of a message from its parts, in their order; `None` stands for a part that never came.

    Neighbouring parts with an equal `alphabet` are passed to `decode` together. Each gap, of one part or of several,
    becomes one `GAP`. Raises the errors of `alphabet` and `decode`.
    """
    texts = []
    for _, run in groupby(parts, key=lambda part: None if part is None else (alphabet(part),)):
        present = [part for part in run if part is not None]
        texts.append(decode(present) if present else GAP)
    return "".join(texts)
