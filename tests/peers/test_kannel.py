"""A real Kannel as aggregator, between an operator and our gateway: Debian's package, unpacked and not installed.

The operator is this test, which writes texts to Kannel's `fake` SMSC over TCP, and UCS-2 and parts to its `http` SMSC;
or the npm SMSC, which Kannel's SMPP client binds to.
"""

from __future__ import annotations

import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from foreign import Absent, absent
from foreign.gateway import ROOT, Programs, RunningGateway, free_ports, until
from foreign.kannel import Kannel, unpacked, with_sample
from foreign.smsc import PASSWORD as SMSC_PASSWORD
from foreign.smsc import NodeSmsc

from adapters.sms import gsm

SAMPLES = ROOT / "adapters" / "sms" / "http" / "samples"
TOKEN, PASSWORD = "kannel-token-for-tests", "kannel-password-for-tests"

pytestmark = pytest.mark.slow

FAKE = """
group = smsc
smsc = fake
smsc-id = OUT
port = {fake}
connect-allow-ip = 127.0.0.1

group = smsc
smsc = http
system-type = kannel
smsc-id = IN
allowed-smsc-id = NONE
port = {http}
smsc-username = operator
smsc-password = operator
send-url = "http://127.0.0.1:{admin}/nowhere"
"""

SMPP = """
group = smsc
smsc = smpp
smsc-id = OUT
host = 127.0.0.1
port = {smpp}
transceiver-mode = true
smsc-username = kannel
smsc-password = {password}
system-type = ""
interface-version = 34
reconnect-delay = 1
"""


class Chain:
    """Kannel and gateway in one folder, as the samples configure them; a subclass has the operator."""

    def __init__(self, folder: Path, package: Path, smsc: str, **more: int) -> None:
        gate, *ports = free_ports(4)
        given = dict(zip(("admin", "box", "sendsms"), ports, strict=True)) | more
        self.programs = Programs(folder)
        channel = (SAMPLES / "kannel.toml").read_text().replace(":13013/", f":{given['sendsms']}/")
        secrets = {"KANNEL_TOKEN": TOKEN, "KANNEL_PASSWORD": PASSWORD}
        self.gateway = RunningGateway(self.programs, channel, secrets, gate)
        # The sample as it is shipped, with this test's values, and with less patience between two attempts.
        changes = {
            "127.0.0.1:8080": f"127.0.0.1:{gate}",
            "token=TOKEN": f"token={TOKEN}",
            "password = PASSWORD": f"password = {PASSWORD}\nforced-smsc = OUT",
            "sendsms-port = 13013": f"sendsms-port = {given['sendsms']}\nbearerbox-port = {given['box']}",
            "http-queue-delay = 30": 'http-queue-delay = 1\nlog-file = "smsbox.log"\nlog-level = 0',
        }
        sample = with_sample((SAMPLES / "kannel.conf").read_text(), changes)
        self.kannel = Kannel(
            self.programs, package, given, smsc.format(**given, password=SMSC_PASSWORD) + "\n" + sample
        )

    def start(self) -> None:
        self.gateway.start()
        self.kannel.start()

    def close(self) -> None:
        self.programs.close()


class FakeChain(Chain):
    """The operator is this test."""

    def __init__(self, folder: Path, package: Path) -> None:
        self.fake, self.http = free_ports(2)
        super().__init__(folder, package, FAKE, fake=self.fake, http=self.http)
        self._phones: Any = None
        self.sent: list[str] = []  # what the operator was given for phones, as Kannel writes it

    def start(self) -> None:
        super().start()
        self._phones = until(self._connected, "the fake SMSC")
        threading.Thread(target=self._listen, args=(self._phones,), daemon=True).start()

    def close(self) -> None:
        super().close()
        if self._phones is not None:
            self._phones.close()

    def _connected(self) -> socket.socket | None:
        with suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", self.fake))
        return None

    def _listen(self, phones: socket.socket) -> None:
        with phones.makefile("rb") as lines:
            for line in lines:
                self.sent.append(line.decode("utf-8", "replace").rstrip("\n"))

    def text(self, sender: str, text: str) -> None:
        """Let a citizen write a plain text."""
        self._phones.sendall(f"{sender} 1708 text {text}\n".encode())

    def ucs2(self, sender: str, octets: bytes, header: bytes = b"") -> None:
        """Let a citizen write UTF-16, or a part of it with its user data header."""
        given = {"username": "operator", "password": "operator", "from": sender, "to": "1708", "coding": "2"}
        given |= {"text": octets, **({"udh": header} if header else {})}  # type: ignore[dict-item]
        assert requests.get(f"http://127.0.0.1:{self.http}/sms", given, timeout=10).status_code == 202

    def replies_to(self, number: str) -> list[str]:
        return [line for line in self.sent if line.split(" ")[1:2] == [number]]


class SmppChain(Chain):
    """The operator is the npm SMSC, to which Kannel binds."""

    def __init__(self, folder: Path, package: Path, modules: Path) -> None:
        self.smsc = NodeSmsc(modules)
        super().__init__(folder, package, SMPP, smpp=self.smsc.port)

    def start(self) -> None:
        super().start()
        self.smsc.wait("bound", timeout=30, right=True)
        until(lambda: "(online" in self.kannel.status(), "Kannel's bind")

    def close(self) -> None:
        super().close()
        self.smsc.close()

    def description(self, text: str) -> str:
        """Return the text of the one complaint with a text in its title; wait for it."""
        (complaint,) = until(lambda: self.gateway.with_text(text), f"the message with {text!r}", 12)
        return str(self.gateway.complaint(complaint["ticket"])["description"])


@pytest.fixture(scope="module")
def package(peers: Path) -> Path:
    try:
        unpacked(peers / "kannel")
    except Absent as exc:
        absent(exc)
    return peers / "kannel"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, package: Path) -> Iterator[FakeChain]:
    made = FakeChain(tmp_path_factory.mktemp("chain"), package)
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory, package: Path, modules: Path) -> Iterator[SmppChain]:
    made = SmppChain(tmp_path_factory.mktemp("router"), package, modules)
    try:
        made.start()
        yield made
    finally:
        made.close()


# --- what must hold ----------------------------------------------------------------------------------------------


def test_a_text_becomes_a_complaint_and_its_reply_is_reported(chain: FakeChain) -> None:
    chain.text("+6281200000041", "jalan  berlubang di depan pasar [dalam]")
    (reply,) = until(lambda: chain.replies_to("+6281200000041"), "the reply")
    ticket = re.search(r"No\. tiket: (\d{8})", reply)
    assert ticket, reply
    assert chain.gateway.complaint(ticket[1])["description"] == "jalan  berlubang di depan pasar [dalam]"
    until(lambda: chain.gateway.count("lapor_receipts_total", state="delivered"), "the receipt")
    with closing(sqlite3.connect(chain.programs.folder / "gateway.db")) as database:
        told = database.execute("SELECT delivery, outbox_id IS NULL FROM reference").fetchall()
    assert told == [("delivered", 0)], "the receipt must lead to the reply"


def test_a_long_text_with_emoji_arrives_whole(chain: FakeChain) -> None:
    """Kannel joins the parts, here backwards and with those of somebody else in between who uses the same number."""
    text = "Margi ing dhusun kula risak sanget 😭, jembatanipun ambrol 🌊. " * 7 + "Matur nuwun 🙏🏽"
    octets = {sender: text.replace("kula", name).encode("utf-16-be") for sender, name in SENDERS.items()}
    parts = {sender: [all_[at : at + 134] for at in range(0, len(all_), 134)] for sender, all_ in octets.items()}
    total = max(len(pieces) for pieces in parts.values())
    assert total >= 7
    for number in range(total, 0, -1):
        for sender, pieces in parts.items():
            if number <= len(pieces):
                chain.ucs2(sender, pieces[number - 1], bytes([5, 0, 3, 9, len(pieces), number]))
    for sender, name in SENDERS.items():
        (complaint,) = until(lambda name=name: chain.gateway.with_text(f"dhusun {name}"), f"the message of {sender}")
        assert chain.gateway.complaint(complaint["ticket"])["description"] == text.replace("kula", name)


SENDERS = {"+6281200000051": "kula", "+6281200000052": "panjenengan"}


def test_what_we_answer_503_comes_again_and_is_one_complaint(chain: FakeChain) -> None:
    with closing(sqlite3.connect(chain.programs.folder / "gateway.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        chain.text("+6281200000061", "lampu jalan mati sejak Senin")
        until(
            lambda: chain.gateway.count("lapor_refused_total", reason="overloaded") >= 2,
            "our 503, and Kannel's second attempt",
        )
        database.execute("ROLLBACK")
    until(lambda: chain.replies_to("+6281200000061"), "the reply")
    assert len(chain.gateway.with_text("sejak Senin")) == 1
    assert len(chain.replies_to("+6281200000061")) == 1


def test_what_came_while_the_gateway_was_down_is_not_lost(chain: FakeChain) -> None:
    chain.gateway.stop()
    for number in range(5):
        chain.text(f"+628120000007{number}", f"air mati sudah {number} hari")
    time.sleep(3)  # attempts that fail: more than the default of none would survive
    chain.gateway.start()
    for number in range(5):
        until(lambda number=number: chain.replies_to(f"+628120000007{number}"), f"reply {number}")
        assert len(chain.gateway.with_text(f"mati sudah {number} hari")) == 1


# --- Kannel as router behind an SMSC -----------------------------------------------------------------------------

JAWA = "Margi ing dhusun kula risak sanget 😭, jembatanipun ambrol 🌊. " * 7 + "Matur nuwun 🙏🏽"
JALAN = "Lampu jalan {mati} di Jl. Sudirman [depan SD 2], sudah seminggu gelap; ganti €5? ~ " * 4


def test_from_the_smsc_to_us_and_back(router: SmppChain) -> None:
    router.smsc.send("jembatan putus di Pagelaran", sender="+6281200000081", tag="a")
    assert router.smsc.answers(1, "a") == [0]
    reply = router.smsc.wait("submitted", timeout=30, to="6281200000081")
    ticket = re.search(r"No\. tiket: (\d{8})", reply["text"])
    assert ticket, reply
    assert router.gateway.complaint(ticket[1])["description"] == "jembatan putus di Pagelaran"
    assert router.smsc.wait("receipted")["status"] == 0
    until(lambda: router.gateway.count("lapor_receipts_total", state="delivered"), "the receipt")
    with closing(sqlite3.connect(router.programs.folder / "gateway.db")) as database:
        told = database.execute("SELECT delivery, outbox_id IS NULL FROM reference").fetchall()
    assert told == [("delivered", 0)], "the receipt must lead to the reply"


@pytest.mark.parametrize(
    ("form", "coding", "text", "size"),
    [
        ("udh8", 0, JALAN, 153),
        ("udh16", 0, JALAN, 152),
        ("udh8", 8, JAWA, 134),
        ("udh16", 8, JAWA, 132),
        ("sar", 8, JAWA, 134),
        ("sar", 0, JALAN, 153),
        ("payload", 8, JAWA, None),
    ],
)
def test_long_messages_from_the_smsc(router, form, coding, text, size) -> None:
    word = f"{form}-{coding}"
    text = f"{word} {text.strip()}"
    count = 1 if size is None else -(-len(text.encode("utf-16-be") if coding else gsm.encode(text)) // size)
    router.smsc.send(text, tag=word, sender=f"+6281200082{len(form)}{coding}{count:02}", form=form, coding=coding, size=size, reference=len(word) * 7,
                     order=list(range(count, 0, -1)))  # fmt: skip
    assert router.smsc.answers(count, word) == [0] * count
    assert router.description(word) == text


def test_a_missing_part_is_flagged(router: SmppChain) -> None:
    """Kannel gives up and hands over what it has, part by part, with their headers: we join what there is."""
    text = "tanpa bagian kedua " + JAWA
    count = -(-len(text.encode("utf-16-be")) // 134)
    rest = [1, *range(3, count + 1)]
    router.smsc.send(text, tag="c", sender="+6281200000089", form="udh8", coding=8, size=134, reference=99, order=rest)
    assert router.smsc.answers(count - 1, "c") == [0] * (count - 1)
    found = until(lambda: router.gateway.with_text("tanpa bagian"), "the incomplete message", 60)
    assert len(found) == 1
    said = router.gateway.complaint(found[0]["ticket"])["description"]
    assert f"bagian 2 dari {count} tidak diterima" in said
    router.smsc.send(text, tag="d", sender="+6281200000089", form="udh8", coding=8, size=134, reference=99, order=[2])
    until(lambda: router.gateway.complaint(found[0]["ticket"])["description"] == text, "the late part", 60)


def test_no_number_and_no_secret_is_in_our_log(chain: FakeChain, router: SmppChain) -> None:
    for log in (chain.gateway.log, router.gateway.log):
        assert "acknowledged" in log
        assert not re.search(r"81200000\d|for-tests", log)
