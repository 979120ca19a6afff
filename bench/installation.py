"""Set up a gateway to measure: its configuration, its processes, its databases."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from load import signed_requests

from gateway.storage.crypto import Keyring, parse_key

ROOT = Path(__file__).resolve().parent.parent
ACCOUNT = "AC" + "0" * 28 + "1708"
TOKEN = "bench-token-of-the-simulated-account"  # noqa: S105  opens nothing
SENDER = "1708"


class Site:
    """Hold one configured gateway; its processes are started and ended as an operator does it."""

    def __init__(self, database_url: str | None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lapor-site-"))
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.path = "/in/00/sms"
        shutil.copytree(ROOT / "config", self.folder / "config", ignore=shutil.ignore_patterns("schema"))
        gateway = (self.folder / "config" / "gateway.toml").read_text()
        gateway = gateway.replace("http://127.0.0.1:8080", self.base).replace("port = 8080", f"port = {self.port}")
        if database_url:
            gateway = gateway.replace('url = "sqlite:///var/gateway.db"', f'url = "{database_url}"')
        gateway += '\n[logging]\nformat = "json"\n'
        (self.folder / "config" / "gateway.toml").write_text(gateway)
        for path in (self.folder / "config" / "regions").glob("*.toml"):
            if not path.name.startswith("00-"):  # one channel is measured, and nothing polls beside it
                path.write_text(re.sub(r"(?m)^\[channels\b[^\n]*\n(?:(?!\[).*\n?)*", "", path.read_text()))
        self._running: list[subprocess.Popen[bytes]] = []
        self.run("init")
        (self.folder / "var" / "keys" / "twilio-auth-token").write_text(TOKEN)
        self.run("migrate")

    @property
    def sqlite(self) -> Path:
        """Return the file of the embedded database."""
        return self.folder / "var" / "gateway.db"

    @property
    def fingerprint(self) -> bytes:
        """Return the first bytes of every value that this site encrypts."""
        key = parse_key((self.folder / "var" / "keys" / "storage-1").read_text().strip())
        return Keyring([key], key).encrypt(b"", b"")[:4]

    def requests(self, count: int) -> list[bytes]:
        """Return so many webhooks that this site accepts, each with its own message and sender."""
        return signed_requests(
            count,
            host=f"127.0.0.1:{self.port}",
            path=self.path,
            url=self.base + self.path,
            token=TOKEN,
            account=ACCOUNT,
            to=SENDER,
        )

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, str(ROOT / "run_gateway.py"), "--config", str(self.folder / "config"), *words]

    def run(self, *words: str) -> str:
        """Run a command to its end and return its output."""
        return subprocess.run(self._command(*words), capture_output=True, text=True, check=True).stdout

    def start(self, *words: str, listens: bool = True) -> subprocess.Popen[bytes]:
        """Start a process; if it listens, wait until it is ready."""
        log = (self.folder / f"{words[0]}-{len(self._running)}.log").open("wb")
        process = subprocess.Popen(self._command(*words), stdout=log, stderr=log, env=os.environ)
        self._running.append(process)
        if listens:
            wait_until(self._ready, 30, f"{words[0]} to be ready; see {log.name}")
        return process

    def add_channel(self, text: str) -> None:
        """Add a channel to the national region; `text` is its table."""
        with (self.folder / "config" / "regions" / "00-nasional.toml").open("a") as region:
            region.write(text)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.base}/health/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def end(self) -> None:
        """Ask all processes to end, without waiting."""
        for process in self._running:
            process.terminate()

    def stop(self) -> None:
        """End all processes and wait for them."""
        self.end()
        for process in self._running:
            process.wait(40)
        self._running.clear()

    def close(self) -> None:
        """End all processes and remove the files."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def wait_until(condition: Callable[[], bool], seconds: float, description: str) -> None:
    """Wait until a condition is true; end the benchmark if that takes longer than so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {seconds:g} s in vain for {description}")
        time.sleep(0.02)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def resident_mib(pid: int) -> float:
    """Return a process's resident memory in MiB, as the kernel counts it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this system does not report resident memory")
