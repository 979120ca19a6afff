"""The inbox: stored once, unreadable to whoever holds the file, kept as long as promised."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.errors import Undecryptable
from gateway.domain.ids import new_id
from gateway.spool import Spool
from gateway.spool.tables import inbox
from gateway.storage.crypto import Keyring
from gateway.storage.database import Database
from tests.gateway.fixture_types import Rows
from tests.gateway.support import StillClock

LEASE = timedelta(seconds=30)


def store(spool: Spool, *messages: Any) -> set[Any]:
    return spool.inbox.commit([spool.inbox.seal(message) for message in messages])


def test_a_repeated_delivery_is_stored_once(spool: Spool, incoming: Callable[..., Any]) -> None:
    first, again, other = incoming("SM1"), incoming("SM1"), incoming("SM2")
    assert store(spool, first) == {first.id}
    assert store(spool, again, other) == {other.id}


def test_a_repeated_delivery_inside_one_group_is_stored_once(
    spool: Spool, incoming: Callable[..., Any], rows: Rows
) -> None:
    messages = [incoming("SM1"), incoming("SM2"), incoming("SM1"), incoming("SM1")]
    assert store(spool, *messages) == {messages[0].id, messages[1].id}
    assert len(rows(inbox)) == 2


def test_the_same_key_on_another_channel_is_another_message(spool: Spool, incoming: Callable[..., Any]) -> None:
    messages = [incoming("1"), incoming("1", region="18.10"), incoming("1", channel="sms2")]
    assert len(store(spool, *messages)) == 3


def test_many_rows_with_all_kinds_of_bytes_come_back_as_they_were(spool: Spool, incoming: Callable[..., Any]) -> None:
    payloads = [b"", b"\x00\xff", bytes(range(256)) * 50, "😭 الطريق".encode(), b"'; DROP TABLE inbox; --", b"%b %s"]
    messages = [incoming(f"m{number}", None, payload=payload) for number, payload in enumerate(payloads)]
    store(spool, *messages)
    opened = [spool.inbox.unseal(row) for row in spool.inbox.claim(100, LEASE).rows]
    assert [raw.payload for raw in opened] == payloads
    assert [(raw.id, raw.received_at) for raw in opened] == [(m.id, m.received_at) for m in messages]


def test_a_thousand_rows_go_in_with_one_statement(spool: Spool, incoming: Callable[..., Any]) -> None:
    messages = [incoming(f"m{number}", f"s{number}") for number in range(1000)]
    assert store(spool, *messages) == {message.id for message in messages}


def test_nothing_readable_is_at_rest(spool: Spool, incoming: Callable[..., Any], database: Database) -> None:
    sender, text = "+6281234567890", "Lampu jalan mati di Jl. Bunga"
    store(spool, incoming("SMsecretsid", sender, payload=f"From={sender}&Body={text}".encode()))
    stored = b""
    if database.is_sqlite:
        path = Path(str(database.url.database))
        stored = b"".join(part.read_bytes() for part in path.parent.glob(path.name + "*"))
    else:
        with database.read() as connection:
            for row in connection.exec_driver_sql("SELECT * FROM inbox"):
                stored += b"|".join(v if isinstance(v, bytes) else str(v).encode() for v in row)
    assert stored
    for secret in (sender, "81234567890", text, "Bunga", "SMsecretsid"):
        assert secret.encode() not in stored


def test_a_value_moved_to_another_row_or_purpose_does_not_open(keyring: Keyring) -> None:
    sealed = keyring.encrypt(b"Jalan rusak", b"inbox")
    with pytest.raises(Undecryptable):
        keyring.decrypt(sealed, b"contact")


def test_purging_deletes_what_is_done_and_neither_dead_letters_nor_what_waits(
    spool: Spool, incoming: Callable[..., Any], clock: StillClock, rows: Rows
) -> None:
    done, dead, waiting = incoming("done", "a"), incoming("dead", "b"), incoming("waiting", "c")
    store(spool, done, dead)
    claim = spool.inbox.claim(10, LEASE)
    with spool.database.begin() as connection:
        spool.inbox.finish(connection, claim.id, [done.id])
        spool.inbox.bury(connection, claim.id, {dead.id: "untranslatable"})
    store(spool, waiting)
    clock.advance(days=31)
    assert spool.inbox.purge(clock() - timedelta(days=30), 100) == [done.id]
    assert spool.inbox.purge(clock() - timedelta(days=30), 100) == []
    assert {row["id"] for row in rows(inbox)} == {dead.id, waiting.id}
    for kept in (dead, waiting):
        row = spool.inbox.get(kept.id)
        assert row is not None
        assert spool.inbox.unseal(row).payload == kept.payload


def test_what_was_finished_lately_is_not_purged(spool: Spool, incoming: Callable[..., Any], clock: StillClock) -> None:
    old = incoming("old")
    store(spool, old)
    clock.advance(days=31)
    claim = spool.inbox.claim(10, LEASE)
    with spool.database.begin() as connection:
        spool.inbox.finish(connection, claim.id, [old.id])
    assert spool.inbox.purge(clock() - timedelta(days=30), 100) == []


def test_purging_goes_in_steps(spool: Spool, incoming: Callable[..., Any], clock: StillClock) -> None:
    messages = [incoming(f"m{number}", None) for number in range(5)]
    store(spool, *messages)
    claim = spool.inbox.claim(10, LEASE)
    with spool.database.begin() as connection:
        spool.inbox.finish(connection, claim.id, [message.id for message in messages])
    clock.advance(days=31)
    assert [len(spool.inbox.purge(clock() - timedelta(days=30), 2)) for _ in range(4)] == [2, 2, 1, 0]


def test_a_time_range_is_read_page_by_page(spool: Spool, incoming: Callable[..., Any], clock: StillClock) -> None:
    messages = [incoming(f"m{number}", None) for number in range(5)]
    store(spool, *messages)
    start, end = clock() - timedelta(minutes=1), clock() + timedelta(minutes=1)
    first = spool.inbox.between(start, end, None, 3)
    rest = spool.inbox.between(start, end, first[-1].id, 3)
    assert [row.id for row in [*first, *rest]] == [message.id for message in messages]
    assert list(spool.inbox.between(end, end + timedelta(hours=1), None, 3)) == []


def test_an_unknown_row_is_none(spool: Spool) -> None:
    assert spool.inbox.get(new_id()) is None
