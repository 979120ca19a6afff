"""Encode and decode GSM 7-bit, and cut a text into the parts of an SMS: in GSM 7-bit if it fits, else in UCS-2.

Tables and part sizes: 3GPP TS 23.038 (GSM 03.38), sections 6.2.1 and 6.2.1.1, and TS 23.040, section 9.2.3.24.
"""

from __future__ import annotations

import unicodedata

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"  # each takes two septets: the escape and its own

_ESCAPE = "\x1b"
_EXTENSION_CODES = b"\x0a\x14\x28\x29\x2f\x3c\x3d\x3e\x40\x65"  # in the order of EXTENSION

_GSM7 = frozenset(BASIC + EXTENSION)
_TWO_SEPTETS = frozenset(EXTENSION)
_USER_DATA = 140  # octets of one SMS
_GSM7_SINGLE, _UCS2_SINGLE = 160, 70  # septets, and UTF-16 units, of a message in one part

_TABLE = BASIC[:0x1B] + _ESCAPE + BASIC[0x1B:]  # by code
_EXTENDED = {chr(code): char for code, char in zip(_EXTENSION_CODES, EXTENSION, strict=True)}
# A code beyond 7 bits shows that the text has another alphabet. It is marked, because a guess would hide that.
_TO_TEXT = dict(enumerate(_TABLE)) | dict.fromkeys(range(0x80, 0x100), "\ufffd")
_TO_CODES = {ord(char): chr(code) for code, char in enumerate(_TABLE)} | {
    ord(char): _ESCAPE + code for code, char in _EXTENDED.items()
}

_FOLD = str.maketrans(
    dict.fromkeys("‘’‚‛′´`", "'")
    | dict.fromkeys("“”„‟″«»", '"')
    | dict.fromkeys("‐‑‒–—―−•·", "-")
    | dict.fromkeys("\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u3000", " ")
    | dict.fromkeys("\u00ad\u200b\u2060\ufeff", "")  # invisible: soft hyphen, zero-width space, joiner, byte order mark
    | {"\u2028": "\n", "\u2029": "\n", "…": "...", "×": "x", "‹": "<", "›": ">"}
)


def fits_gsm7(text: str) -> bool:
    """Return whether every character is in the GSM 7-bit tables."""
    return _GSM7.issuperset(text)


def to_gsm7(text: str) -> str:
    """Replace typographic signs so that the text fits GSM 7-bit; return it unchanged if it does not fit even then.

    A text with an emoji or another script is sent and billed in UCS-2 anyway, so a replacement would not help.
    """
    folded = unicodedata.normalize("NFC", text).translate(_FOLD)
    return folded if fits_gsm7(folded) else text


def encode(text: str) -> bytes:
    """Return the septets of a text that fits GSM 7-bit, one per byte, as SMPP carries them."""
    return text.translate(_TO_CODES).encode("latin-1")


def decode(septets: bytes) -> str:
    """Return the text of septets, one per byte; a code beyond 7 bits becomes U+FFFD."""
    first, *escaped = septets.decode("latin-1").split(_ESCAPE)
    text = [first.translate(_TO_TEXT)]
    for piece in escaped:
        # TS 23.038, 6.2.1.1: a code that is not in the extension table is read by the basic table. An escape at the
        # end is read as a space.
        char = _EXTENDED.get(piece[:1]) or piece[:1].translate(_TO_TEXT) or " "
        text += [char, piece[1:].translate(_TO_TEXT)]
    return "".join(text)


def parts(text: str, header: int = 6) -> int:
    """Return the number of parts in which a text is sent and billed; 0 for an empty text.

    `header` is the number of octets of the user data header in each part; a text in one part has no header.
    """
    return len(segments(text, header))


def segments(text: str, header: int = 6) -> list[str]:
    """Return the parts in which a text is sent and billed; empty for an empty text. `header` is as for `parts`.

    A part never ends inside an escaped character or a surrogate pair, so it may be one unit shorter than the limit.
    """
    if fits_gsm7(text):
        widths = [2 if char in _TWO_SEPTETS else 1 for char in text]
        return _cut(text, widths, _GSM7_SINGLE, (_USER_DATA - header) * 8 // 7)
    widths = [2 if char > "\uffff" else 1 for char in text]
    return _cut(text, widths, _UCS2_SINGLE, (_USER_DATA - header) // 2)


def _cut(text: str, widths: list[int], single: int, limit: int) -> list[str]:
    """Cut a text by the width of its characters: at most `single` units in one part, `limit` in each of several."""
    if sum(widths) <= single:
        return [text] if text else []
    pieces, start, used = [], 0, 0
    for position, width in enumerate(widths):
        used += width
        if used > limit:
            pieces.append(text[start:position])
            start, used = position, width
    return [*pieces, text[start:]]
