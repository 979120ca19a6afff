"""Read the stored bytes that an operator sent over SMPP: messages, parts of messages, delivery receipts. Pure.

Source: SMPP 3.4, issue 1.2: sections 4.6 (deliver_sm), 4.7 (data_sm), 5.1.3 (command_status), 5.2.12 (esm_class), 5.3
(TLVs) and appendix B (receipts). smpplib is not used here: if a PDU is cut off before a terminating zero, smpplib
starts again at the first field and returns a message that nobody sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import NamedTuple

from adapters.sms import udh
from adapters.sms.smpp.alphabets import ALPHABETS, UCS2
from gateway.domain.errors import Untranslatable
from gateway.domain.events import Delivery
from gateway.domain.texts import text
from gateway.ports import Envelope

SMPP = "application/smpp"  # content type of a stored message: the PDU's exact bytes
HEADER_BYTES = 16  # length, command, status, sequence number
DELIVER_SM, DATA_SM = 0x00000005, 0x00000103
OK, INVALID_COMMAND, QUEUE_FULL, NOT_NOW = 0x00, 0x03, 0x14, 0x64  # NOT_NOW: our fault for now, keep the message
UDHI = 0x40  # of esm_class: the text begins with a user data header
_KIND = 0x3C  # of esm_class: the type of message
MESSAGE, RECEIPT, INTERMEDIATE = 0x00, 0x04, 0x20
RECEIPTED_ID, SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER, PAYLOAD, STATE = 0x001E, 0x020C, 0x020E, 0x020F, 0x0424, 0x0427

MOST_TLVS = 500  # the specification has 45; a flood of them must not delay the other messages
ALPHANUMERIC = 5  # type of number: a name that the sender chose, such as "TELKOMSEL"; it may consist of digits
INTERNATIONAL = 1  # type of number: with country code, written without the plus
LONGEST_SHORT_CODE = 6  # digits; some operators mark short codes such as 1708 as international too

# The state of a receipt, by number (TLV) and by word (text). "Accepted" comes from the network, not from the telephone.
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
    """The place of a part in its message."""

    group: str  # kind of reference, reference and total
    number: int  # from 1
    total: int


class ShortMessage(NamedTuple):
    """A deliver_sm or data_sm."""

    source: str  # with a plus if the operator marks it as international
    destination: str
    kind: int  # MESSAGE, RECEIPT, or something else
    data_coding: int
    content: bytes  # without the user data header
    part: Part | None
    tlvs: Mapping[int, bytes]


class ReceiptFields(NamedTuple):
    """The fields of a delivery receipt; operators send the id and the state as a TLV, in the text, or both."""

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
        raise Untranslatable(text("the stored bytes are no deliver_sm and no data_sm"))
    fields.string()  # service_type
    source, destination = fields.address(), fields.address()
    esm_class, content = fields.byte(), b""
    if command == DELIVER_SM:
        fields.skip(2)  # protocol_id, priority_flag
        fields.string()  # schedule_delivery_time
        fields.string()  # validity_period
        fields.skip(2)  # registered_delivery, replace_if_present_flag
        data_coding = fields.byte()
        fields.skip(1)  # sm_default_msg_id
        content = fields.octets(fields.byte())
    else:
        fields.skip(1)  # registered_delivery
        data_coding = fields.byte()
    tlvs = fields.tlvs()
    content, part = _part(content or tlvs.get(PAYLOAD, b""), esm_class, tlvs)
    kind = esm_class & _KIND
    if kind == MESSAGE and RECEIPTED_ID in tlvs and STATE in tlvs:
        kind = RECEIPT  # some operators forget to mark it; no telephone can set these TLVs
    return ShortMessage(source, destination, kind, data_coding, content, part, tlvs)


def _part(content: bytes, esm_class: int, tlvs: Mapping[int, bytes]) -> tuple[bytes, Part | None]:
    if esm_class & UDHI:
        header, content = udh.split(content)
        if place := udh.concatenation(header):
            return content, Part(place.group, place.number, place.total)
    total, number = (int.from_bytes(tlvs.get(tag, b""), "big") for tag in (SAR_TOTAL, SAR_NUMBER))
    if total > 1 and 1 <= number <= total:
        return content, Part(f"sar:{int.from_bytes(tlvs.get(SAR_REFERENCE, b''), 'big')}:{total}", number, total)
    return content, None


def read_receipt(message: ShortMessage) -> ReceiptFields:
    """Read a delivery receipt; raises `Untranslatable` if it lacks the message's id or the state."""
    fields: dict[str, str] = {}
    decode = ALPHABETS["ucs2" if message.data_coding == UCS2 else "latin1"]
    for name, value in _RECEIPT_FIELD.findall(decode(message.content)):
        fields.setdefault(name.lower(), value)  # the first counts, because behind "text:" our own words are repeated
    tlv_id = message.tlvs.get(RECEIPTED_ID, b"").rstrip(b"\0").decode("latin-1")
    state = message.tlvs.get(STATE, b"")
    if not (tlv_id or "id" in fields) or not (state or "stat" in fields):
        raise Untranslatable(text("the delivery receipt has no message id or no state"))
    error = fields.get("err", "")
    return ReceiptFields(
        tlv_id=tlv_id,
        text_id=fields.get("id", ""),
        state=state[0] if state else fields["stat"].upper(),
        error=error if error.strip("0") else "",
    )


def canonical_id(message_id: str, base: int) -> str:
    """Return an id in decimal if it is a number of the base; else, and with base 0, return it unchanged."""
    try:
        return str(int(message_id, base)) if base else message_id
    except ValueError:
        return message_id


def envelope(pdu: bytes, moment: float, *, window: float, id_tag: int | None) -> Envelope:
    """Return the envelope of a PDU, although SMPP gives messages no id; raises nothing.

    The key of a receipt is made of message id and state. The key of a message is made of its content and of the time it
    came (`moment`, seconds since 1970), cut into windows of `window` seconds: if the operator never got our answer, it
    soon sends the message again, in the same window or the next. `id_tag` is the tag of a TLV in which this
    operator sends an id. A PDU that cannot be read has a key too: it is stored and becomes a dead letter.
    """
    try:
        message = read(pdu)
        if message.kind in (RECEIPT, INTERMEDIATE):
            receipt = read_receipt(message)
            ids = f"{receipt.tlv_id}:{receipt.text_id}"
            return Envelope(f"receipt:{ids}:{receipt.state}:{message.source}", f"receipt:{ids}")
    except Untranslatable:
        return _by_content((pdu[4:8], pdu[HEADER_BYTES:]), None, moment, window)
    if id_tag is not None and (own_id := message.tlvs.get(id_tag)):
        return Envelope(f"id:{own_id.hex()}:{message.part.number if message.part else 0}", message.source)
    addresses = (message.source.encode("latin-1"), message.destination.encode("latin-1"))
    content = (repr(message.part).encode(), b"%d" % message.data_coding, message.content)
    return _by_content((*addresses, *content), message.source, moment, window)


def _by_content(values: tuple[bytes, ...], sender: str | None, moment: float, window: float) -> Envelope:
    # The zeros separate the values: only the last value may hold a zero itself.
    digest, number = blake2b(b"\0".join(values), digest_size=16).hexdigest(), int(moment // window)
    return Envelope(f"{digest}:{number}", sender, f"{digest}:{number - 1}")


class _Fields:
    """Read the fields behind a PDU's header, in their order; raises `Untranslatable` if one is cut off."""

    def __init__(self, pdu: bytes) -> None:
        self._pdu = pdu
        self._position = HEADER_BYTES

    def octets(self, count: int) -> bytes:
        value = self._pdu[self._position : self._position + count]
        if len(value) < count:
            raise _cut_off()
        self._position += count
        return value

    def byte(self) -> int:
        return self.octets(1)[0]

    def skip(self, count: int) -> None:
        self.octets(count)

    def string(self) -> str:
        end = self._pdu.find(0, self._position)
        if end < 0:
            raise _cut_off()
        value = self._pdu[self._position : end].decode("latin-1")
        self._position = end + 1
        return value

    def address(self) -> str:
        number_type, _plan, number = self.byte(), self.byte(), self.string()
        if number_type == ALPHANUMERIC and not any(map(str.isalpha, number)):
            return f"'{number}'"  # without the quotes it would be taken for the telephone with these digits
        with_country = number_type == INTERNATIONAL and number.isdecimal() and len(number) > LONGEST_SHORT_CODE
        return f"+{number}" if with_country else number

    def tlvs(self) -> dict[int, bytes]:
        values: dict[int, bytes] = {}
        for _ in range(MOST_TLVS + 1):
            if self._position >= len(self._pdu):
                return values
            tag, length = self.octets(2), self.octets(2)
            values[int.from_bytes(tag, "big")] = self.octets(int.from_bytes(length, "big"))
        raise Untranslatable(text("the PDU has too many TLVs"))


def _cut_off() -> Untranslatable:
    return Untranslatable(text("the PDU is cut off"))
