"""The SMPP adapter against a foreign SMSC, the npm package "smpp", with the real inbox on SQLite behind it.

Everything goes the whole way here: their encoder and their PDUs, our connection, the committed row, `translate`, `join`.
Run as a program, this file is a listener that can be killed: PORT DATABASE-URL.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from foreign.smsc import PASSWORD, NodeSmsc

from adapters.sms import gsm
from adapters.sms.smpp.adapter import SmppSettings, SmppSms
from gateway.domain.errors import GatewayError, Overloaded, Throttled, Unavailable
from gateway.domain.events import CitizenMessage, DeliveryReceipt, MessagePart
from gateway.domain.ids import new_id
from gateway.ports import ChannelContext, FetchedMessage, RawMessage, Reply, Secret
from gateway.spool.inbox import Inbox, Incoming
from gateway.spool.tables import inbox
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database
from gateway.storage.migrate import migrate

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
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


@pytest.fixture
def smsc(modules: Path) -> Iterator[NodeSmsc]:
    made = NodeSmsc(modules)
    yield made
    made.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    made = f"sqlite:///{tmp_path / 'spool.db'}"
    database = Database(made)
    migrate(database)
    database.close()
    return made


@pytest.fixture
def line(url: str) -> Iterator[SpoolLine]:
    made = SpoolLine(url)
    yield made
    made.close()


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


@pytest.fixture
def adapter(smsc: NodeSmsc, line: SpoolLine) -> Iterator[SmppSms]:
    made = make(smsc.port)
    with listening(made, line, smsc):
        yield made


def eventually(question: Callable[[], Any], timeout: float = 5) -> Any:
    deadline = time.monotonic() + timeout
    while not (answer := question()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return answer


def messages(adapter: SmppSms, line: SpoolLine) -> list[tuple[str, str]]:
    return [(event.sender, event.text) for event in read(adapter, line.raws()) if isinstance(event, CitizenMessage)]


# --- in ---


@pytest.mark.parametrize(
    ("coding", "text", "tlvs"),
    [
        (0, "Jalan rusak @ {Menteng} €5 [x] §", {}),
        (8, "Banjir 😭 di Kampung Melayu", {}),
        (3, "Café à côté, £5", {}),
        (0, "dengan TLV operator", {"operator_id": "a-1", "operator_tariff": 7}),
        (0, "", {}),
    ],
)
@pytest.mark.parametrize("form", [None, "payload"])
def test_alphabets(smsc, adapter, line, coding, text, tlvs, form):
    smsc.send(text, coding=coding, tlvs=tlvs, form=form)
    assert smsc.answers(1) == [0]
    assert messages(adapter, line) == [(CITIZEN, text)]


# Sizes that operators use, and odd ones, so that cuts fall into escape pairs, characters and surrogates.
FORMS = [
    ("udh8", 0, JALAN, 153, 7),
    ("udh8", 0, JALAN, 41, 255),
    ("udh16", 0, JALAN, 152, 4660),
    ("sar", 0, JALAN, 153, 65535),
    ("udh8", 8, JAWA, 134, 0),
    ("udh16", 8, JAWA, 133, 300),
    ("sar", 8, JAWA, 131, 1),
    ("udh8", 3, "Déjà vu, café à côté. " * 20, 134, 9),
]
ORDERS = {"in order": lambda n: [*range(1, n + 1)], "reversed": lambda n: [*range(n, 0, -1)],
          "mixed": lambda n: [*range(2, n + 1, 2), *range(1, n + 1, 2)]}  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("form", "coding", "text", "size", "reference"), FORMS)
def test_long_messages(smsc, adapter, line, form, coding, text, size, reference, order):
    length = len(gsm.encode(text) if coding == 0 else text.encode("utf-16-be" if coding == 8 else "latin-1"))
    count = -(-length // size)
    smsc.send(text, form=form, coding=coding, size=size, reference=reference, order=ORDERS[order](count))
    assert smsc.answers(count) == [0] * count
    assert messages(adapter, line) == [(CITIZEN, text)]


def test_a_javanese_text_in_seven_parts(smsc, adapter, line):
    text = JAWA[:450]
    smsc.send(text, form="udh8", coding=8, size=134, reference=1)
    assert smsc.answers(7) == [0] * 7
    assert messages(adapter, line) == [(CITIZEN, text)]


def test_two_senders_with_one_reference_interleaved(smsc, adapter, line):
    for number in (1, 2, 3):
        smsc.send("A" * 400, form="udh8", size=153, reference=9, order=[number])
        smsc.send("B" * 400, form="udh8", size=153, reference=9, order=[4 - number], sender=NEIGHBOUR)
    assert smsc.answers(6) == [0] * 6
    assert sorted(messages(adapter, line)) == [(NEIGHBOUR, "B" * 400), (CITIZEN, "A" * 400)]


def test_many_parts_sort_as_numbers(smsc, adapter, line):
    text = "".join(f"[{number:02}]" + "x" * 60 for number in range(25))
    count = -(-len(gsm.encode(text)) // 64)
    smsc.send(text, form="udh16", size=64, reference=77, order=ORDERS["mixed"](count))
    assert smsc.answers(count) == [0] * count
    assert messages(adapter, line) == [(CITIZEN, text)]


def test_parts_that_come_twice(smsc, adapter, line):
    smsc.send(JALAN, form="udh16", size=152, reference=5, order=[1, 2, 1, 3, 3, 2])
    assert smsc.answers(6) == [0] * 6
    assert messages(adapter, line) == [(CITIZEN, JALAN)]
    assert len(line.raws()) == 3


def test_binary_is_kept(smsc, adapter, line):
    smsc.send(hex="deadbeef", coding=4)
    assert smsc.answers(1) == [0]
    assert len(line.raws()) == 1


def test_what_cannot_be_committed_stays_there(smsc, adapter, line):
    line.full = True
    smsc.send(JALAN, form="udh16", size=152, reference=5)
    assert smsc.answers(3) == [0x64] * 3
    assert line.raws() == []
    line.full = False
    smsc.send(JALAN, form="udh16", size=152, reference=5)
    assert smsc.answers(3) == [0] * 3
    assert messages(adapter, line) == [(CITIZEN, JALAN)]


def test_a_thousand_at_once(smsc, adapter, line):
    for number in range(1000):
        smsc.send(f"Laporan {number}", sender=f"+628120{number:06}")
    assert smsc.answers(1000) == [0] * 1000
    assert sorted(text for _, text in messages(adapter, line)) == sorted(f"Laporan {number}" for number in range(1000))


def test_enquire_link(smsc, adapter):
    smsc.wish("enquire")
    assert smsc.wait("alive")["status"] == 0


# --- the connection ---


def test_a_disconnect_between_two_parts(smsc, adapter, line):
    smsc.send(JALAN, form="udh8", size=153, reference=3, order=[1])
    assert smsc.answers(1) == [0]
    smsc.wish("drop")
    smsc.wait("bound")
    smsc.send(JALAN, form="udh8", size=153, reference=3, order=[3, 2])
    assert smsc.answers(2) == [0, 0]
    assert messages(adapter, line) == [(CITIZEN, JALAN)]


def test_a_mute_operator_is_left_and_bound_again(smsc, line):
    made = make(smsc.port, enquire_every=0.2, timeout=0.3)
    with listening(made, line, smsc):
        smsc.wish("mode", set={"mute": True})
        smsc.wait("closed")
        smsc.wish("mode", set={"mute": False})
        smsc.wait("bound")
    assert any("enquire_link" in said for said in line.failures)


def test_the_operators_unbind(smsc, adapter, line):
    smsc.wish("unbind")
    smsc.wait("unbind answered")
    smsc.wait("bound")
    assert any("ended the session" in said for said in line.failures)


def test_we_unbind(smsc, line):
    with listening(make(smsc.port), line, smsc):
        pass
    smsc.wait("unbound")
    smsc.wait("closed")
    assert not line.failures


def test_a_wrong_password(smsc, line):
    with pytest.raises(Unavailable, match="password"):
        make(smsc.port, password=Secret("salah")).listen(line)


@pytest.mark.parametrize("settings", [{"bind_mode": "separate"}, {"binds": 3}])
def test_several_sessions(smsc, line, settings):
    made = make(smsc.port, **settings)
    with listening(made, line, smsc):
        for _ in range(settings.get("binds", 2) - 1):
            smsc.wait("bound", right=True)  # the first was waited for
        smsc.send("Jalan rusak")
        assert smsc.answers(1) == [0]
        made.reply(a_reply("Terima kasih"))
        assert smsc.wait("submitted")["text"] == "Terima kasih"


# --- out ---


def a_reply(text: str) -> Reply:
    return Reply(id=UUID(int=0x1708), to=CITIZEN, text=text, created_at=now())


@pytest.mark.parametrize("form", ["udh16", "udh8", "sar", "payload"])
@pytest.mark.parametrize("text", ["Laporan diterima: 12345678", "tick ` and § and {x}", JALAN, JAWA])
def test_replies(smsc, line, form, text):
    made = make(smsc.port, long_messages=form, receipts=False)
    with listening(made, line, smsc):
        receipt = made.reply(a_reply(text))
        got = [smsc.wait("submitted") for _ in range(1 + len(receipt.others))]
    assert {(one["from"], one["to"]) for one in got} == {("1708", CITIZEN[1:])}
    assert "".join(one["text"] for one in got) == gsm.to_gsm7(text)
    # Read by itself, no part may show half a character: a decoder would have put U+FFFD or a blank there.
    assert len(got) == (1 if form == "payload" else made.parts(text))
    if len(got) > 1 and form == "sar":
        assert [one["sar"] for one in got] == [[0x1708, len(got), number] for number in range(1, len(got) + 1)]
    elif len(got) > 1:
        head = {"udh16": "08041708", "udh8": "000308"}[form]
        assert [one["udh"] for one in got] == [[f"{head}{len(got):02x}{n:02x}"] for n in range(1, len(got) + 1)]


@pytest.mark.parametrize(
    ("ids", "mode"),
    [
        ("same", {"ids": 16, "receiptIds": 16, "receiptTlvs": True}),
        ("hex-then-decimal", {"ids": 16, "receiptIds": 10, "receiptTlvs": False}),
        ("hex-then-decimal", {"ids": 16, "receiptIds": 10, "receiptTlvs": True}),
        ("decimal-then-hex", {"ids": 10, "receiptIds": 16, "receiptTlvs": False}),
    ],
)
def test_receipts_meet_their_replies(smsc, line, ids, mode):
    made = make(smsc.port, receipt_ids=ids)
    smsc.wish("mode", set=mode)
    with listening(made, line, smsc):
        receipt = made.reply(a_reply(JALAN))
        for _ in range(1 + len(receipt.others)):
            assert smsc.wait("receipted")["status"] == 0
    events = read(made, line.raws())
    assert all(isinstance(event, DeliveryReceipt) for event in events)
    assert {event.external_id for event in events} == {receipt.external_id, *receipt.others}


def test_throttled_then_taken(smsc, adapter):
    smsc.wish("mode", set={"throttle": 1})
    smsc.wish("enquire")
    smsc.wait("alive")  # it has heard both
    with pytest.raises(Throttled):
        adapter.reply(a_reply("x"))
    assert adapter.reply(a_reply("x")).external_id


def test_no_answer_is_unavailable(smsc, line):
    made = make(smsc.port, timeout=0.3)
    with listening(made, line, smsc):
        smsc.wish("mode", set={"deaf": True})
        smsc.wish("enquire")
        smsc.wait("alive")
        with pytest.raises(Unavailable, match="submit_sm"):
            made.reply(a_reply("x"))


# --- kill -9 ---


def test_killed_between_two_parts(smsc, line, url):
    """Part 1 was answered, so it must be there when another process takes part 2."""
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1])}
    command = [sys.executable, __file__, str(smsc.port), url]
    with subprocess.Popen(command, env=environment) as process:
        smsc.wait("bound", timeout=30, right=True)
        smsc.send(JAWA, form="udh16", coding=8, size=134, reference=3, order=[1, 4])
        assert smsc.answers(2) == [0, 0]
        process.send_signal(signal.SIGKILL)
    smsc.wait("closed")
    made = make(smsc.port)
    with listening(made, line, smsc):
        # The operator cannot know what we have: it sends part 4 again.
        count = -(-len(JAWA.encode("utf-16-be")) // 134)
        rest = list(range(2, count + 1))
        smsc.send(JAWA, form="udh16", coding=8, size=134, reference=3, order=rest)
        assert smsc.answers(len(rest)) == [0] * len(rest)
    assert messages(made, line) == [(CITIZEN, JAWA)]
    assert len(line.raws()) == count


if __name__ == "__main__":
    make(int(sys.argv[1])).listen(SpoolLine(sys.argv[2]))
