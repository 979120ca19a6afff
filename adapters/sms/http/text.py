"""Decode the text of an SMS, in the character sets that aggregators name and in no others.

The names come from outside, so they are looked up in a table of our own: Python also has decoders that no SMS needs,
such as unicode_escape and punycode.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.sms import gsm, joining
from gateway.domain.errors import Untranslatable
from gateway.domain.texts import text

_UTF16, _LATIN, _GSM = "utf-16-be", "latin-1", "gsm"

# The aggregator's name of a character set, in lower case → our name.
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
    "utf-16": _UTF16,  # TS 23.038: UCS-2 is big-endian, and aggregators send no byte order mark
    "ucs-2": _UTF16,
    "ucs2": _UTF16,
    "iso-10646-ucs-2": _UTF16,
    "gsm": _GSM,
    "gsm-7": _GSM,
    "gsm0338": _GSM,
}


def charset(name: str) -> str:
    """Return our name of a character set; raises `Untranslatable` if it is not in the table."""
    try:
        return CHARSETS[name.strip().lower()]
    except KeyError:
        raise Untranslatable(text("the character set is unknown: add it to codings")) from None


def decode(content: bytes | str, name: str, *, cut: bool = False) -> str:
    """Return the text; raises `Untranslatable` if the bytes do not fit the character set.

    `cut` is true if bytes before or after are missing: half a character at an end then becomes U+FFFD.
    """
    if isinstance(content, str):
        return content
    try:
        if name == _GSM:
            if "\ufffd" in (decoded := gsm.decode(content)):
                raise Untranslatable(text("the text is not {name}", name=name))
            return decoded
        # Half a surrogate pair also ends complete messages: phones and operators cut texts.
        lenient = cut or (name == _UTF16 and len(content) % 2 == 0)
        return content.decode(name, "replace" if lenient else "strict")
    except UnicodeDecodeError as exc:
        raise Untranslatable(text("the text is not {name}", name=name)) from exc


def join(pieces: Sequence[tuple[bytes | str, str] | None]) -> str:
    """Return the text of a message from its parts (content, character set), in their order; each gap is marked.

    Raises `Untranslatable` if the bytes are not of their character set. Beside a gap that is no error: half of a
    character may be missing there.
    """
    has_gap = None in pieces

    def decode_run(run: Sequence[tuple[bytes | str, str]]) -> str:
        texts = [content for content, _ in run if isinstance(content, str)]
        octets = [content for content, _ in run if isinstance(content, bytes)]
        return "".join(texts) if texts else decode(b"".join(octets), run[0][1], cut=has_gap)

    return joining.join(pieces, alphabet=lambda piece: (piece[1], type(piece[0])), decode=decode_run)
