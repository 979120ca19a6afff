"""Helpers of the tests against the npm package smpp."""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from foreign.smsc import PASSWORD, NodeSmsc

from adapters.sms.smpp.adapter import SmppSettings, SmppSms
from gateway.domain.errors import GatewayError, Overloaded, Unavailable
from gateway.domain.events import CitizenMessage, MessagePart
from gateway.domain.ids import new_id
from gateway.ports import ChannelContext, FetchedMessage, RawMessage, Reply, Secret
from gateway.spool.inbox import Inbox, Incoming
from gateway.spool.tables import inbox
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database

CITIZEN, NEIGHBOUR = "+6281200000999", "+6281200000998"
JALAN = "Lampu jalan {mati} di Jl. Sudirman [depan SD 2], sudah seminggu gelap; ganti €5? ~ " * 4
JAWA = "Nyuwun pirsa pak lurah, dalan ing kampung kula rusak sanget 😭 banyune ngantos mlebet griya 🌊 " * 5


def now() -> datetime:
    return datetime.now(UTC)


class SpoolLine:
    """What the core gives a listener, with the real inbox."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self._inbox = Inbox(self._database, Keyring([b"k" * 32], b"l" * 32), now)
        self.ending, self.ups, self.full = False, 0, False
        self.failures: list[str] = []

    def up(self) -> None:
        self.ups += 1

    def accept(self, found: Sequence[FetchedMessage]) -> list[GatewayError | None]:
        if self.full:
            return [Overloaded("disk full")] * len(found)
        rows = [
            self._inbox.seal(
                Incoming(
                    id=new_id(),
                    region="00",
                    channel="smpp",
                    envelope=one.envelope,
                    content_type=one.content_type,
                    payload=one.payload,
                    received_at=now(),
                )
            )
            for one in found
        ]
        self._inbox.commit(rows)
        return [None] * len(found)

    def raws(self) -> list[RawMessage]:
        with self._database.read() as connection:
            return [self._inbox.unseal(row) for row in connection.execute(sa.select(inbox).order_by(inbox.c.id))]

    def close(self) -> None:
        self._database.close()


def make(port: int, **changes: Any) -> SmppSms:
    given = {"host": "127.0.0.1", "port": port, "system_id": "lapor", "password": Secret(PASSWORD), "sender": "1708"}
    settings = SmppSettings(**(given | {"timeout": 2, "tps": 1000} | changes))
    return SmppSms(settings, ChannelContext(region="00", channel="smpp", webhook_url=""))


def read(adapter: SmppSms, raws: Sequence[RawMessage]) -> list[Any]:
    """Return the events of stored messages; parts that are all there are joined, others are left out."""
    events: list[Any] = []
    waiting: dict[str, dict[int, RawMessage]] = defaultdict(dict)
    for raw in raws:
        for event in adapter.translate(raw):
            if not isinstance(event, MessagePart):
                events.append(event)
                continue
            waiting[event.group][event.number] = raw
            if len(waiting[event.group]) == event.total:
                parts = waiting.pop(event.group)
                events.append(adapter.join([parts[number] for number in sorted(parts)]))
    return events


@contextmanager
def listening(adapter: SmppSms, line: SpoolLine, smsc: NodeSmsc) -> Iterator[None]:
    """Listen as the core does, again after each loss, until the block ends."""

    def run() -> None:
        while not line.ending:
            try:
                adapter.listen(line)
            except Unavailable as exc:
                line.failures.append(exc.message)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        smsc.wait("bound", right=True)
        eventually(lambda: line.ups)
        yield
    finally:
        line.ending = True
        thread.join(10)
        assert not thread.is_alive()


def eventually(question: Callable[[], Any], timeout: float = 5) -> Any:
    deadline = time.monotonic() + timeout
    while not (answer := question()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return answer


def messages(adapter: SmppSms, line: SpoolLine) -> list[tuple[str, str]]:
    return [(event.sender, event.text) for event in read(adapter, line.raws()) if isinstance(event, CitizenMessage)]


def a_reply(text: str) -> Reply:
    return Reply(id=UUID(int=0x1708), to=CITIZEN, text=text, created_at=now())


if __name__ == "__main__":
    make(int(sys.argv[1])).listen(SpoolLine(sys.argv[2]))
