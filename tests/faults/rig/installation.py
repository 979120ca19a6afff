"""A gateway installed in a folder: its configuration, its simulated provider, and its processes, which may be killed."""

from __future__ import annotations

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import psutil

from adapters.sms.twilio.simulator import FakeTwilio
from gateway.storage.crypto import new_key

ROOT = Path(__file__).resolve().parents[3]
NUMBER = "1708"
ACCOUNT = "AC" + "0" * 28 + "1708"
TOKEN = "a-token-that-only-the-simulator-knows"

WORK = {
    "batch": 100,
    "lease": 1.5,
    "idle": 0.1,
    "retry_base": 0.2,
    "retry_cap": 1,
    "reply_threads": 4,
    "reply_lease": 3,
}
SERVER = {"commit_timeout": 5, "shutdown_timeout": 10}
CHANNEL = {"receipts": False, "timeout": 5}


class Program:
    """One role, `web`, `work` or `serve`; started, killed and started again, all into one log."""

    def __init__(self, role: str, command: Sequence[str], log: Path, port: int | None) -> None:
        self.role, self.log, self._command, self._port = role, log, list(command), port
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    @property
    def pid(self) -> int:
        """The process id; raises where it was never started."""
        assert self._process is not None, f"{self.role} was never started"
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def up(self) -> bool:
        """Whether it does its work: answers, or has started its stages."""
        if not self.alive:
            return False
        if self._port is None:
            return psutil.Process(self.pid).num_threads() > 1
        return get(self._port, "/health/live")[0] == 200

    def start(self, *, wait: bool = True) -> Self:
        """Start it; `wait` until it is up."""
        self.starts += 1
        with self.log.open("ab") as log:
            log.write(f"--- {self.role}, start {self.starts}\n".encode())
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment()
            )
        if wait:
            self.wait_up()
        return self

    def wait_up(self) -> None:
        """Wait until it does its work; fails at once where it ended."""
        until(lambda: self.up or not self.alive, 60, f"{self.role} to be up")
        assert self.alive, f"{self.role} ended by itself with {self._process and self._process.returncode}"

    def signal(self, number: int) -> None:
        """Send a signal; one that ended already gets none."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def wait(self, seconds: float) -> int:
        """Wait for its end and return its exit code; raises `TimeoutExpired`."""
        assert self._process is not None
        return self._process.wait(seconds)


class Installation:
    """Everything one test runs. Use it as a context manager: what it started, it ends."""

    secret = TOKEN  # that we share with the provider

    def __init__(
        self,
        folder: Path,
        database_url: str,
        *,
        central_url: str | None = None,
        work: dict[str, Any] | None = None,
        server: dict[str, Any] | None = None,
        channel: dict[str, Any] | None = None,
        conversation: dict[str, Any] | None = None,
        prefix: Sequence[str] = (),
        logs: Path | None = None,
    ) -> None:
        """Write the configuration and start the provider; `prefix` stands before every command line."""
        self.folder, self.database_url, self.central_url = folder, database_url, central_url or database_url
        self._prefix, self._logs = list(prefix), logs or folder
        self.port = free_port()
        self.programs: dict[str, Program] = {}
        self._start_provider()
        self._configure(
            WORK | (work or {}), SERVER | (server or {}), {"window": 0} | (conversation or {}), channel or {}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        for program in self.programs.values():
            program.kill()
        self._stop_provider()

    def program(self, role: str, name: str = "", *arguments: str) -> Program:
        """Return the program of a role; give further ones of the same role a name."""
        key = name or role
        if key not in self.programs:
            listens = self.port if role in ("web", "serve") else None
            command = [*self._prefix, sys.executable, str(ROOT / "run_gateway.py")]
            command += ["--config", str(self.folder / "config"), role, *arguments]
            self.programs[key] = Program(key, command, self._logs / f"{key}.log", listens)
        return self.programs[key]

    def start(self, *roles: str) -> None:
        """Start one program of each role, together, and wait until all are up."""
        started = [self.program(role).start(wait=False) for role in roles]
        for program in started:
            program.wait_up()

    def _start_provider(self) -> None:
        self.journal = self.folder / "twilio.jsonl"
        self.twilio = FakeTwilio(
            account_sid=ACCOUNT,
            auth_token=TOKEN,
            sender=NUMBER,
            webhook_url=f"http://127.0.0.1:{self.port}/in/00/sms",
            journal=self.journal,
        )
        self.twilio.start()

    def _stop_provider(self) -> None:
        self.twilio.stop()

    def _adapter(self) -> str:
        """Return what gateway.toml says of the adapter."""
        return (
            f'[adapters."sms.twilio"]\naccount_sid = "{ACCOUNT}"\nauth_token = {{ file = "keys/provider" }}\n'
            f'api_base = "{self.twilio.url}"\n'
        )

    def _channel(self, changes: dict[str, Any]) -> str:
        """Return what the region's file says of the channel."""
        return f'[channels.sms]\nadapter = "sms.twilio"\nsender = "{NUMBER}"\n{toml(CHANNEL | changes)}'

    def _configure(
        self, work: dict[str, Any], server: dict[str, Any], conversation: dict[str, Any], channel: dict[str, Any]
    ) -> None:
        config, keys = self.folder / "config", self.folder / "keys"
        (config / "regions").mkdir(parents=True)
        keys.mkdir()
        for name, secret in (("storage", new_key()), ("lookup", new_key()), ("provider", self.secret)):
            (keys / name).write_text(secret + "\n")
        base = f"http://127.0.0.1:{self.port}"
        central = f'[central]\nurl = "{self.central_url}"\n' if self.central_url != self.database_url else ""
        (config / "gateway.toml").write_text(
            f'[server]\npublic_url = "{base}"\nhost = "127.0.0.1"\nport = {self.port}\n{toml(server)}'
            f'[database]\nurl = "{self.database_url}"\n{central}'
            '[encryption]\nkeys = [{ file = "keys/storage" }]\nlookup_key = { file = "keys/lookup" }\n'
            f"[work]\n{toml(work)}[replies]\nper_hour = 1000\n[conversation]\n{toml(conversation)}"
            f'[logging]\nformat = "json"\n{self._adapter()}'
        )
        (config / "regions" / "00-nasional.toml").write_text(
            f'code = "00"\nname = "Indonesia"\n{self._channel(channel)}'
        )


def until(true: Callable[[], bool], seconds: float, what: str, every: float = 0.03) -> float:
    """Wait for something and return how long that took; fails after `seconds`."""
    began = time.monotonic()
    while not true():
        waited = time.monotonic() - began
        assert waited < seconds, f"waited {waited:.0f} s for {what}"
        time.sleep(every)
    return time.monotonic() - began


def get(port: int, path: str) -> tuple[int | None, bytes]:
    """Ask a gateway for a page; the status is `None` where it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return None, b""
    finally:
        connection.close()


def free_port() -> int:
    """Return a free port that no outgoing connection is given.

    A client that keeps calling a dead server's port within the range of outgoing ones ends up talking to itself.
    """
    while True:
        port = random.randint(20_000, 31_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def toml(values: dict[str, Any]) -> str:
    """Return lines of TOML, of numbers and true or false."""
    return "".join(f"{name} = {str(value).lower()}\n" for name, value in values.items())


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LAPOR_", "COV_", "PYTEST"))}
    return kept | {"PYTHONUNBUFFERED": "1"}


SIGKILL, SIGTERM = signal.SIGKILL, signal.SIGTERM
