"""The page docs/writing-an-adapter.md is followed word for word, and ends with a channel that answers."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.testing import requestfile
from gateway.testing.checkout import Checkout
from gateway.testing.fixtures import WaitFor
from gateway.testing.new_adapter import lines_to_add

PAGE = Path(__file__).parents[1] / "docs" / "writing-an-adapter.md"
KEY = "pesan.nusantara"
ROOM = "adapters/pesan/nusantara"
PORTS = re.compile(r"(?<=127\.0\.0\.1:)\d+|(?<=^port = )\d+", re.MULTILINE)
PYTHON = ".venv/bin/python"


class Block(NamedTuple):
    """One code block of the page: ```language argument."""

    language: str
    argument: str
    text: str


def blocks() -> list[Block]:
    found = re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [Block(*block) for block in found]


class Reader:
    """A reader who types every command of the page and makes every change, in a copy of the checkout."""

    def __init__(self, checkout: Checkout, stack: ExitStack, wait_for: WaitFor) -> None:
        self.checkout = checkout
        self.root = checkout.root
        self.shown: list[tuple[str, str]] = []  # command and its output
        self._stack = stack
        self._wait_for = wait_for
        self._recorded = ""
        self._ports: dict[str, str] = {}

    def follow(self, block: Block) -> None:
        match block.language:
            case "http":
                self._recorded = block.text
            case "json":
                self._save(block)
            case "diff":
                self._change(block)
            case "sh":
                self._type(block)
            case _:
                pytest.fail(f"the page has a block that no reader can follow: {block.language}")

    def use_free_ports(self) -> None:
        """Replace the ports of all configurations, because those of the page may be taken on this machine."""
        for path in [*(self.root / "config").rglob("*.toml"), *(self.root / ROOM).glob("*.toml")]:
            path.write_text(PORTS.sub(lambda match: self._free_port(match[0]), path.read_text("utf-8")), "utf-8")

    def _free_port(self, port: str) -> str:
        if port not in self._ports and port not in self._ports.values():
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self._ports[port] = str(probe.getsockname()[1])
        return self._ports.get(port, port)

    def _save(self, block: Block) -> None:
        """Save an expected result, and the recorded request that belongs to it."""
        expected = self.root / block.argument
        expected.write_text(block.text, "utf-8")
        head, _, body = self._recorded.partition("\n\n")
        request = expected.parents[1] / "requests" / f"{expected.stem}.http"
        request.write_bytes(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body.rstrip("\n").encode())
        requestfile.read(request)

    def _change(self, block: Block) -> None:
        lines = block.text.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        path = self.root / block.argument
        text = path.read_text("utf-8")
        assert text.count(before) == 1, f"{block.argument} has these lines not once: {before}"
        path.write_text(text.replace(before, after), "utf-8")

    def _type(self, block: Block) -> None:
        for line in block.text.splitlines():
            if block.argument == "serves":
                self._serve(shlex.split(line)[1:])
                continue
            code, output = self._run(shlex.split(line))
            self.shown.append((line, output))
            assert (code != 0) == (block.argument == "fails"), f"{line}\n{output}"

    def _run(self, words: list[str]) -> tuple[int, str]:
        if words[0] == "cp":
            shutil.copy2(self.root / words[1], self.root / words[2])
            return 0, ""
        if words[0] == "grep":
            paths = (self.root / words[3]).rglob("*.*")
            lines = [str(path) for path in paths if words[2] in path.read_text("utf-8", "replace")]
            return (0 if lines else 1), "\n".join(lines)
        assert words[0] == PYTHON, f"a reader of the page cannot type {words[0]}"
        ended = self.checkout.run(*words[1:])
        self.use_free_ports()
        return ended.returncode, ended.stdout

    def _serve(self, arguments: list[str]) -> None:
        output = self.root / "output"
        process = self._stack.enter_context(self.checkout.started(*arguments, output=output))
        self._wait_for(lambda: process.poll() is not None or "accepted" in output.read_text(), 40)
        assert process.poll() is None, output.read_text()


@pytest.mark.slow
def test_who_follows_the_page_ends_with_a_channel_that_answers(tmp_path: Path, wait_for: WaitFor) -> None:
    with ExitStack() as stack:
        reader = Reader(Checkout(tmp_path / "checkout"), stack, wait_for)
        reader.use_free_ports()
        for block in blocks():
            reader.follow(block)
    shown = dict(reader.shown)
    simulated = next(output for command, output in shown.items() if " simulate " in command)
    assert re.search(r"1708 => \+6281200000999: Laporan Anda kami terima. No. tiket: \d{8}", simulated)
    tried = next(output for command, output in shown.items() if " try " in command)
    assert "https://media.example.com/7" in tried
    last_command, last_output = reader.shown[-1]
    assert last_command == f"{PYTHON} -m pytest -q {ROOM}"
    assert re.search(r"^\d+ passed in", last_output, re.MULTILINE)


def test_the_page_adds_the_entry_that_the_command_shows() -> None:
    (change,) = [block for block in blocks() if block.argument == "adapters/__init__.py"]
    added = [line[1:] for line in change.text.splitlines() if line.startswith("+")]
    assert "\n".join(added) == lines_to_add(KEY)[0]


def test_the_page_names_every_port_of_an_adapter() -> None:
    from gateway.ports import capabilities

    named = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))
    assert {"Translator", "Webhook", "Poller", "Listener", "Joiner", "Replier"} <= named
    assert all(hasattr(capabilities, name) for name in named if name[0].isupper())


def test_the_page_speaks_of_the_door_that_there_is() -> None:
    assert "/in/00/pesan" in PAGE.read_text("utf-8")
    assert "/hooks/" not in PAGE.read_text("utf-8")
