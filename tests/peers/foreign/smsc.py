"""An operator's SMSC that none of us wrote: the npm package "smpp", run by Node.js and told what to do in JSON."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from foreign import Absent

HERE = Path(__file__).parent
PASSWORD = "sandi123"  # of the one account, whatever its name


def node_modules(folder: Path) -> Path:
    """Install what the lock file names into the folder, unless it is there; raises `Absent`."""
    modules = folder / "node_modules"
    if (modules / ".package-lock.json").exists():
        return modules
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
    try:
        subprocess.run(["node", "--version"], check=True, capture_output=True)
        subprocess.run(command, check=True, capture_output=True, timeout=90)
    except (OSError, subprocess.SubprocessError) as exc:
        raise Absent(f"no node, or no npm registry ({type(exc).__name__})") from exc
    return modules


class NodeSmsc:
    """The foreign program; `wish` and `wait` are its two pipes."""

    def __init__(self, modules: Path, port: int = 0, listener: Callable[[dict[str, Any]], None] | None = None) -> None:
        """Start it; `port` 0 takes a free one; a `listener` hears the events, instead of `wait`."""
        self._process = subprocess.Popen(
            ["node", str(HERE / "smsc.js"), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=os.environ | {"NODE_PATH": str(modules)},
        )
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self._kept: list[dict[str, Any]] = []
        self._listener = listener
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.port: int = self.wait("listening")["port"]
        except AssertionError:
            self.close()
            raise

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            if self._listener is None or event["event"] == "listening":
                self._events.put(event)
            else:
                self._listener(event)

    def wish(self, do: str, **fields: Any) -> None:
        """Tell it what to do."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **fields}) + "\n")
        self._process.stdin.flush()

    def wait(self, event: str, timeout: float = 10, **fields: Any) -> dict[str, Any]:
        """Return the next such event; others are kept for later calls."""
        wanted = {"event": event, **fields}
        deadline = time.monotonic() + timeout
        while True:
            for place, one in enumerate(self._kept):
                if wanted.items() <= one.items():
                    return self._kept.pop(place)
            try:
                self._kept.append(self._events.get(timeout=max(0.01, deadline - time.monotonic())))
            except queue.Empty:
                raise AssertionError(f"no {wanted} within {timeout:g} s; there came {self._kept}") from None

    def send(self, text: str | None = None, *, tag: str = "m", sender: str = "+6281200000999", **fields: Any) -> None:
        """Let a citizen write; `form`, `reference`, `size`, `order`, `coding`, `tlvs`, `keep` as smsc.js has them."""
        self.wish("send", tag=tag, text=text, **({"from": sender.lstrip("+"), "coding": 0} | fields))

    def answers(self, count: int, tag: str = "m") -> list[int]:
        """Return the status of the next answers to parts of a message."""
        return [self.wait("answered", tag=tag)["status"] for _ in range(count)]

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._reader.join(10)
        self._process.stdout.close()
