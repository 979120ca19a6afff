"""Build and read the simulated operator's PDUs; cut citizens' texts without regard to characters, as some operators do.

Source: SMPP 3.4, issue 1.2. It shares no code with the adapter: an independent reading of the document finds the
adapter's mistakes.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smpplib import smpp
from smpplib.exceptions import PDUError, UnknownCommandError
from smpplib.gsm import GSM_CHARACTER_TABLE, make_parts

GENERIC_NACK, BIND_RECEIVER, BIND_TRANSMITTER, SUBMIT_SM, DELIVER_SM = 0x80000000, 0x01, 0x02, 0x04, 0x05
UNBIND, BIND_TRANSCEIVER, ENQUIRE_LINK = 0x06, 0x09, 0x15
UDHI, RECEIPT = 0x40, 0x04
RECEIPTED_MESSAGE_ID, MESSAGE_STATE, DELIVERED = 0x001E, 0x0427, 2


def pdu(command: int, sequence: int, body: bytes = b"", status: int = 0) -> bytes:
    """Return a whole PDU."""
    return struct.pack(">4I", 16 + len(body), command, status, sequence) + body


def tlv(tag: int, value: bytes) -> bytes:
    """Return an optional parameter (tag, length, value)."""
    return struct.pack(">2H", tag, len(value)) + value


def deliver(
    source: str, destination: str, text: bytes, *, coding: int = 0, esm_class: int = 0, tlvs: bytes = b""
) -> bytes:
    """Return the body of a deliver_sm; a number with a plus is marked as international and sent without the plus."""
    return b"".join(
        [
            b"\0",
            _address(source),
            _address(destination),
            bytes([esm_class, 0, 0, 0, 0, 0, 0, coding, 0, len(text)]),
            text,
            tlvs,
        ]
    )


def _address(number: str) -> bytes:
    return bytes([1, 1] if number.startswith("+") else [0, 0]) + number.lstrip("+").encode("ascii") + b"\0"


def message(source: str, destination: str, text: str) -> list[bytes]:
    """Return the bodies of the deliver_sm that carry a text; they may cut escape pairs and surrogate pairs."""
    parts, coding, esm_class = make_parts(text)
    return [deliver(source, destination, part, coding=coding, esm_class=esm_class) for part in parts]


def receipt(source: str, destination: str, message_id: str) -> bytes:
    """Return the body of the deliver_sm that reports a message as delivered."""
    text = f"id:{message_id} sub:001 dlvrd:001 submit date:2601020304 done date:2601020304 stat:DELIVRD err:000 text:"
    tlvs = tlv(RECEIPTED_MESSAGE_ID, message_id.encode() + b"\0") + tlv(MESSAGE_STATE, bytes([DELIVERED]))
    return deliver(source, destination, text.encode("ascii"), esm_class=RECEIPT, tlvs=tlvs)


@dataclass(frozen=True, slots=True)
class Submitted:
    """A submit_sm: a whole text, or a part of one."""

    source: str
    destination: str
    coding: int
    content: bytes
    part: tuple[int, int, int] | None  # reference, total, number
    wants_receipt: bool

    def text(self, content: bytes) -> str:
        """Return the text of this message's bytes, or of the joined bytes of its parts."""
        return content.decode("utf-16-be") if self.coding == 8 else _gsm7(content)


def submitted(raw: bytes) -> Submitted:
    """Read a submit_sm; raises `ValueError` if the bytes are none."""
    try:
        request = smpp.parse_pdu(raw, sequence=0, allow_unknown_opt_params=True)
        content = bytes(request.short_message or request.message_payload or b"")
        part = None
        if request.esm_class & UDHI:
            header, content = content[1 : 1 + content[0]], content[1 + content[0] :]
            part = (int.from_bytes(header[2:-2], "big"), header[-2], header[-1])
        elif request.sar_total_segments:
            part = (request.sar_msg_ref_num, request.sar_total_segments, request.sar_segment_seqnum)
        return Submitted(
            source=request.source_addr.decode("ascii"),
            destination=("+" if request.dest_addr_ton == 1 else "") + request.destination_addr.decode("ascii"),
            coding=request.data_coding,
            content=content,
            part=part,
            wants_receipt=bool(request.registered_delivery & 1),
        )
    except (PDUError, UnknownCommandError, struct.error, IndexError, AttributeError, UnicodeDecodeError) as exc:
        raise ValueError(f"not a submit_sm: {type(exc).__name__}") from exc


def _gsm7(septets: bytes) -> str:
    text, escaped = [], False
    for code in septets:
        if code == 0x1B and not escaped:
            escaped = True
        else:
            text.append("§" if code == 0x5F and not escaped else GSM_CHARACTER_TABLE[code + 0x80 * escaped])
            escaped = False
    return "".join(text)


def strings(body: bytes, count: int) -> list[str]:
    """Return the first C strings of a body."""
    return [part.decode("latin-1") for part in body.split(b"\0")[:count]]


def pdus(connection: socket.socket, first: bytes) -> Iterator[bytes]:
    """Yield each whole PDU until the connection ends; `first` was read already. Raises `OSError` if it is cut."""
    buffer = first
    while True:
        while len(buffer) >= 16 and len(buffer) >= (length := int.from_bytes(buffer[:4], "big")):
            yield buffer[:length]
            buffer = buffer[length:]
        data = connection.recv(65536)
        if not data:
            return
        buffer += data


# The answer is JSON, and its form depends on the request: the texts of replies, or the fields of `Sent`.
def request(port: int, order: Mapping[str, str], timeout: float) -> list[Any]:
    """Send a request in JSON to the simulator on a port of this machine; return its answer. `timeout` is in seconds.

    Raises `OSError`, `ValueError` or `LookupError` if no simulator listens there.
    """
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        connection.sendall(json.dumps(order).encode() + b"\n")
        line = connection.makefile("rb").readline()
    return list(json.loads(line)["answer"])


def answer(line: bytes, connection: socket.socket, control: Callable[[Mapping[str, str]], Sequence[object]]) -> bytes:
    """Read a request to its end; return the line with the answer of `control`."""
    while not line.endswith(b"\n") and (more := connection.recv(65536)):
        line += more
    return json.dumps({"answer": control(json.loads(line))}).encode() + b"\n"
