"""Kannel, Debian's package: unpacked and not installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import requests

from foreign import Absent
from foreign.gateway import Programs, until

CORE = """
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
sms-combine-concatenated-mo-timeout = 2
"""


def unpacked(folder: Path) -> dict[str, str]:
    """Return the environment in which `folder`'s Kannel runs; it is fetched and unpacked if need be."""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise Absent("apt-get and dpkg are not here: this is no Debian")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if not (folder / "usr/sbin/smsbox").exists():
            _fetch(folder, "kannel")
        if _lacking(folder):
            listed = _run(["apt-cache", "depends", "kannel"], folder)
            _fetch(folder, *(set(re.findall(r"Depends: (lib\S+)", listed)) - {"libc6"}))
        lacking = _lacking(folder)
    except subprocess.SubprocessError as exc:
        raise Absent(f"Kannel cannot be fetched ({type(exc).__name__})") from exc
    if lacking:
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


class Kannel:
    """bearerbox and smsbox, between an operator and an HTTP gateway."""

    def __init__(self, programs: Programs, package: Path, ports: dict[str, int], configuration: str) -> None:
        """Write the configuration; `package` was unpacked, `ports` has admin, box and sendsms."""
        self._programs, self._package, self._ports = programs, package, ports
        (programs.folder / "kannel.conf").write_text(CORE.format(**ports) + configuration)

    def start(self) -> None:
        """Start both, and wait until they know each other."""
        environment = _environment(self._package)
        for name, port in (("bearerbox", "admin"), ("smsbox", "sendsms")):
            command = [str(self._package / "usr/sbin" / name), "kannel.conf"]
            self._programs.start(name, command, environment, self._ports[port])
        until(lambda: "smsbox" in self.status().partition("Box connections")[2], "smsbox")

    def status(self) -> str:
        """Return bearerbox's status page."""
        return requests.get(f"http://127.0.0.1:{self._ports['admin']}/status.txt?password=admin", timeout=5).text


def with_sample(sample: str, changes: dict[str, str]) -> str:
    """Return the shipped sample with a test's values; each must be there to be replaced."""
    for old, new in changes.items():
        assert old in sample, f"kannel.conf has no {old!r}"
        sample = sample.replace(old, new)
    return sample
