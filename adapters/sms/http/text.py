"""How the text of an SMS comes out of bytes: the character sets that aggregators name, and no others.

A table instead of Python's own list: the name comes from outside, and that list holds decoders that unpack.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.sms import gsm, joining
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


def join(pieces: Sequence[tuple[bytes | str, str] | None], missing: str) -> str:
    """Return the text of a message's parts (content, character set) in their order; `missing` stands for each gap.

    Raises `Untranslatable` if the bytes are not of their character set. Beside a gap that is no error: half of a
    character may be missing there.
    """
    has_gap = None in pieces

    def decode_run(run: Sequence[tuple[bytes | str, str]]) -> str:
        texts = [content for content, _ in run if isinstance(content, str)]
        octets = [content for content, _ in run if isinstance(content, bytes)]
        return "".join(texts) if texts else decode(b"".join(octets), run[0][1], cut=has_gap)

    return joining.join(pieces, alphabet=lambda piece: (piece[1], type(piece[0])), decode=decode_run, missing=missing)
