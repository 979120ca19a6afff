"""How an SMS text is coded and counted: GSM 7-bit where it fits, UCS-2 where it does not.

Tables and part sizes: 3GPP TS 23.038 (GSM 03.38), sections 6.2.1 and 6.2.1.1, and TS 23.040, section 9.2.3.24.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"  # each takes an escape septet and its own

_ESCAPE = 0x1B
_TABLE = BASIC[:_ESCAPE] + " " + BASIC[_ESCAPE:]  # by octet; an escape that escapes nothing is a space
_EXTENDED = dict(zip(b"\x0a\x14\x28\x29\x2f\x3c\x3d\x3e\x40\x65", EXTENSION, strict=True))

_GSM7 = frozenset(BASIC + EXTENSION)
_TWO_SEPTETS = frozenset(EXTENSION)

# Septets or UTF-16 units in a message of one part, and in each part of a longer one, whose header takes the rest.
_GSM7_SINGLE, _GSM7_PART = 160, 153
_UCS2_SINGLE, _UCS2_PART = 70, 67

_FOLD = str.maketrans(
    dict.fromkeys("‘’‚‛′´`", "'")
    | dict.fromkeys("“”„‟″«»", '"')
    | dict.fromkeys("‐‑‒–—―−•·", "-")
    | dict.fromkeys("\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u3000", " ")
    | dict.fromkeys("\u00ad\u200b\u2060\ufeff", "")  # invisible: soft hyphen, zero-width space, joiner, byte order mark
    | {"\u2028": "\n", "\u2029": "\n", "…": "...", "×": "x", "‹": "<", "›": ">"}
)


def fits_gsm7(text: str) -> bool:
    """Tell whether every character is in the GSM 7-bit tables."""
    return _GSM7.issuperset(text)


def to_gsm7(text: str) -> str:
    """Fold typographic signs so that the text fits GSM 7-bit.

    Where something would still not fit (an emoji, another script) the text comes back unchanged: it costs UCS-2
    parts anyway, so folding would spoil it for nothing.
    """
    folded = unicodedata.normalize("NFC", text).translate(_FOLD)
    return folded if fits_gsm7(folded) else text


def parts(text: str) -> int:
    """Count the parts an SMS of this text is sent and billed as; an empty text takes none.

    An escaped character and a surrogate pair are never split across two parts, so a part may stay one unit short.
    """
    if fits_gsm7(text):
        return _packed((2 if char in _TWO_SEPTETS else 1 for char in text), len(text), _GSM7_SINGLE, _GSM7_PART)
    return _packed((2 if char > "\uffff" else 1 for char in text), len(text), _UCS2_SINGLE, _UCS2_PART)


def _packed(widths: Iterable[int], characters: int, single: int, part: int) -> int:
    if not characters:
        return 0
    total, count, used = 0, 1, 0
    for width in widths:
        total += width
        used += width
        if used > part:
            count, used = count + 1, width
    return 1 if total <= single else count


def decode(octets: bytes) -> str:
    """Return the text of GSM 7-bit characters, one in each octet; raises `UnicodeDecodeError` for other octets.

    As TS 23.038 wants it, an escaped octet that is in no extension is what it is without the escape.
    """
    text, escaped = [], False
    for position, octet in enumerate(octets):
        if octet > 0x7F:
            raise UnicodeDecodeError("gsm", octets, position, position + 1, "not a septet")
        if octet == _ESCAPE and not escaped:
            escaped = True
            continue
        text.append(_EXTENDED.get(octet, _TABLE[octet]) if escaped else _TABLE[octet])
        escaped = False
    return "".join(text) + (" " if escaped else "")
