"""Submit replies over SMPP: cut a reply into submit_sm, keep the pace, and explain the operator's refusals.

Source: SMPP 3.4, issue 1.2, sections 4.4 (submit_sm), 5.1.3 (command_status) and 5.3.2 (TLVs); 3GPP TS 23.040, section
9.2.3.24, for the header of a long message's parts.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from adapters.sms import gsm
from adapters.sms.smpp.alphabets import UCS2
from adapters.sms.smpp.patience import Clock
from adapters.sms.smpp.pdu import UDHI
from adapters.sms.smpp.session import Field
from adapters.sms.smpp.settings import DefaultAlphabet, LongMessages
from gateway.domain.errors import GatewayError, Rejected, Throttled, Unavailable
from gateway.domain.texts import text
from gateway.ports import Reply

_NUMBER = re.compile(r"\+?[0-9]{3,20}")
_HEADER_BYTES = {"udh16": 7, "udh8": 6, "sar": 7, "payload": 7}  # with sar and payload the operator makes the header

_BUSY = {0x14: text("the operator's queue is full"), 0x58: text("the operator allows fewer messages per second")}
_FINAL = {
    0x01: text("the message is too long"),
    0x0B: text("the recipient's number is wrong"),
    0x65: text("refused for good"),
    0x66: text("refused"),
}
# Causes that can be corrected, here or at the operator: until then the reply must be kept.
_FIXABLE = {
    0x03: text("this operator takes no submit_sm"),
    0x04: text("the session may not send; see bind_mode"),
    0x0A: text("sender is not a number of this account"),
    0x15: text("service_type is wrong"),
    0x43: text("this operator does not take this form of long messages; see long_messages"),
    0x48: text("sender_ton is wrong"),
    0x49: text("sender_npi is wrong"),
    0x50: text("recipient_ton is wrong"),
    0x51: text("recipient_npi is wrong"),
    0xC0: text("this operator does not take this form of long messages; see long_messages"),
    0xC1: text("this operator does not take this form of long messages; see long_messages"),
}
_BIND_REFUSED = {
    0x05: text("the account is bound already, by another program or by a session that the operator has not ended yet"),
    0x0D: text("the operator gives no reason; ask whether our address is on its list"),
    0x0E: text("password is wrong"),
    0x0F: text("system_id is wrong"),
    0x53: text("system_type is wrong"),
}


def refusal(status: int) -> GatewayError:
    """Return the error for the status of a submit_sm_resp; an unknown status may pass, so it is tried again."""
    code = f"{status:#04x}"
    if meaning := _BUSY.get(status):
        return Throttled(text("operator error {code}: {meaning}", code=code, meaning=meaning))
    if meaning := _FINAL.get(status):
        return Rejected(text("operator error {code}: {meaning}", code=code, meaning=meaning))
    if meaning := _FIXABLE.get(status):
        return Unavailable(text("operator error {code}: {meaning}", code=code, meaning=meaning))
    return Unavailable(text("operator error {code}", code=code))


def bind_refusal(status: int) -> Unavailable:
    """Return the error for the status of a bind's response."""
    code = f"{status:#04x}"
    if meaning := _BIND_REFUSED.get(status):
        return Unavailable(text("the operator refused the bind, error {code}: {meaning}", code=code, meaning=meaning))
    return Unavailable(text("the operator refused the bind, error {code}", code=code))


@dataclass(frozen=True, slots=True, kw_only=True)
class Composer:
    """Make the submit_sm of a reply."""

    fields: Mapping[str, Field]  # equal in every submit_sm
    default: DefaultAlphabet  # of data_coding 0
    long_messages: LongMessages

    def parts(self, reply_text: str) -> int:
        """Return the number of billed parts."""
        return gsm.parts(gsm.to_gsm7(reply_text), _HEADER_BYTES[self.long_messages])

    def compose(self, reply: Reply) -> list[dict[str, Field]]:
        """Return the fields of each submit_sm; raises `Rejected` if the address is no number."""
        if not _NUMBER.fullmatch(reply.to):
            raise Rejected(text("the recipient is not a telephone number"))
        folded = gsm.to_gsm7(reply.text)
        coding = 0 if self._fits_default(folded) else UCS2
        pieces = gsm.segments(folded, _HEADER_BYTES[self.long_messages]) or [""]
        common = {**self.fields, "destination_addr": reply.to.lstrip("+"), "data_coding": coding}
        if len(pieces) > 1 and self.long_messages == "payload":
            return [common | {"message_payload": self._encode(folded, coding)}]
        # The reference is made of the reply's id: on the telephone, a second attempt completes the parts of the first.
        reference = reply.id.int & 0xFFFF
        return [
            common | self._part(self._encode(piece, coding), reference, len(pieces), number)
            for number, piece in enumerate(pieces, 1)
        ]

    def _part(self, content: bytes, reference: int, total: int, number: int) -> dict[str, Field]:
        if total == 1:
            return {"short_message": content}
        if self.long_messages == "sar":
            return {
                "short_message": content,
                "sar_msg_ref_num": reference,
                "sar_total_segments": total,
                "sar_segment_seqnum": number,
            }
        wide = self.long_messages == "udh16"
        reference_octets = reference.to_bytes(2, "big") if wide else bytes([reference & 0xFF])
        value = reference_octets + bytes([total, number])
        element = bytes([0x08 if wide else 0x00, len(value)]) + value
        return {"esm_class": UDHI, "short_message": bytes([len(element)]) + element + content}

    def _fits_default(self, folded: str) -> bool:
        if not gsm.fits_gsm7(folded):  # the operator sends the default alphabet on to the telephone in GSM 7-bit
            return False
        try:
            # A part is cut by characters: with more octets than characters it would be too long.
            return self.default == "gsm7" or len(self._encode(folded, 0)) == len(folded)
        except UnicodeEncodeError:
            return False

    def _encode(self, piece: str, coding: int) -> bytes:
        if coding == UCS2:
            return piece.encode("utf-16-be", "replace")
        return gsm.encode(piece) if self.default == "gsm7" else piece.encode(self.default)


class Pace:
    """Limit the messages per second, for all threads together."""

    def __init__(self, per_second: float, patience: float, clock: Clock) -> None:
        """Prepare; a reply that would wait longer than `patience` seconds is refused."""
        self._step = 1 / per_second
        self._patience = patience
        self._clock = clock
        self._free_at = 0.0  # time of the clock
        self._lock = threading.Lock()

    def reserve(self, count: int) -> list[float]:
        """Return the seconds to wait from now for each of `count` messages; raises `Throttled` if that is too long."""
        with self._lock:
            now = self._clock.now()
            wait = max(0.0, self._free_at - now)
            if wait > self._patience:
                raise Throttled(text("more replies than tps allows"), retry_after=wait)
            self._free_at = now + wait + count * self._step
        return [wait + number * self._step for number in range(count)]
