"""What we send over SMPP: a reply cut into submit_sm, how fast, and what the operator's refusals mean.

Source: SMPP 3.4, issue 1.2, sections 4.4 (submit_sm), 5.1.3 (command_status) and 5.3.2 (TLVs); 3GPP TS 23.040, section
9.2.3.24, for the header of a long message's parts.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from typing import Any

from adapters.sms import gsm
from adapters.sms.smpp.pdu import UDHI
from adapters.sms.smpp.settings import DefaultAlphabet, LongMessages
from gateway.domain.errors import GatewayError, Rejected, Throttled, Unavailable
from gateway.ports import Reply

UCS2 = 8
_NUMBER = re.compile(r"\+?[0-9]{3,20}")
_HEADER_BYTES = {"udh16": 7, "udh8": 6, "sar": 7, "payload": 7}  # the operator makes one too where we do not

_BUSY = {0x14: "the operator's queue is full", 0x58: "the operator asks for fewer messages"}
_FINAL = {
    0x01: "the message is too long",
    0x0B: "the recipient's number is wrong",
    0x65: "refused for good",
    0x66: "refused",
}
# What somebody can put right, here or at the operator's: the reply must live until they have.
_FIXABLE = {
    0x03: "this operator takes no submit_sm",
    0x04: "the session may not send; see bind_mode",
    0x0A: "sender is not a number of this account",
    0x15: "service_type is wrong",
    0x43: "this form of long messages is not taken; see long_messages",
    0x48: "sender_ton is wrong",
    0x49: "sender_npi is wrong",
    0x50: "recipient_ton is wrong",
    0x51: "recipient_npi is wrong",
    0xC0: "this form of long messages is not taken; see long_messages",
    0xC1: "this form of long messages is not taken; see long_messages",
}
_BIND_REFUSED = {
    0x05: "the account is bound already, by another program or a session that the operator has not given up yet",
    0x0D: "the operator says no more; is our address on its list?",
    0x0E: "password is wrong",
    0x0F: "system_id is wrong",
    0x53: "system_type is wrong",
}


def refusal(status: int) -> GatewayError:
    """Return the error for the status of a submit_sm_resp. One that nobody knows may pass: it is tried again."""
    said = f"operator error {status:#04x}"
    if status in _BUSY:
        return Throttled(f"{said}: {_BUSY[status]}")
    if status in _FINAL:
        return Rejected(f"{said}: {_FINAL[status]}")
    return Unavailable(f"{said}: {_FIXABLE[status]}" if status in _FIXABLE else said)


def bind_refusal(status: int) -> Unavailable:
    """Return the error for the status of a bind response."""
    said = f"the operator refused the bind, error {status:#04x}"
    return Unavailable(f"{said}: {_BIND_REFUSED[status]}" if status in _BIND_REFUSED else said)


class Composer:
    """Makes the submit_sm of a reply."""

    def __init__(self, fields: Mapping[str, Any], *, default: DefaultAlphabet, long_messages: LongMessages) -> None:
        """`fields` are those that every submit_sm has."""
        self._fields, self._default, self._long = fields, default, long_messages

    def parts(self, text: str) -> int:
        """Return how many parts are billed."""
        return gsm.parts(gsm.to_gsm7(text), _HEADER_BYTES[self._long])

    def compose(self, reply: Reply) -> list[dict[str, Any]]:
        """Return the fields of each submit_sm; raises `Rejected` where the address is no number."""
        if not _NUMBER.fullmatch(reply.to):
            raise Rejected("the recipient is not a telephone number")
        text = gsm.to_gsm7(reply.text)
        coding = 0 if self._fits_default(text) else UCS2
        pieces = gsm.segments(text, _HEADER_BYTES[self._long]) or [""]
        common = {**self._fields, "destination_addr": reply.to.lstrip("+"), "data_coding": coding}
        if len(pieces) > 1 and self._long == "payload":
            return [common | {"message_payload": self._encode(text, coding)}]
        # From the reply's id: a second attempt completes on the telephone what the first one began.
        reference = reply.id.int & 0xFFFF
        return [
            common | self._part(self._encode(piece, coding), reference, len(pieces), number)
            for number, piece in enumerate(pieces, 1)
        ]

    def _part(self, text: bytes, reference: int, total: int, number: int) -> dict[str, Any]:
        if total == 1:
            return {"short_message": text}
        if self._long == "sar":
            sar = {"sar_msg_ref_num": reference, "sar_total_segments": total, "sar_segment_seqnum": number}
            return {"short_message": text, **sar}
        wide = self._long == "udh16"
        which = reference.to_bytes(2, "big") if wide else bytes([reference & 0xFF])
        element = bytes([0x08 if wide else 0x00, len(which) + 2]) + which + bytes([total, number])
        return {"esm_class": UDHI, "short_message": bytes([len(element)]) + element + text}

    def _fits_default(self, text: str) -> bool:
        if not gsm.fits_gsm7(text):  # on the air it is GSM 7-bit, whatever the operator takes from us
            return False
        try:
            return self._default == "gsm7" or len(self._encode(text, 0)) == len(text)  # longer would not fit its part
        except UnicodeEncodeError:
            return False

    def _encode(self, text: str, coding: int) -> bytes:
        if coding == UCS2:
            return text.encode("utf-16-be", "replace")
        return gsm.encode(text) if self._default == "gsm7" else text.encode(self._default)


class Pace:
    """At most so many messages a second, for all threads together."""

    def __init__(self, per_second: float, patience: float) -> None:
        """Make it; nobody waits longer than `patience` seconds for a turn."""
        self._step, self._patience = 1 / per_second, patience
        self._free_at = 0.0  # on the monotonic clock
        self._lock = threading.Lock()

    def reserve(self, count: int) -> list[float]:
        """Return for each of `count` messages how many seconds to wait for it from now; raises `Throttled`."""
        with self._lock:
            now = time.monotonic()
            wait = max(0.0, self._free_at - now)
            if wait > self._patience:
                raise Throttled("more replies than tps allows", retry_after=wait)
            self._free_at = now + wait + count * self._step
        return [wait + number * self._step for number in range(count)]
