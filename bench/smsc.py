"""Make the load over SMPP: an SMSC on one connection with 64 unanswered deliver_sm, whose PDUs are made beforehand."""

from __future__ import annotations

import socket
import struct
import time

from load import TEXT

WINDOW = 64
PASSWORD = "bench"  # noqa: S105  opens nothing
PASSWORD_IN = "LAPOR_BENCH_SMPP"  # noqa: S105  the variable that holds it
_HEADER = struct.Struct(">4I")
_BIND, _UNBIND, _DELIVER, _ENQUIRE, _RESPONSE = 0x09, 0x06, 0x05, 0x15, 0x80000000
_ANSWER = 17  # bytes of a deliver_sm_resp: the header and an empty message_id
_PATIENCE = 30  # seconds


class Smsc:
    """Play an operator's SMSC on this machine, for one gateway."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(_PATIENCE)
        self._gateway = socket.socket()
        self._run = 0

    @property
    def channel(self) -> str:
        """Return the channel's table for a region file."""
        return (
            '\n[channels.operator]\nadapter = "sms.smpp"\nhost = "127.0.0.1"\nsystem_id = "bench"\nsender = "1709"\nenquire_every = 600\n'
            f'port = {self._listening.getsockname()[1]}\npassword = {{ env = "{PASSWORD_IN}" }}\n'
        )

    def wait_bound(self) -> None:
        """Wait until the gateway connects, and accept its bind."""
        self._gateway, _ = self._listening.accept()
        self._gateway.settimeout(_PATIENCE)
        self._gateway.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _, command, _, sequence = _HEADER.unpack_from(self._gateway.recv(4096))
        if command != _BIND:
            raise SystemExit(f"the gateway began with command {command:#x} instead of a bind")
        self._gateway.sendall(_HEADER.pack(21, command | _RESPONSE, 0, sequence) + b"SMSC\0")

    def messages(self, count: int) -> bytes:
        """Return so many deliver_sm in one piece, all of the same length, each with another sender."""
        self._run += 1
        text = TEXT[:150].encode("ascii")
        pdus = []
        for number in range(count):
            sender = b"62812%02d%07d" % (self._run % 100, number)
            body = b"\0\1\1" + sender + b"\0\0\0" + b"1709\0" + bytes(9) + bytes([len(text)]) + text
            pdus.append(_HEADER.pack(_HEADER.size + len(body), _DELIVER, 0, number + 1) + body)
        return b"".join(pdus)

    def play(self, messages: bytes, seconds: float) -> tuple[int, float]:
        """Deliver for so many seconds, with at most 64 unanswered; return the number of messages and the seconds."""
        length = int.from_bytes(messages[:4], "big")
        waiting, view = b"", memoryview(messages)
        began = time.monotonic()
        end, sent, answered = began + seconds, 0, 0
        while True:
            more = WINDOW - (sent - answered) if time.monotonic() < end else 0
            if more:
                if (sent + more) * length > len(view):
                    raise SystemExit("the gateway took more messages than had been made")
                self._gateway.sendall(view[sent * length : (sent + more) * length])
                sent += more
            if answered == sent:
                return answered, time.monotonic() - began
            waiting += self._gateway.recv(65_536)
            whole = len(waiting) // _ANSWER * _ANSWER
            _check(waiting[:whole])
            answered, waiting = answered + whole // _ANSWER, waiting[whole:]

    def close(self) -> None:
        """Answer the gateway's unbind, and close."""
        while data := self._gateway.recv(4096):
            _, command, _, sequence = _HEADER.unpack_from(data)
            if command in (_UNBIND, _ENQUIRE):
                self._gateway.sendall(_HEADER.pack(_HEADER.size, command | _RESPONSE, 0, sequence))
        self._gateway.close()
        self._listening.close()


def _check(answers: bytes) -> None:
    """End the benchmark if an answer is not a deliver_sm_resp with status 0."""
    for start in range(4, 12):  # the same byte of all answers at once: a loop over the answers would be the load
        wanted = (_DELIVER | _RESPONSE).to_bytes(4, "big") + bytes(4)
        if answers[start::_ANSWER].strip(wanted[start - 4 : start - 3]):
            raise SystemExit("the gateway answered something else than 0 to a deliver_sm")
