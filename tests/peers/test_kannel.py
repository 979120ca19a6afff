"""A real Kannel as aggregator: Debian's package, unpacked and not installed, between an operator and our gateway.

The operator is this test: it writes texts to Kannel's `fake` SMSC over TCP, and UCS-2 and parts to its `http` SMSC.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.crypto import new_key

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples" / "sms-http"
REQUIRE = "LAPOR_TEST_REQUIRE_PEERS"  # set in CI: a peer that cannot be had is then a failure, never a quiet skip
CACHE = "LAPOR_TEST_PEERS"  # a folder that keeps unpacked peers from run to run
TOKEN, PASSWORD, API = "kannel-token-for-tests", "kannel-password-for-tests", "api-token-for-tests"

pytestmark = pytest.mark.slow

SMSC = """
group = core
admin-port = {admin}
admin-password = admin
admin-interface = 127.0.0.1
smsbox-port = {box}
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
log-file = "bearerbox.log"
log-level = 0
store-type = file
store-location = "store"

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


# --- the package -------------------------------------------------------------------------------------------------


class Absent(Exception):
    """The peer cannot be had here."""


def unpacked(folder: Path) -> dict[str, str]:
    """Return the environment in which `folder`'s Kannel runs; it is fetched and unpacked if need be."""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise Absent("apt-get and dpkg are not here: this is no Debian")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "usr/sbin/smsbox").exists():
        _fetch(folder, "kannel")
    if _lacking(folder):
        listed = _run(["apt-cache", "depends", "kannel"], folder)
        _fetch(folder, *(set(re.findall(r"Depends: (lib\S+)", listed)) - {"libc6"}))
    if lacking := _lacking(folder):
        raise Absent(f"Kannel lacks {', '.join(lacking)}")
    return _environment(folder)


def _fetch(folder: Path, *packages: str) -> None:
    _run(["apt-get", "download", *packages], folder)
    for package in folder.glob("*.deb"):
        _run(["dpkg", "-x", str(package), str(folder)], folder)


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=100)
    if done.returncode:
        raise Absent(f"{' '.join(command[:2])}: {done.stderr.strip()[-300:]}")
    return done.stdout


def _environment(folder: Path) -> dict[str, str]:
    libraries = ":".join(str(path) for pattern in ("lib/*", "usr/lib/*") for path in folder.glob(pattern))
    return {**os.environ, "LD_LIBRARY_PATH": libraries}


def _lacking(folder: Path) -> list[str]:
    command = ["ldd", str(folder / "usr/sbin/bearerbox"), str(folder / "usr/sbin/smsbox")]
    told = subprocess.run(command, env=_environment(folder), capture_output=True, text=True, check=True).stdout
    return sorted(set(re.findall(r"(\S+) => not found", told)))


# --- the three programs ------------------------------------------------------------------------------------------


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def until(question: Callable[[], Any], what: str, timeout: float = 30) -> Any:
    deadline = time.monotonic() + timeout
    while not (answer := question()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} seconds"
        time.sleep(0.05)
    return answer


def listening(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Chain:
    """Operator, Kannel and gateway in one folder."""

    def __init__(self, folder: Path, package: Path, environment: dict[str, str]) -> None:
        self.folder, self._package, self._environment = folder, package, environment
        self.gate, self.admin, self.box, self.fake, self.http, self.sendsms = free_ports(6)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._phones: Any = None
        self.sent: list[str] = []  # what the operator was given for phones, as Kannel writes it
        self._configure()

    def _configure(self) -> None:
        (self.folder / "config" / "regions").mkdir(parents=True)
        for name, secret in (("storage", new_key()), ("lookup", new_key()), ("api", API)):
            (self.folder / name).write_text(secret)
        (self.folder / "config" / "gateway.toml").write_text(
            f'[server]\npublic_url = "http://127.0.0.1:{self.gate}"\nport = {self.gate}\ncommit_timeout = 1\n'
            '[database]\nurl = "sqlite:///gateway.db"\n[api]\ntoken = { file = "api" }\n'
            '[encryption]\nkeys = [{ file = "storage" }]\nlookup_key = { file = "lookup" }\n'
            '[work]\nretry_base = 0.2\nretry_cap = 1\n[logging]\nformat = "json"\nlevel = "debug"\n'
        )
        channel = (EXAMPLES / "kannel.toml").read_text().replace(":13013/", f":{self.sendsms}/")
        (self.folder / "config" / "regions" / "18.10-pringsewu.toml").write_text(channel)
        # The sample as it is shipped, with this test's values, and with less patience between two attempts.
        ours = (EXAMPLES / "kannel.conf").read_text()
        for old, new in (
            ("127.0.0.1:8080", f"127.0.0.1:{self.gate}"),
            ("token=TOKEN", f"token={TOKEN}"),
            ("password = PASSWORD", f"password = {PASSWORD}\nforced-smsc = OUT"),
            ("sendsms-port = 13013", f"sendsms-port = {self.sendsms}\nbearerbox-port = {self.box}"),
            ("http-queue-delay = 30", 'http-queue-delay = 1\nlog-file = "smsbox.log"\nlog-level = 0'),
        ):
            assert old in ours, f"kannel.conf has no {old!r}"
            ours = ours.replace(old, new)
        ports = {"admin": self.admin, "box": self.box, "fake": self.fake, "http": self.http}
        (self.folder / "kannel.conf").write_text(SMSC.format(**ports) + "\n" + ours)

    def start_gateway(self) -> None:
        secrets = {"KANNEL_TOKEN": TOKEN, "KANNEL_PASSWORD": PASSWORD}
        command = [sys.executable, str(ROOT / "run_gateway.py"), "--config", str(self.folder / "config"), "serve"]
        self._start("gateway", command, {**os.environ, **secrets}, self.gate)

    def start_kannel(self) -> None:
        for name, port in (("bearerbox", self.admin), ("smsbox", self.sendsms)):
            self._start(name, [str(self._package / "usr/sbin" / name), "kannel.conf"], self._environment, port)
        status = f"http://127.0.0.1:{self.admin}/status.txt?password=admin"
        until(lambda: "smsbox" in requests.get(status, timeout=5).text.partition("Box connections")[2], "smsbox")
        self._phones = until(self._connected, "the fake SMSC")
        threading.Thread(target=self._listen, args=(self._phones,), daemon=True).start()

    def _connected(self) -> socket.socket | None:
        with suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", self.fake))
        return None

    def _listen(self, phones: socket.socket) -> None:
        with phones.makefile("rb") as lines:
            for line in lines:
                self.sent.append(line.decode("utf-8", "replace").rstrip("\n"))

    def _start(self, name: str, command: list[str], environment: dict[str, str], port: int) -> None:
        with (self.folder / f"{name}.out").open("ab") as out:
            self.running[name] = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=out, stderr=out)
        until(lambda: listening(port) or self.running[name].poll() is not None, name)
        assert self.running[name].poll() is None, f"{name} ended: " + (self.folder / f"{name}.out").read_text()[-2000:]

    def stop(self, name: str) -> None:
        process = self.running.pop(name)
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        for name in reversed(list(self.running)):
            self.stop(name)
        if self._phones is not None:
            self._phones.close()

    # --- the operator ---

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

    # --- the gateway ---

    def complaint(self, ticket: str) -> dict[str, Any]:
        return self._ask(f"/{ticket}")

    def with_text(self, text: str) -> list[dict[str, Any]]:
        """Return the newest complaints with a text in their title."""
        return [complaint for complaint in self._ask("?limit=200")["complaints"] if text in complaint["title"]]

    def _ask(self, rest: str) -> dict[str, Any]:
        address = f"http://127.0.0.1:{self.gate}/api/v1/complaints{rest}"
        answer = requests.get(address, headers={"Authorization": f"Bearer {API}"}, timeout=10)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def count(self, name: str, **labels: str) -> float:
        """Return a metric of the gateway."""
        page = requests.get(f"http://127.0.0.1:{self.gate}/metrics", timeout=10).text
        lines = [line for line in page.splitlines() if line.startswith(name)]
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in lines
            if all(f'{label}="{value}"' in line for label, value in labels.items())
        )


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    package = Path(os.environ.get(CACHE) or tmp_path_factory.mktemp("peers")) / "kannel"
    try:
        environment = unpacked(package)
    except (Absent, subprocess.SubprocessError) as exc:
        if os.environ.get(REQUIRE):
            pytest.fail(f"{REQUIRE} is set, but {exc}")
        pytest.skip(f"no Kannel: {exc}")
    made = Chain(tmp_path_factory.mktemp("chain"), package, environment)
    try:
        made.start_gateway()
        made.start_kannel()
        yield made
    finally:
        made.close()


# --- what must hold ----------------------------------------------------------------------------------------------


def test_a_text_becomes_a_complaint_and_its_reply_is_reported(chain: Chain) -> None:
    chain.text("+6281200000041", "jalan  berlubang di depan pasar [dalam]")
    (reply,) = until(lambda: chain.replies_to("+6281200000041"), "the reply")
    ticket = re.search(r"No\. tiket: (\d{8})", reply)
    assert ticket, reply
    assert chain.complaint(ticket[1])["description"] == "jalan  berlubang di depan pasar [dalam]"
    until(lambda: chain.count("lapor_receipts_total", state="delivered"), "the receipt")
    with closing(sqlite3.connect(chain.folder / "gateway.db")) as database:
        told = database.execute("SELECT delivery, outbox_id IS NULL FROM reference").fetchall()
    assert told == [("delivered", 0)], "the receipt must lead to the reply"


def test_a_long_text_with_emoji_arrives_whole(chain: Chain) -> None:
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
        (complaint,) = until(lambda name=name: chain.with_text(f"dhusun {name}"), f"the message of {sender}")
        assert chain.complaint(complaint["ticket"])["description"] == text.replace("kula", name)


SENDERS = {"+6281200000051": "kula", "+6281200000052": "panjenengan"}


def test_what_we_answer_503_comes_again_and_is_one_complaint(chain: Chain) -> None:
    with closing(sqlite3.connect(chain.folder / "gateway.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        chain.text("+6281200000061", "lampu jalan mati sejak Senin")
        until(
            lambda: chain.count("lapor_refused_total", reason="overloaded") >= 2, "our 503, and Kannel's second attempt"
        )
        database.execute("ROLLBACK")
    until(lambda: chain.replies_to("+6281200000061"), "the reply")
    assert len(chain.with_text("sejak Senin")) == 1
    assert len(chain.replies_to("+6281200000061")) == 1


def test_what_came_while_the_gateway_was_down_is_not_lost(chain: Chain) -> None:
    chain.stop("gateway")
    for number in range(5):
        chain.text(f"+628120000007{number}", f"air mati sudah {number} hari")
    time.sleep(3)  # attempts that fail: more than the default of none would survive
    chain.start_gateway()
    for number in range(5):
        until(lambda number=number: chain.replies_to(f"+628120000007{number}"), f"reply {number}")
        assert len(chain.with_text(f"mati sudah {number} hari")) == 1


def test_no_number_and_no_secret_is_in_our_log(chain: Chain) -> None:
    log = (chain.folder / "gateway.out").read_text()
    assert "acknowledged" in log
    assert not re.search(r"81200000\d|for-tests", log)
