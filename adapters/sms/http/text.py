"""How the text of an SMS comes out of bytes: the character sets that aggregators name, and no others.

A table instead of Python's own list: the name comes from outside, and that list holds decoders that unpack.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from adapters.sms import gsm
from gateway.domain.errors import Untranslatable

_UTF16, _LATIN, _GSM = "utf-16-be", "latin-1", "gsm"

# The name as an aggregator writes it, in lower case → ours.
CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": _LATIN,
    "latin-1": _LATIN,
    "latin1": _LATIN,
    "windows-1252": "cp1252",
    "utf-16be": _UTF16,
    "utf-16-be": _UTF16,
    "utf-16": _UTF16,  # TS 23.038: UCS-2 is big-endian, and nobody sends a mark
    "ucs-2": _UTF16,
    "ucs2": _UTF16,
    "iso-10646-ucs-2": _UTF16,
    "gsm": _GSM,
    "gsm-7": _GSM,
    "gsm0338": _GSM,
}


def charset(name: str) -> str:
    """Return our name of a character set; raises `Untranslatable` for one that is not in the table."""
    try:
        return CHARSETS[name.strip().lower()]
    except KeyError:
        raise Untranslatable("the character set is unknown: add it to codings") from None


def decode(content: bytes | str, name: str, *, cut: bool = False) -> str:
    """Return the text; raises `Untranslatable` where the bytes are not of this character set.

    `cut`: something before or after is missing, and with it perhaps the rest of a character.
    """
    if isinstance(content, str):
        return content
    try:
        if name == _GSM:
            if "\ufffd" in (text := gsm.decode(content)):
                raise Untranslatable("the text is not gsm")
            return text
        # Half of a surrogate pair happens to whole messages too: phones and operators cut.
        lenient = cut or (name == _UTF16 and len(content) % 2 == 0)
        return content.decode(name, "replace" if lenient else "strict")
    except UnicodeDecodeError as exc:
        raise Untranslatable(f"the text is not {name}") from exc


def join(pieces: Iterable[tuple[bytes | str, str] | None], missing: str) -> str:
    """Return the text of a message's parts (content, character set) in their order; `missing` stands for `None`.

    Bytes are joined first: an escape sequence or a surrogate pair may straddle two parts.
    """
    text, pieces = [], list(pieces)
    cut = None in pieces
    for name, run in groupby(pieces, key=lambda piece: (piece[1], type(piece[0])) if piece else None):
        present = [piece for piece in run if piece is not None]
        if name is None:
            text.append(missing)
        elif name[1] is str:
            text.append("".join(str(content) for content, _ in present))
        else:
            octets = b"".join(content for content, _ in present if isinstance(content, bytes))
            text.append(decode(octets, name[0], cut=cut))
    return "".join(text)
