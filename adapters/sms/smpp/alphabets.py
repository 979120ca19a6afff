"""Find the alphabet of a short message: from `data_coding` to a decoder.

Source: SMPP 3.4, issue 1.2, section 5.2.19; 3GPP TS 23.038, section 4, for the values that come from the radio side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from adapters.sms import gsm
from gateway.domain.errors import Untranslatable
from gateway.domain.texts import text

ALPHABETS: dict[str, Callable[[bytes], str]] = {
    "gsm7": gsm.decode,
    "latin1": lambda octets: octets.decode("latin-1"),
    "ascii": lambda octets: octets.decode("ascii", "replace"),
    "utf8": lambda octets: octets.decode("utf-8", "replace"),
    "ucs2": lambda octets: octets.decode("utf-16-be", "replace"),
    "cyrillic": lambda octets: octets.decode("iso8859-5", "replace"),
    "hebrew": lambda octets: octets.decode("iso8859-8", "replace"),
    "shift-jis": lambda octets: octets.decode("shift-jis", "replace"),
    "iso2022-jp": lambda octets: octets.decode("iso2022-jp", "replace"),
    "euc-kr": lambda octets: octets.decode("euc-kr", "replace"),
}
UCS2 = 8  # data_coding
# By data_coding; 0 is the operator's own default, and 2 and 4 are no text.
_CODINGS = {
    1: "ascii",
    3: "latin1",
    5: "shift-jis",
    6: "cyrillic",
    7: "hebrew",
    UCS2: "ucs2",
    10: "iso2022-jp",
    14: "euc-kr",
}
# Operators pass on these values from the radio side (TS 23.038): one or two of their bits give the alphabet.
_RADIO_CODINGS = {0x10: "gsm7", 0x18: "ucs2", 0xC0: "gsm7", 0xD0: "gsm7", 0xE0: "ucs2", 0xF0: "gsm7"}
_RADIO_BITS = {0x10: 0xFC, 0xC0: 0xF0, 0xD0: 0xF0, 0xE0: 0xF0, 0xF0: 0xF4}  # the bits that count, by the upper four


def alphabet(data_coding: int, configured: Mapping[int, str]) -> str:
    """Return the name of the alphabet; raises `Untranslatable` if the value is unknown or means no text.

    `configured` has the operator's own values and comes first.
    """
    upper = data_coding & 0xF0
    radio = _RADIO_CODINGS.get(data_coding & _RADIO_BITS.get(upper, 0)) if upper else None
    name = configured.get(data_coding) or _CODINGS.get(data_coding) or radio
    if name is None:
        raise Untranslatable(
            text(
                "data_coding {coding} is no text; if this operator uses it for text, add it to codings",
                coding=data_coding,
            )
        )
    return name
