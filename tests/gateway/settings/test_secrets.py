"""Secrets in a configuration are references, and are never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.fixture_types import FindFaults
from tests.gateway.settings.support import only
from tests.gateway.site import Site


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ('"rahasia-sekali"', 'write a reference: { env = "NAME" } or { file = "path" }, not the value'),
        ('{ env = "LAPOR_TEST_MISSING" }', "set the environment variable LAPOR_TEST_MISSING"),
        ('{ file = "keys/tak-ada" }', "let `run_gateway.py init` make it"),
        ('{ file = "keys" }', "Is a directory"),
        ('{ file = "keys/kosong" }', "is empty"),
        ('{ file = "keys/biner" }', "is not UTF-8 text"),
        ('{ value = "rahasia-sekali" }', "write a reference"),
        ("{ env = 5 }", "must be a name in quotes"),
    ],
)
def test_a_secret_is_a_reference_and_never_shown(
    faults: FindFaults, sqlite_site: Site, monkeypatch: pytest.MonkeyPatch, written: str, problem: str
) -> None:
    monkeypatch.delenv("LAPOR_TEST_MISSING", raising=False)
    keys = sqlite_site.write().root / "keys"
    (keys / "kosong").write_text("\n")
    (keys / "biner").write_bytes(b"\xff\xfe")
    (fault,) = faults(replace=('token = { file = "keys/api" }', f"token = {written}"))
    assert (fault.file, fault.key) == ("config/gateway.toml", "api.token")
    assert problem in fault.problem
    assert "rahasia-sekali" not in str(fault)


def test_a_secret_file_of_another_user_is_told_with_what_to_do(
    faults: FindFaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_text

    def refused(path: Path, encoding: str | None = None, errors: str | None = None) -> str:
        if path.name == "api":
            raise PermissionError(13, "Permission denied")
        return read(path, encoding, errors)

    monkeypatch.setattr(Path, "read_text", refused)
    problem = only(faults())[3]
    assert "keys/api is not readable by this user" in problem
    assert "chown" in problem
    assert "chmod" in problem


def test_a_missing_storage_key_is_to_be_restored_and_not_invented(faults: FindFaults) -> None:
    (fault,) = faults(replace=("keys/storage", "keys/hilang"))
    assert fault.key == "encryption.keys.1"
    assert "keys/hilang does not exist; restore it from the backup (only for a first installation: " in fault.problem


def test_a_secret_from_the_environment(sqlite_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAPOR_TEST_TOKEN", "rahasia-sekali")
    main = sqlite_site.write().config / "gateway.toml"
    main.write_text(main.read_text().replace('{ file = "keys/api" }', '{ env = "LAPOR_TEST_TOKEN" }'))
    settings = sqlite_site.settings()
    token = settings.gateway.api.token
    assert token is not None
    assert token.reveal() == "rahasia-sekali"
    for shown in (repr(settings), str(settings.gateway.api), f"{settings.gateway.api.token}"):
        assert "rahasia-sekali" not in shown
    assert "rahasia-sekali" not in settings.gateway.model_dump_json()


def test_a_bad_key_is_not_shown(faults: FindFaults, sqlite_site: Site) -> None:
    (sqlite_site.write().root / "keys" / "short").write_text("cnVtYWg=")
    (fault,) = faults(replace=("keys/storage", "keys/short"))
    assert fault.key.startswith("encryption.keys")
    assert "a key is 32 bytes" in fault.problem
    assert "cnVtYWg" not in str(fault)


def test_a_database_url_with_a_password_is_not_shown(faults: FindFaults) -> None:
    reported = faults(extra='[central]\nurl = ["postgresql://lapor:kata-sandi@db/lapor"]\n')
    assert reported
    assert "kata-sandi" not in " ".join(str(fault) for fault in reported)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://lapor:kata-sandi@db/lapor",
        "postgresql://lapor:kata-sandi@db/lapor",
        "postgresql+psycopg2://lapor:kata-sandi@db/lapor",
        "sqlite:///",
        "sqlite://",
        "var/gateway.db",
        "",
        "postgresql+psycopg://lapor:kata/sandi@db/lapor",
    ],
)
@pytest.mark.parametrize("section", ["database", "central"])
def test_a_database_url_of_another_kind_is_a_fault_and_never_shown(
    faults: FindFaults, monkeypatch: pytest.MonkeyPatch, url: str, section: str
) -> None:
    monkeypatch.setenv("LAPOR_TEST_URL", url)
    for written in (f'"{url}"', '{ env = "LAPOR_TEST_URL" }' if url else '"mysql://x"'):
        table = f"[{section}]\nurl = {written}\n"
        fault = only(
            faults(extra=table) if section == "central" else faults(replace=("[database]\nurl = ", f"{table}#"))
        )
        assert fault[1] == f"{section}.url"
        assert (
            "write @ : / as %40" in fault[3]
            if "kata/sandi" in url
            else "sqlite:///PATH or postgresql+psycopg://" in fault[3]
        )
        assert "sandi" not in str(fault)
