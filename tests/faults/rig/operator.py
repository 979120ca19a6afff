"""A gateway at an operator's SMSC, a foreign program: citizens who write in one part or several, and the reckoning.

The operator delivers again what was not answered 0, over whatever session there is. So a message that was answered 0 is
the gateway's to keep, and what was not must come again: everything told here is told by the operator, never by us.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil
from foreign.smsc import PASSWORD, NodeSmsc

from rig.books import Books
from rig.installation import NUMBER, Installation, Program, free_port, toml, until

_TICKET = re.compile(r"\b\d{8}\b")
_LONG = (
    (
        0,
        153,
        "lampu jalan mati di sepanjang jalan desa, sudah seminggu gelap dan dua motor jatuh; mohon diperbaiki, pak. ",
    ),
    (
        8,
        134,
        "nyuwun pirsa pak lurah, margi ing dhusun kula risak sanget 😭 lan banyunipun mlebet griya 🌊 matur nuwun. ",
    ),
)
FORMS = ("udh8", "udh16", "sar")


class SmppInstallation(Installation):
    """An installation whose one channel is a connection to an operator."""

    secret = PASSWORD

    def __init__(self, folder: Path, database_url: str, *, modules: Path, **options: Any) -> None:
        """Start the operator and write the configuration; `modules` is where its npm package is."""
        self._modules, self.smsc_port = modules, free_port()
        work = {"line_lease": 1.5} | options.pop("work", {})
        super().__init__(folder, database_url, work=work, **options)

    def _start_provider(self) -> None:
        self.operator = Operator(self._modules, self.smsc_port)

    def _stop_provider(self) -> None:
        self.operator.close()

    def _adapter(self) -> str:
        return ""

    def _channel(self, changes: dict[str, Any]) -> str:
        return (
            '[channels.sms]\nadapter = "sms.smpp"\nhost = "127.0.0.1"\nsystem_id = "lapor"\n'
            f'password = {{ file = "keys/provider" }}\nsender = "{NUMBER}"\nport = {self.smsc_port}\n'
            + toml({"tps": 1000, "receipts": False, "timeout": 5} | changes)
        )

    def holder(self, seconds: float = 30) -> Program:
        """Return the program that holds the connection, as the system sees it; wait for one."""
        found: list[Program] = []

        def look() -> bool:
            found[:] = [program for program in self.programs.values() if program.alive and self._holds(program)]
            return bool(found)

        until(look, seconds, "somebody to hold the connection", every=0.05)
        assert len(found) == 1, f"several hold the connection: {[program.role for program in found]}"
        return found[0]

    def _holds(self, program: Program) -> bool:
        try:
            connections = psutil.Process(program.pid).net_connections("tcp")
        except psutil.NoSuchProcess:
            return False
        return any(
            one.raddr and one.raddr.port == self.smsc_port and one.status == psutil.CONN_ESTABLISHED
            for one in connections
        )


@dataclass(slots=True)
class Written:
    """One citizen's message and what the operator was answered for each of its parts."""

    sender: str
    text: str
    total: int
    stored: set[int] = field(default_factory=set)  # parts answered 0

    @property
    def accepted(self) -> bool:
        """Whether every part was answered 0."""
        return len(self.stored) == self.total


class Operator:
    """The SMSC, and what it told: it may be closed and opened again, and keeps its messages in between."""

    def __init__(self, modules: Path, port: int) -> None:
        self._modules, self._port = modules, port
        self._lock = threading.Lock()
        self.messages: dict[str, Written] = {}  # by tag
        self._wishes: dict[str, dict[str, Any]] = {}
        self.submitted: list[tuple[float, str, str]] = []  # time.time(), to, text
        self.bound: list[tuple[float, int]] = []  # time.time(), how many receive now
        self.statuses: list[tuple[float, int]] = []  # of answers to deliver_sm that were not 0
        self.told: Counter[str] = Counter()
        self.again = 0  # deliveries of what had been delivered before
        self.smsc = self._open()

    def _open(self) -> NodeSmsc:
        return NodeSmsc(self._modules, self._port, self._hear)

    def open(self) -> None:
        """Come back after `close`, with everything that was not answered 0."""
        self.smsc = self._open()
        for tag, written in self.messages.items():
            if missing := [part for part in range(1, written.total + 1) if part not in written.stored]:
                self.smsc.wish("send", **self._wishes[tag] | {"order": missing})

    def close(self) -> None:
        """Go away; every connection ends."""
        self.smsc.close()

    def write(
        self, tag: str, sender: str, text: str, *, order: Sequence[int] | None = None, total: int = 1, **form: Any
    ) -> None:
        """Let a citizen write; `order` names the parts that are delivered now, all unless given."""
        wish = {"tag": tag, "from": sender.lstrip("+"), "text": text, "coding": 0, "keep": True} | form
        with self._lock:
            self.messages.setdefault(tag, Written(sender, text, total))
            self._wishes[tag] = wish
        self.smsc.wish("send", **wish, **({"order": list(order)} if order else {}))

    def _hear(self, event: dict[str, Any]) -> None:
        now, what = time.time(), event["event"]
        with self._lock:
            self.told[what] += 1
            if what == "stored":
                self.messages[event["tag"]].stored.add(event["part"])
            elif what == "refused":
                self.statuses.append((now, event["status"]))
            elif what == "delivered":
                self.again += event["attempts"] > 1
            elif what == "submitted":
                self.submitted.append((now, f"+{event['to']}", event["text"]))
            elif what == "bound":
                self.bound.append((now, event["receivers"]))

    def stored(self, tag: str) -> set[int]:
        """Return which parts of a message were answered 0."""
        return self.messages[tag].stored

    def replies_to(self, number: str) -> list[str]:
        """Return what the gateway sent to a number."""
        with self._lock:
            return [text for _, to, text in self.submitted if to == number]

    @property
    def accepted(self) -> int:
        """How many messages are the gateway's."""
        with self._lock:
            return sum(written.accepted for written in self.messages.values())


class Citizens:
    """Write without pause, in one part or several; many count their long messages alike, as telephones do."""

    def __init__(self, operator: Operator, seed: int, *, pause: float = 0.25, at_once: int = 5) -> None:
        """`at_once` messages begin together, their parts mixed; then there is a `pause` in seconds."""
        self._operator, self._rng, self._pause, self._at_once = operator, random.Random(seed), pause, at_once
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="citizens")
        self._references: Counter[str] = Counter()
        self._count = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stopping.set()
        self._thread.join(10)

    def finish(self, seconds: float = 60) -> None:
        """Write no more, and wait until the operator was answered 0 for everything."""
        self.__exit__()
        messages = self._operator.messages
        until(lambda: self._operator.accepted == len(messages), seconds, "every message to be answered 0")

    def _run(self) -> None:
        while not self._stopping.wait(self._pause):
            parts = [part for _ in range(self._at_once) for part in self._begin()]
            self._rng.shuffle(parts)
            for wish in parts:
                self._operator.write(**wish)

    def _begin(self) -> list[dict[str, Any]]:
        """Return the parts of a new message."""
        rng, tag = self._rng, f"m{self._count}"
        self._count += 1
        few = rng.random() < 0.3
        sender = f"+6285700000{rng.randrange(20):03d}" if few else f"+62812{self._count:08d}"
        if rng.random() < 0.5:
            return [
                {"tag": tag, "sender": sender, "text": f"Jalan rusak di Gang Bunga nomor {self._count}, sudah lama"}
            ]
        coding, size, words = rng.choice(_LONG)
        text = f"Nomor {self._count}: " + (words * 4)[: rng.randrange(size + 10, 4 * len(words))].strip()
        total = -(-len(text.encode("utf-16-be") if coding else text) // size)
        self._references[sender] += 1  # everybody begins with 1: the same numbers come from many
        form = {"form": rng.choice(FORMS), "size": size, "coding": coding, "reference": self._references[sender]}
        common = {"tag": tag, "sender": sender, "text": text, "total": total, **form}
        return [{**common, "order": [number]} for number in range(1, total + 1)]


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What an audit found, after everything it asserts has held."""

    messages: int
    in_parts: int
    again: int
    refused: Counter[int]
    sessions: int
    replies: int
    repeated: int

    def __str__(self) -> str:
        refused = ", ".join(f"{status:#04x} {count}" for status, count in sorted(self.refused.items())) or "none"
        return (
            f"{self.messages} messages answered 0, {self.in_parts} of them in parts: each at the centre once and whole;"
            f" {self.again} deliveries were repeats; refused: {refused}; {self.sessions} sessions, one at a time;"
            f" {self.replies} replies, {self.repeated} of them sent twice"
        )


def audit(installation: SmppInstallation, books: Books) -> Reckoning:
    """Assert the promises over all messages, once the queues are empty."""
    operator = installation.operator
    rows = books.rows("SELECT description, ticket FROM complaint", central=True)
    stored = {str(text): str(ticket) for text, ticket in rows}
    counts = Counter(str(text) for text, _ in rows)
    written = {one.text: one for one in operator.messages.values()}
    assert len(written) == len(operator.messages), "the test's own texts must differ"
    twice = [text[:20] for text, count in counts.items() if count > 1]
    assert not twice, f"{len(twice)} messages became more than one complaint: {twice[:5]}"
    lost = [text[:20] for text, one in written.items() if one.accepted and text not in stored]
    assert not lost, f"{len(lost)} messages were answered 0 and are lost or torn: {lost[:5]}"
    strange = [text for text in stored if text not in written]
    assert not strange, f"complaints that nobody wrote: {strange[:3]}"
    for name in ("inbox", "outbox"):
        states = {state for (state,) in books.rows(f"SELECT DISTINCT state FROM {name}")}
        assert states <= {"done"}, f"{name} has rows that are not done: {states}"
    sent = Counter((to, text) for _, to, text in operator.submitted)
    told = {(to, ticket) for to, text in sent for ticket in _TICKET.findall(text)}
    silent = [text[:20] for text, ticket in stored.items() if (written[text].sender, ticket) not in told]
    assert not silent, f"{len(silent)} citizens were never told their ticket: {silent[:5]}"
    assert told <= {(written[text].sender, ticket) for text, ticket in stored.items()}, "a wrong ticket"
    several = [count for _, count in operator.bound if count != 1]
    assert not several, f"{several} sessions at the same time"
    return Reckoning(
        messages=sum(one.accepted for one in written.values()),
        in_parts=sum(one.total > 1 for one in written.values()),
        again=operator.again,
        refused=Counter(status for _, status in operator.statuses),
        sessions=len(operator.bound),
        replies=sum(sent.values()),
        repeated=sum(count - 1 for count in sent.values()),
    )
