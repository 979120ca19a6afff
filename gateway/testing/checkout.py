"""Make a copy of the project that a test may change: add an adapter, run its tests, serve with it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("adapters", "config", "gateway", "pyproject.toml", "run_gateway.py", "setup.cfg")
STOP_SECONDS = 20
_BUILTIN_END = re.compile(r"^}$", re.MULTILINE)


class Checkout:
    """A copy of the project in `root`. Programs that run in it import the copy's packages."""

    def __init__(self, root: Path) -> None:
        """Copy the files that a gateway and the tests of its adapters need."""
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, root / name)

    def run(self, *arguments: str, timeout: float = 110) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments in the copy; return its exit code and its output, with stderr in it."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=self._environment,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )

    def register(self, entry: str) -> None:
        """Add an entry to the end of BUILTIN in adapters/__init__.py."""
        path = self.root / "adapters" / "__init__.py"
        path.write_text(_BUILTIN_END.sub(lambda _: f"{entry}\n}}", path.read_text("utf-8")), "utf-8")

    def configure(self, sample: Path, *, server_port: int, simulator_port: int) -> None:
        """Make a sample the only region file, and let gateway and simulator listen on these ports.

        The region file is named after its code, because `check` requires it. Raises `ValueError` if a file has no port.
        """
        config = self.root / "config"
        for path in (config / "regions").glob("*.toml"):
            path.unlink()
        _replace(config / "gateway.toml", r"^port = \d+", f"port = {server_port}")
        code = tomllib.loads(sample.read_text("utf-8"))["code"]
        region = config / "regions" / f"{code}-sample.toml"
        shutil.copy2(sample, region)
        _replace(region, r"http://127\.0\.0\.1:\d+", f"http://127.0.0.1:{simulator_port}")

    @contextmanager
    def started(self, *arguments: str, output: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Run a Python program in the copy, with its output in a file; end it with SIGTERM, as an operator does."""
        with output.open("wb") as file:
            command = [sys.executable, *arguments]
            process = subprocess.Popen(command, cwd=self.root, env=self._environment, stdout=file, stderr=file)
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    @property
    def _environment(self) -> dict[str, str]:
        # PYTHONPATH comes before the environment's own installation, which points to the original project.
        return {**os.environ, "PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"}


def _replace(path: Path, pattern: str, text: str) -> None:
    changed, count = re.subn(pattern, text, path.read_text("utf-8"), flags=re.MULTILINE)
    if not count:
        raise ValueError(f"{path.name} has no line like {pattern}")
    path.write_text(changed, "utf-8")
