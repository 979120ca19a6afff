"""What an operator sends over SMPP, read from the stored bytes: messages, parts of messages, delivery receipts. Pure.

Source: SMPP 3.4, issue 1.2: sections 4.6 (deliver_sm), 4.7 (data_sm), 5.2.12 (esm_class), 5.2.19 (data_coding), 5.3
(TLVs) and appendix B (receipts). We read these bytes ourselves, not with smpplib: where a terminating zero is missing
it starts over at the first field, and makes of a PDU that was cut off a message that nobody sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import NamedTuple

from adapters.sms import gsm, udh
from gateway.domain.errors import Untranslatable
from gateway.domain.events import Delivery
from gateway.ports import Envelope

SMPP = "application/smpp"  # content type of a stored message: the PDU's exact bytes
HEADER = 16  # bytes: length, command, status, sequence number
DELIVER_SM, DATA_SM = 0x00000005, 0x00000103
UDHI = 0x40  # of esm_class: the text begins with a user data header
_KIND = 0x3C  # of esm_class: the type of message
MESSAGE, RECEIPT, INTERMEDIATE = 0x00, 0x04, 0x20
RECEIPTED_ID, SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER, PAYLOAD, STATE = 0x001E, 0x020C, 0x020E, 0x020F, 0x0424, 0x0427

MOST_TLVS = 500  # the specification knows 45; a flood of them must not hold up the others
ALPHANUMERIC = 5  # type of number: a name that its sender chose, as "TELKOMSEL", and be it all of digits
INTERNATIONAL = 1  # type of number: with country code, written without the plus …
LONGEST_SHORT_CODE = 6  # … unless it is so short: some operators call 1708 international too

ALPHABETS: dict[str, Callable[[bytes], str]] = {
    "gsm7": gsm.decode,
    "latin1": lambda text: text.decode("latin-1"),
    "ascii": lambda text: text.decode("ascii", "replace"),
    "utf8": lambda text: text.decode("utf-8", "replace"),
    "ucs2": lambda text: text.decode("utf-16-be", "replace"),
    "cyrillic": lambda text: text.decode("iso8859-5", "replace"),
    "hebrew": lambda text: text.decode("iso8859-8", "replace"),
    "shift-jis": lambda text: text.decode("shift-jis", "replace"),
    "iso2022-jp": lambda text: text.decode("iso2022-jp", "replace"),
    "euc-kr": lambda text: text.decode("euc-kr", "replace"),
}
# By data_coding; 0 is the operator's own default, and 2 and 4 are no text.
_CODINGS = {
    1: "ascii",
    3: "latin1",
    5: "shift-jis",
    6: "cyrillic",
    7: "hebrew",
    8: "ucs2",
    10: "iso2022-jp",
    14: "euc-kr",
}
# Those that operators pass on from the radio side (TS 23.038, section 4) say the alphabet in two bits, or one.
_RADIO_CODINGS = {0x10: "gsm7", 0x18: "ucs2", 0xC0: "gsm7", 0xD0: "gsm7", 0xE0: "ucs2", 0xF0: "gsm7"}
_RADIO_BITS = {0x10: 0xFC, 0xC0: 0xF0, 0xD0: 0xF0, 0xE0: 0xF0, 0xF0: 0xF4}  # which bits count, by the upper four

# The state of a receipt, by number (TLV) and by word (text). "Accepted" is the network's word, not the telephone's.
STATES = {
    0: Delivery.SENT,
    1: Delivery.SENT,
    2: Delivery.DELIVERED,
    3: Delivery.FAILED,
    4: Delivery.FAILED,
    5: Delivery.FAILED,
    6: Delivery.SENT,
    8: Delivery.FAILED,
    9: Delivery.FAILED,
    "SCHEDUL": Delivery.SENT,
    "ENROUTE": Delivery.SENT,
    "ACCEPTD": Delivery.SENT,
    "DELIVRD": Delivery.DELIVERED,
    "EXPIRED": Delivery.FAILED,
    "DELETED": Delivery.FAILED,
    "UNDELIV": Delivery.FAILED,
    "REJECTD": Delivery.FAILED,
    "SKIPPED": Delivery.FAILED,
}
_RECEIPT_FIELD = re.compile(r"\b(id|stat|err):\s*([^\s:]+)(?=\s|$)", re.IGNORECASE)


class Part(NamedTuple):
    """Which part of which message."""

    group: str  # kind of reference, reference and total
    number: int  # from 1
    total: int


class ShortMessage(NamedTuple):
    """A deliver_sm or data_sm."""

    source: str  # with a plus where the operator says that it is international
    destination: str
    kind: int  # MESSAGE, RECEIPT, or something else
    data_coding: int
    text: bytes  # without the user data header
    part: Part | None
    tlvs: Mapping[int, bytes]


class Report(NamedTuple):
    """What a delivery receipt says; each may come as a TLV, in the text, or both."""

    tlv_id: str
    text_id: str
    state: int | str
    error: str


def command_of(pdu: bytes) -> int:
    """Return the command's number."""
    return int.from_bytes(pdu[4:8], "big")


def read(pdu: bytes) -> ShortMessage:
    """Read a deliver_sm or data_sm; raises `Untranslatable`."""
    command, fields = command_of(pdu), _Fields(pdu)
    if int.from_bytes(pdu[:4], "big") != len(pdu) or command not in (DELIVER_SM, DATA_SM):
        raise Untranslatable("the stored bytes are no deliver_sm and no data_sm")
    fields.text()  # service_type
    source, destination = fields.address(), fields.address()
    esm_class, text = fields.byte(), b""
    if command == DELIVER_SM:
        fields.skip(2)  # protocol_id, priority_flag
        fields.text()  # schedule_delivery_time
        fields.text()  # validity_period
        fields.skip(2)  # registered_delivery, replace_if_present_flag
        data_coding = fields.byte()
        fields.skip(1)  # sm_default_msg_id
        text = fields.octets(fields.byte())
    else:
        fields.skip(1)  # registered_delivery
        data_coding = fields.byte()
    tlvs = fields.tlvs()
    text, part = _part(text or tlvs.get(PAYLOAD, b""), esm_class, tlvs)
    kind = esm_class & _KIND
    if kind == MESSAGE and RECEIPTED_ID in tlvs and STATE in tlvs:
        kind = RECEIPT  # some operators forget to mark it; no telephone can set these
    return ShortMessage(source, destination, kind, data_coding, text, part, tlvs)


def _part(text: bytes, esm_class: int, tlvs: Mapping[int, bytes]) -> tuple[bytes, Part | None]:
    if esm_class & UDHI:
        header, text = udh.split(text)
        if found := udh.concatenation(header):
            return text, Part(found.group, found.number, found.total)
    total, number = (int.from_bytes(tlvs.get(tag, b""), "big") for tag in (SAR_TOTAL, SAR_NUMBER))
    if total > 1 and 1 <= number <= total:
        return text, Part(f"sar:{int.from_bytes(tlvs.get(SAR_REFERENCE, b''), 'big')}:{total}", number, total)
    return text, None


def alphabet(data_coding: int, configured: Mapping[int, str]) -> str:
    """Return the name of the alphabet; raises `Untranslatable` for what is no text, or nobody knows."""
    upper = data_coding & 0xF0
    radio = _RADIO_CODINGS.get(data_coding & _RADIO_BITS.get(upper, 0)) if upper else None
    found = configured.get(data_coding) or _CODINGS.get(data_coding) or radio
    if found is None:
        raise Untranslatable(f"data_coding {data_coding} is no text; if it is with this operator, name it in codings")
    return found


def report(message: ShortMessage) -> Report:
    """Read a delivery receipt; raises `Untranslatable` where it names no message or no state."""
    text = ALPHABETS["ucs2" if message.data_coding == 8 else "latin1"](message.text)
    said: dict[str, str] = {}
    for name, value in _RECEIPT_FIELD.findall(text):
        said.setdefault(name.lower(), value)  # the first of each: behind "text:" stands what we had sent
    tlv_id = message.tlvs.get(RECEIPTED_ID, b"").rstrip(b"\0").decode("latin-1")
    state = message.tlvs.get(STATE, b"")
    if not (tlv_id or "id" in said) or not (state or "stat" in said):
        raise Untranslatable("a delivery receipt names no message or no state")
    error = said.get("err", "")
    return Report(
        tlv_id, said.get("id", ""), state[0] if state else said["stat"].upper(), "" if not error.strip("0") else error
    )


def envelope(pdu: bytes, moment: float, *, window: float, id_tag: int | None) -> Envelope:
    """Return how to tell a PDU from others, though SMPP gives messages no id.

    A receipt is told by message and state. A message by its content and the time it came, cut into windows: an operator
    who never got our answer sends it again soon, in the same window or the next. `id_tag` is the TLV in which this
    operator sends an id after all. Raises nothing: what cannot be read is stored too, and found as a dead letter.
    """
    try:
        message = read(pdu)
        if message.kind in (RECEIPT, INTERMEDIATE):
            told = report(message)
            name = f"{told.tlv_id}:{told.text_id}"
            return Envelope(f"receipt:{name}:{told.state}:{message.source}", f"receipt:{name}")
    except Untranslatable:
        return _by_content((pdu[4:8], pdu[HEADER:]), None, moment, window)
    if id_tag is not None and (given := message.tlvs.get(id_tag)):
        return Envelope(f"id:{given.hex()}:{message.part.number if message.part else 0}", message.source)
    addresses = (message.source.encode("latin-1"), message.destination.encode("latin-1"))
    content = (repr(message.part).encode(), b"%d" % message.data_coding, message.text)
    return _by_content((*addresses, *content), message.source, moment, window)


def _by_content(parts: tuple[bytes, ...], sender: str | None, moment: float, window: float) -> Envelope:
    # Zeros keep the parts apart: of all of them only the last may hold one.
    digest, number = blake2b(b"\0".join(parts), digest_size=16).hexdigest(), int(moment // window)
    return Envelope(f"{digest}:{number}", sender, f"{digest}:{number - 1}")


class _Fields:
    """The fields of a PDU behind its header, in their order; raises `Untranslatable` where one is cut off."""

    def __init__(self, pdu: bytes) -> None:
        self._pdu, self._at = pdu, HEADER

    def octets(self, count: int) -> bytes:
        found = self._pdu[self._at : self._at + count]
        if len(found) < count:
            raise Untranslatable("the PDU is cut off")
        self._at += count
        return found

    def byte(self) -> int:
        return self.octets(1)[0]

    def skip(self, count: int) -> None:
        self.octets(count)

    def text(self) -> str:
        end = self._pdu.find(0, self._at)
        if end < 0:
            raise Untranslatable("the PDU is cut off")
        found = self._pdu[self._at : end].decode("latin-1")
        self._at = end + 1
        return found

    def address(self) -> str:
        kind, _plan, number = self.byte(), self.byte(), self.text()
        if kind == ALPHANUMERIC and not any(map(str.isalpha, number)):
            return f"'{number}'"  # it must not pass for the telephone with these digits
        whole = kind == INTERNATIONAL and number.isdecimal() and len(number) > LONGEST_SHORT_CODE
        return f"+{number}" if whole else number

    def tlvs(self) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for _ in range(MOST_TLVS + 1):
            if self._at >= len(self._pdu):
                return found
            tag, length = self.octets(2), self.octets(2)
            found[int.from_bytes(tag, "big")] = self.octets(int.from_bytes(length, "big"))
        raise Untranslatable("the PDU has too many TLVs")
