"""The commands init, migrate, keys, dead and replay: they change things safely and may be repeated."""

from __future__ import annotations

import json
import os
import stat
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from adapters.sms.twilio.simulator import FakeTwilio
from gateway.bootstrap import Gateway
from gateway.central.tables import complaints, history
from gateway.domain.ids import new_id
from gateway.spool.case import CaseReference
from gateway.spool.tables import Kind, State, inbox, outbox
from gateway.storage.crypto import parse_key
from gateway.storage.migrate import pending
from tests.gateway.fixture_types import Drain, MakeIncoming, Receive, Rows
from tests.gateway.site import Site
from tests.gateway.support import StillClock

FOUND, USAGE, CONFIGURATION = 1, 2, 3

Letters = tuple[Gateway, UUID, UUID]  # a gateway, its dead message, its dead reply


# --- init --------------------------------------------------------------------------------------------------------


def emptied(site: Site) -> Path:
    """Write the configuration without the files it refers to, and return their folder."""
    keys = site.write().root / "keys"
    for path in keys.iterdir():
        path.unlink()
    return keys


def test_init_makes_the_files_that_are_missing_and_only_those(sqlite_site: Site) -> None:
    keys = emptied(sqlite_site)
    (keys / "twilio").write_text("yang-sebenarnya")
    result = sqlite_site.run("init")
    assert result.exit_code == 0
    assert "made keys/storage" in result.output
    assert {path.name for path in keys.iterdir()} == {"storage", "lookup", "api", "twilio"}
    assert (keys / "twilio").read_text() == "yang-sebenarnya"


def test_init_makes_files_that_only_their_owner_can_read(sqlite_site: Site) -> None:
    keys = emptied(sqlite_site)
    sqlite_site.run("init")
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys.iterdir()} == {0o600}


def test_init_makes_a_usable_configuration(sqlite_site: Site) -> None:
    emptied(sqlite_site)
    sqlite_site.run("init")
    assert sqlite_site.run("check").exit_code == 0


def test_init_makes_different_keys(sqlite_site: Site) -> None:
    keys = emptied(sqlite_site)
    sqlite_site.run("init")
    storage, lookup = (parse_key((keys / name).read_text().strip()) for name in ("storage", "lookup"))
    assert (len(storage), storage != lookup) == (32, True)


def test_a_second_init_changes_nothing(sqlite_site: Site) -> None:
    keys = emptied(sqlite_site)
    sqlite_site.run("init")
    contents = {path: path.read_text() for path in keys.iterdir()}
    result = sqlite_site.run("init")
    assert (result.exit_code, result.output) == (0, "")
    assert {path: path.read_text() for path in keys.iterdir()} == contents


def test_init_shows_no_secret(sqlite_site: Site) -> None:
    keys = sqlite_site.write().root / "keys"
    (keys / "api").unlink()
    result = sqlite_site.run("init")
    assert (keys / "api").read_text().strip() not in result.output


def test_init_without_a_configuration_says_so(sqlite_site: Site) -> None:
    result = sqlite_site.run("init")
    assert result.exit_code == CONFIGURATION
    assert "use --config DIRECTORY" in result.output


def test_init_with_a_broken_file_says_which(sqlite_site: Site) -> None:
    result = sqlite_site.write(regions={"32.toml": "x = "}).run("init")
    assert result.exit_code == CONFIGURATION
    assert "32.toml: is not TOML" in result.output


def test_init_makes_no_file_that_others_can_read_whatever_the_umask(sqlite_site: Site) -> None:
    keys = sqlite_site.write().root / "keys"
    (keys / "api").unlink()
    before = os.umask(0)
    try:
        sqlite_site.run("init")
    finally:
        os.umask(before)
    assert stat.S_IMODE((keys / "api").stat().st_mode) == 0o600


# --- migrate, keys -----------------------------------------------------------------------------------------------


def test_migrate_makes_the_tables_and_may_be_repeated(sqlite_site: Site) -> None:
    sqlite_site.url = f"sqlite:///{sqlite_site.root / 'fresh.db'}"
    sqlite_site.write()
    for _ in range(2):
        result = sqlite_site.run("migrate")
        assert (result.exit_code, result.output) == (0, "spool: version 0003\ncentral: version 0002\n")
    assert pending(sqlite_site.gateway().database) == []


def test_postgresql_is_not_migrated_by_running_it(sqlite_site: Site, postgres_url: str) -> None:
    sqlite_site.url = postgres_url
    result = sqlite_site.write().run("web")
    assert result.exit_code == CONFIGURATION
    assert "run: run_gateway.py migrate" in result.output


def test_keys_new_prints_a_key_and_nothing_else(sqlite_site: Site) -> None:
    first, second = (sqlite_site.run("keys", "new").output.strip() for _ in range(2))
    assert len(parse_key(first)) == len(parse_key(second)) == 32
    assert first != second


@pytest.mark.parametrize("command", ["web", "work"])
def test_parts_refuse_sqlite(sqlite_site: Site, command: str) -> None:
    sqlite_site.url = f"sqlite:///{sqlite_site.root / 'fresh.db'}"
    result = sqlite_site.write().run(command)
    assert result.exit_code == CONFIGURATION
    assert "use PostgreSQL, or `serve` with SQLite" in result.output
    assert not list(sqlite_site.root.glob("fresh.db*")), "nothing was made before it was refused"


# --- dead letters ------------------------------------------------------------------------------------------------


@pytest.fixture
def letters(site: Site, incoming: MakeIncoming, receive: Receive, twilio: FakeTwilio) -> Letters:
    """Return a gateway with a dead message and a dead reply, and their ids."""
    gateway = site.gateway()
    bad = incoming("bad", payload=b'{"sid": "rusak \xf0\x9f\x98\xad"}', sender="+6281200000009")
    gateway.spool.inbox.commit([gateway.spool.inbox.seal(bad)])
    receive(gateway, "BANTUAN", "SM1")
    gateway.stages["intake"].run_once()
    twilio.fail("reject:30007")
    gateway.stages["acknowledge"].run_once()
    (reply,) = gateway.spool.outbox.dead(5)
    return gateway, bad.id, reply.id


def test_dead_list(site: Site, letters: Letters) -> None:
    _, message, reply = letters
    result = site.run("dead", "list")
    assert result.exit_code == FOUND
    for shown in (
        str(message),
        str(reply),
        "untranslatable: field direction is missing",
        "rejected: Twilio error 30007",
    ):
        assert shown in result.output
    listed = json.loads(site.run("dead", "list", "--json").output)
    assert [(letter["queue"], letter["kind"], letter["address"]) for letter in listed] == [
        ("inbox", "message", "00/sms"),
        ("outbox", "reply", "00/sms"),
    ]


def test_dead_list_of_nothing_ends_with_0(site: Site) -> None:
    result = site.write().run("dead", "list")
    assert (result.exit_code, result.output) == (0, "no dead letters\n")


def test_dead_show_prints_the_message_only_when_asked(site: Site, letters: Letters) -> None:
    _, message, reply = letters
    plain = site.run("dead", "show", str(message))
    assert plain.exit_code == 0
    assert "rusak" not in plain.output
    assert "rusak 😭" in site.run("dead", "show", str(message), "--content").output
    report = json.loads(site.run("dead", "show", str(message), "--content", "--json").output)
    assert json.loads(report["content"]) == {"sid": "rusak 😭"}
    assert "Tulis laporan Anda" in site.run("dead", "show", str(reply), "--content").output
    assert site.run("dead", "show", str(new_id())).exit_code == FOUND


@pytest.mark.parametrize(("kind", "content"), [(Kind.AMEND, b"a late part"), (Kind.ADD, b'{"text": "persis"}')])
def test_dead_show_prints_the_content_of_a_job(site: Site, kind: Kind, content: bytes) -> None:
    gateway = site.gateway()
    case = CaseReference(new_id(), "00", "sms", new_id())
    with gateway.database.begin() as transaction:
        (job,) = gateway.spool.outbox.add_jobs(transaction, kind, [case], content=content)
    result = site.run("dead", "show", str(job.id), "--content")
    assert result.exit_code == 0, result.output
    assert content.decode() in result.output


def test_what_dead_show_prints_is_what_try_reads(site: Site, receive: Receive, tmp_path: Path) -> None:
    gateway = site.gateway(regions={"32.toml": 'code = "32"\nname = "J"\n'})
    row = receive(gateway, "jalan", "SM1", channel="32/sms")
    gateway.stages["intake"].run_once()
    result = site.run("dead", "show", str(row), "--content")
    sample = tmp_path / "letter.http"
    sample.write_bytes(result.stdout_bytes)
    assert site.run("try", "00/sms", str(sample)).exit_code == 0


def test_replaying_dead_letters_previews_first(
    site: Site, letters: Letters, rows: Rows, drain: Drain, twilio: FakeTwilio
) -> None:
    gateway, message, reply = letters
    before = (rows(inbox), rows(outbox))
    result = site.run("replay", "--dead")
    assert result.exit_code == 0
    assert f"{message}" in result.output
    assert "To do it: --yes" in result.output
    assert (rows(inbox), rows(outbox)) == before
    lines = [json.loads(line) for line in site.run("replay", "--dead", "--json").output.splitlines()]
    assert {line["message"]: line["action"] for line in lines} == {str(message): "fail", str(reply): "retry"}
    done = site.run("replay", "--dead", "--yes", "--json")
    assert json.loads(done.output) == {"reopened": 2}
    drain(gateway)
    assert rows(inbox)[0]["state"] == State.DEAD, "still unreadable, still kept"
    assert rows(outbox)[0]["state"] == State.DONE
    assert len(twilio.replies_to("+6281200000001")) == 1


# --- replaying a time range ---------------------------------------------------------------------------------------


def test_replaying_a_range_amends_the_centre_once(
    site: Site, receive: Receive, drain: Drain, rows: Rows, clock: StillClock, twilio: FakeTwilio
) -> None:
    gateway = site.gateway()
    receive(gateway, "PRINGSEWU jalan berlubang", "SM1")
    receive(gateway, "PRINGSEWU bansos belum cair", "SM2", "+6281200000002")
    drain(gateway)
    tickets = {row["id"]: row["ticket"] for row in rows(complaints)}
    region = site.config / "regions" / "18.10-pringsewu.toml"
    region.write_text(region.read_text().replace("Dinas PUPR", "Dinas Bina Marga"))
    since = f"{clock() - timedelta(hours=1):%Y-%m-%dT%H:%M}"
    until = f"{clock() + timedelta(hours=1):%Y-%m-%dT%H:%M}"

    preview = site.run("replay", "--from", since, "--to", until)
    assert "agency: Dinas PUPR Kabupaten Pringsewu → Dinas Bina Marga Kabupaten Pringsewu" in preview.output
    assert "2 messages read; would be: 1 amend, 1 none.  To do it: --yes" in preview.output
    assert len(rows(history)) == 2, "a preview changes nothing"

    assert site.run("replay", "--from", since, "--to", until, "--yes").output == "1 amend, 1 none\n"
    drain(site.gateway())
    assert site.run("replay", "--from", since, "--to", until, "--yes").output == "2 none\n"
    assert site.run("replay", "--from", since, "--to", until).output == "2 messages read, none would change\n"
    assert {row["id"]: row["ticket"] for row in rows(complaints)} == tickets
    assert rows(complaints)[0]["agency"] == "Dinas Bina Marga Kabupaten Pringsewu"
    assert [row["why"] for row in rows(history)][2:] == ["read again by a replay"]
    assert len(rows(outbox, outbox.c.kind == Kind.AMEND.value)) == 1
    assert len(twilio.messages("outbound-api")) == 2, "nobody is told their ticket twice"


def test_replaying_a_range_with_nothing_in_it(site: Site) -> None:
    assert site.write().run("replay", "--from", "2020-01-01", "--to", "2020-01-02", "--yes").output == (
        "nothing to replay\n"
    )


def test_a_preview_groups_what_fails_alike(site: Site, incoming: MakeIncoming) -> None:
    gateway = site.gateway()
    for number in range(4):
        gateway.spool.inbox.commit([gateway.spool.inbox.seal(incoming(f"{number}", payload=b"x"))])
    gateway.stages["intake"].run_once()
    shown = site.run("replay", "--from", "2020-01-01").output.splitlines()
    assert len(shown) == 2
    assert " 00/sms and 3 more  fail: untranslatable: " in shown[0]
    assert shown[1] == "4 messages read; would be: 4 fail."


@pytest.mark.parametrize("arguments", [[], ["--dead", "--from", "2020-01-01"], ["--to", "2020-01-01"], ["--from", "x"]])
def test_replay_wants_one_choice(sqlite_site: Site, arguments: list[str]) -> None:
    assert sqlite_site.write().run("replay", *arguments).exit_code == USAGE
