"""Connections over TLS."""

from __future__ import annotations

import ssl
import struct
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from adapters.sms.smpp.tests.support import MemoryLine, RawOperator, Sending, a_reply, deliver, make, raw_session
from gateway.domain.errors import (
    Unavailable,
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a PEM file with key and certificate of 127.0.0.1."""
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "smsc.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + made.public_bytes(pem))
    return path


class TlsOperator(RawOperator):
    def __init__(self, certificate: Path) -> None:
        super().__init__()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)

    def accept(self) -> None:
        super().accept()
        self.connection = self._context.wrap_socket(self.connection, server_side=True)


def test_tls_both_ways_at_once(certificate):
    operator = TlsOperator(certificate)
    try:
        settings = {"tls": True, "tls_ca": str(certificate), "window": 50, "timeout": 5, "tps": 10000}
        with raw_session(operator, **settings) as (adapter, line):
            sendings = [Sending(adapter, a_reply(number=number)) for number in range(40)]
            waiting = {*range(1, 401)}
            for start in range(0, 400, 100):
                operator.connection.sendall(b"".join(deliver(b"x" * 150, start + n) for n in range(1, 101)))
            submitted = 0
            while waiting or submitted < 40:
                pdu = operator.read()
                if pdu[4:8] == b"\0\0\0\x04":
                    operator.answer(pdu, b"a\0")
                    submitted += 1
                else:
                    assert pdu[4:12] == struct.pack(">2I", 0x80000005, 0)
                    waiting.remove(int.from_bytes(pdu[12:16], "big"))
            assert all(sending.result() for sending in sendings)
            assert len(line.found) == 400
    finally:
        operator.close()


def test_a_stranger_is_not_spoken_to(certificate, tmp_path):
    operator = TlsOperator(certificate)

    def accept() -> None:
        with suppress(OSError):
            operator.accept()

    answering = threading.Thread(target=accept)
    answering.start()
    with pytest.raises(Unavailable, match="TLS"):
        make(port=operator.port, tls=True).listen(MemoryLine())
    answering.join()
    operator.close()
    with pytest.raises(Unavailable, match="tls_ca"):
        make(tls=True, tls_ca=str(tmp_path / "none.pem")).listen(MemoryLine())
