"""Connections over TLS."""

from __future__ import annotations

import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.sms.smpp.tests.support import MemoryLine, RawOperator, Sending, a_reply, deliver, make, raw_session
from gateway.domain.errors import Unavailable


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a PEM file with key and certificate of 127.0.0.1."""
    key, name, now = ec.generate_private_key(ec.SECP256R1()), x509.Name([]), datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "smsc.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + signed.public_bytes(pem))
    return path


class TlsOperator(RawOperator):
    def __init__(self, certificate: Path) -> None:
        super().__init__()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)

    def accept(self) -> None:
        super().accept()
        self.connection = self._context.wrap_socket(self.connection, server_side=True)


@pytest.fixture
def tls_operator(certificate: Path) -> Iterator[TlsOperator]:
    operator = TlsOperator(certificate)
    yield operator
    operator.close()


def test_tls_both_ways_at_once(certificate: Path, tls_operator: TlsOperator) -> None:
    replies, messages = 40, 400
    settings = {"tls": True, "tls_ca": str(certificate), "window": 50, "timeout": 5, "tps": 10000}
    with raw_session(tls_operator, **settings) as (adapter, line):
        sendings = [Sending(adapter, a_reply(number=number)) for number in range(replies)]
        for start in range(0, messages, 100):
            tls_operator.connection.sendall(b"".join(deliver(b"x" * 150, start + n) for n in range(1, 101)))
        answers: list[bytes] = []
        for _ in range(replies + messages):
            pdu = tls_operator.read()
            if pdu[4:8] == b"\0\0\0\x04":
                tls_operator.answer(pdu, b"a\0")
            else:
                answers.append(pdu)
        assert {answer[4:12] for answer in answers} == {struct.pack(">2I", 0x80000005, 0)}
        assert sorted(int.from_bytes(answer[12:16], "big") for answer in answers) == [*range(1, messages + 1)]
        assert [sending.result().external_id for sending in sendings] == ["a"] * replies
        assert len(line.messages) == messages


def test_an_operator_with_an_unknown_certificate_is_refused(tls_operator: TlsOperator) -> None:
    def accept() -> None:
        with suppress(OSError):
            tls_operator.accept()

    answering = threading.Thread(target=accept)
    answering.start()
    with pytest.raises(Unavailable, match="TLS"):
        make(port=tls_operator.port, tls=True).listen(MemoryLine())
    answering.join()


def test_a_certification_authority_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="tls_ca"):
        make(tls=True, tls_ca=str(tmp_path / "none.pem")).listen(MemoryLine())
