"""A gateway as a process, for foreign programs to talk to, and what its API and its metrics say."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import requests

from gateway.storage.crypto import new_key

ROOT = Path(__file__).resolve().parents[3]
API = "api-token-for-tests"


class Programs:
    """Programs that run in a folder, each writing into NAME.out there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: list[str], environment: Mapping[str, str], port: int) -> None:
        """Start one, and wait until it listens."""
        with (self.folder / f"{name}.out").open("ab") as out:
            self.running[name] = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=out, stderr=out)
        until(lambda: listening(port) or self.running[name].poll() is not None, name)
        assert self.running[name].poll() is None, f"{name} ended: " + (self.folder / f"{name}.out").read_text()[-2000:]

    def stop(self, name: str) -> None:
        """End one in good order."""
        process = self.running.pop(name)
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End all, the last first."""
        for name in reversed(list(self.running)):
            self.stop(name)


class RunningGateway:
    """`serve` on SQLite, for one region."""

    def __init__(self, programs: Programs, region: str, secrets: Mapping[str, str], port: int) -> None:
        """Write the configuration: `region` is the region's file, `secrets` go into the environment."""
        self._programs, self._secrets, self.port = programs, secrets, port
        folder = programs.folder
        (folder / "config" / "regions").mkdir(parents=True)
        for name, secret in (("storage", new_key()), ("lookup", new_key()), ("api", API)):
            (folder / name).write_text(secret)
        (folder / "config" / "gateway.toml").write_text(
            f'[server]\npublic_url = "{self.url}"\nport = {port}\ncommit_timeout = 1\n'
            '[database]\nurl = "sqlite:///gateway.db"\n[api]\ntoken = { file = "api" }\n'
            '[encryption]\nkeys = [{ file = "storage" }]\nlookup_key = { file = "lookup" }\n'
            '[conversation]\nparts_wait = 3\n[work]\nretry_base = 0.2\nretry_cap = 1\n[logging]\nformat = "json"\nlevel = "debug"\n'
        )
        (folder / "config" / "regions" / "18.10-pringsewu.toml").write_text(region)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = [sys.executable, str(ROOT / "run_gateway.py")]
        command += ["--config", str(self._programs.folder / "config"), "serve"]
        self._programs.start("gateway", command, {**os.environ, **self._secrets}, self.port)

    def stop(self) -> None:
        """End it in good order."""
        self._programs.stop("gateway")

    @property
    def log(self) -> str:
        """What it has logged."""
        return (self._programs.folder / "gateway.out").read_text()

    def complaint(self, ticket: str) -> dict[str, Any]:
        """Return a complaint as the centre has it."""
        return self._ask(f"/{ticket}")

    def with_text(self, text: str) -> list[dict[str, Any]]:
        """Return the newest complaints with a text in their title."""
        return [complaint for complaint in self._ask("?limit=200")["complaints"] if text in complaint["title"]]

    def _ask(self, rest: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {API}"}
        answer = requests.get(f"{self.url}/api/v1/complaints{rest}", headers=headers, timeout=10)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def count(self, name: str, **labels: str) -> float:
        """Return a metric."""
        page = requests.get(f"{self.url}/metrics", timeout=10).text
        lines = [line for line in page.splitlines() if line.startswith(name)]
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in lines
            if all(f'{label}="{value}"' in line for label, value in labels.items())
        )


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def until(question: Callable[[], Any], what: str, timeout: float = 30) -> Any:
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + timeout
    while not (answer := question()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} seconds"
        time.sleep(0.05)
    return answer


def listening(port: int) -> bool:
    """Tell whether anybody listens."""
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
