"""Keys rotate beside a running gateway, may be interrupted, and leave nothing under the old key."""

from __future__ import annotations

import base64
import io

import pytest
import sqlalchemy as sa

from gateway.bootstrap import Gateway
from gateway.central.tables import complaints
from gateway.domain.errors import Misconfigured, Undecryptable
from gateway.operations.rekey import rekey
from gateway.spool import Spool
from gateway.spool.tables import cases, inbox, outbox, tickets
from gateway.storage.crypto import Keyring
from gateway.storage.encrypted import encrypted_columns, purpose_of
from tests.gateway.fixture_types import Drain, Receive, Rows
from tests.gateway.site import Site
from tests.gateway.support import StillClock

OLD, NEW, LOOKUP = b"k" * 32, b"n" * 32, b"l" * 32
SEALED = [(inbox, "payload"), (outbox, "payload"), (cases, "complaint"), (cases, "contact"), (complaints, "reporter")]


@pytest.fixture
def filled(site: Site, receive: Receive) -> Gateway:
    """Return a gateway with something in every encrypted column."""
    gateway = site.gateway()
    for number in range(7):
        receive(gateway, f"PRINGSEWU jalan berlubang {number}", f"SM{number}", f"+628120000000{number}")
    receive(gateway, "ANONIM jalan rusak", "SM8")
    gateway.stages["intake"].run_once()
    gateway.stages["deliver"].run_once()
    return gateway


def sealed_with(rows: Rows, keyring: Keyring) -> list[bool]:
    return [keyring.is_current(row[name]) for table, name in SEALED for row in rows(table) if row[name] is not None]


def test_everything_is_under_the_new_key_afterwards(filled: Gateway, rows: Rows, clock: StillClock) -> None:
    assert not any(sealed_with(rows, Keyring([NEW], LOOKUP)))
    spool = Spool(filled.database, Keyring([NEW, OLD], LOOKUP), clock)
    totals = dict(rekey(filled.tables, spool.keyring, 3))
    assert totals == {
        "inbox.payload": 8,
        "outbox.payload": 8,
        "cases.complaint": 8,
        "cases.contact": 8,
        "complaint.reporter": 7,
    }
    assert all(sealed_with(rows, Keyring([NEW], LOOKUP)))
    assert sum(dict(rekey(filled.tables, spool.keyring, 3)).values()) == 0, "a second run has nothing to do"
    alone = Spool(filled.database, Keyring([NEW], LOOKUP), clock)
    assert all(alone.inbox.unseal(alone.inbox.get(row["id"])).payload for row in rows(inbox))
    with filled.database.read() as connection:
        readable, unreadable = alone.cases.get(connection, [row["id"] for row in rows(cases)])
    assert len(readable) == 8
    assert unreadable == {}


def test_an_interrupted_rotation_is_finished_by_the_next(filled: Gateway, rows: Rows, clock: StillClock) -> None:
    spool = Spool(filled.database, Keyring([NEW, OLD], LOOKUP), clock)
    steps = rekey(filled.tables, spool.keyring, 2)
    next(steps)
    steps.close()
    current = sealed_with(rows, Keyring([NEW], LOOKUP))
    assert any(current)
    assert not all(current)
    filled_again = sum(dict(rekey(filled.tables, spool.keyring, 2)).values())
    assert filled_again == len(current) - sum(current)
    assert all(sealed_with(rows, Keyring([NEW], LOOKUP)))


def test_a_lost_key_stops_it_and_what_was_done_stays(filled: Gateway, rows: Rows, clock: StillClock) -> None:
    spool = Spool(filled.database, Keyring([NEW], LOOKUP), clock)
    with pytest.raises(Undecryptable, match="put the old key back"):
        list(rekey(filled.tables, spool.keyring, 100))
    assert not any(sealed_with(rows, Keyring([NEW], LOOKUP)))


def lose_key(gateway: Gateway, table: sa.Table, name: str, order: sa.ColumnElement[object]) -> str:
    """Seal the first value in an order with a key that the gateway does not have; return the key's fingerprint."""
    with gateway.database.begin() as transaction:
        chosen = sa.select(table.c.id).where(table.c[name].is_not(None)).order_by(order).limit(1)
        row_id = transaction.execute(chosen).scalar_one()
        sealed = Keyring([NEW], LOOKUP).encrypt(b"?", purpose_of(table.c[name]))
        transaction.execute(sa.update(table).where(table.c.id == row_id).values({name: sealed}))
    return sealed[:4].hex()


@pytest.mark.parametrize(("table", "name"), SEALED)
def test_a_key_that_the_newest_value_of_a_column_needs_is_missed(filled: Gateway, table: sa.Table, name: str) -> None:
    """A start without the key of any encrypted column would fail later, on the message of a citizen."""
    key = lose_key(filled, table, name, table.c.id.desc())
    with pytest.raises(Misconfigured, match=f"stored values need key {key}"):
        filled.require_keys()


@pytest.mark.parametrize(("table", "name"), SEALED)
def test_a_key_that_only_the_oldest_value_needs_is_told_and_stops_nothing(
    filled: Gateway, table: sa.Table, name: str, logs: io.StringIO
) -> None:
    key = lose_key(filled, table, name, table.c.id.asc())
    filled.require_keys()
    assert f"old values need key {key}" in logs.getvalue()


def test_every_encrypted_column_has_a_purpose_of_its_own(filled: Gateway) -> None:
    purposes = [encrypted.purpose for tables in filled.tables for encrypted in encrypted_columns(tables.metadata)]
    assert sorted(purposes) == [b"case", b"contact", b"inbox", b"outbox", b"reporter"]


def test_with_all_keys_nothing_is_missed(filled: Gateway) -> None:
    filled.require_keys()


def test_a_missing_key_is_noticed_before_anything_runs(site: Site, filled: Gateway) -> None:
    filled.close()
    (site.root / "keys" / "storage").write_bytes(base64.b64encode(NEW))
    needed = Keyring([OLD], LOOKUP).encrypt(b"", b"")[:4].hex()
    for command in ("serve", "status"):
        result = site.run(command)
        assert result.exit_code == 3, result.output
        assert f"stored values need key {needed}" in result.output
        assert "put the old key back" in result.output


def test_the_command_asks_where_the_gateway_runs(site: Site, filled: Gateway, rows: Rows) -> None:
    from gateway import bootstrap

    site.monkeypatch.setattr(bootstrap, "now", filled.spool.clock)
    filled.jobs.beat()
    result = site.run("keys", "rotate")
    assert result.exit_code == 1
    assert "every process was restarted since? [y/N]" in result.output
    assert site.run("keys", "rotate", "--yes").exit_code == 0
    help_text = " ".join(site.run("keys", "rotate", "--help").output.split())
    assert "1. put the new key in front of the list, 2. restart every process, 3. rotate, 4. remove" in help_text


def test_the_command(site: Site, filled: Gateway, rows: Rows, receive: Receive, drain: Drain) -> None:
    (site.root / "keys" / "storage2").write_bytes(base64.b64encode(NEW))
    main = site.config / "gateway.toml"
    both = '[{ file = "keys/storage2" }, { file = "keys/storage" }]'
    main.write_text(main.read_text().replace('[{ file = "keys/storage" }]', both))
    result = site.run("keys", "rotate", "--batch", "2")
    assert result.exit_code == 0, result.output
    assert "inbox.payload: 8 values encrypted anew" in result.output
    assert "now remove the old keys from [encryption] keys, and restart every process" in result.output
    main.write_text(main.read_text().replace(both, '[{ file = "keys/storage2" }]'))
    gateway = site.gateway()
    ticket = rows(tickets)[0]["number"]
    receive(gateway, f"STATUS {ticket}", "SM9", "+6281200000000")
    gateway.stages["intake"].run_once()
    assert gateway.stages["deliver"].run_once() == 1, "senders are still found: the lookup key does not rotate"
