"""A generated room is complete: its tests pass, its code is clean, and its channel answers a simulated citizen."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path

import pytest

from gateway.testing.checkout import Checkout
from gateway.testing.fixtures import WaitFor
from gateway.testing.new_adapter import filled, lines_to_add, main, words_of, write_adapter

KEYS = ["whatsapp.cloud", "twitter", "surat_kabar.versi_kedua", "arsip.kota"]  # the last one sorts before "common"
ROOM = [
    "README.md",
    "__init__.py",
    "adapter.py",
    "client.py",
    "payloads.py",
    "sample.toml",
    "settings.py",
    "simulator/__init__.py",
    "simulator/provider.py",
    "tests/expected/first.json",
    "tests/requests/first.http",
    "tests/test_cloud.py",
    "tests/test_simulator.py",
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Return a copy of the checkout to which all rooms were added."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    for key in KEYS:
        write_adapter(key, checkout.root)
        checkout.register(lines_to_add(key)[0])
    return checkout


def rooms() -> list[str]:
    return [words_of(key)["PATH"] for key in KEYS]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_room_has_all_its_furniture(tmp_path: Path) -> None:
    write_adapter("whatsapp.cloud", tmp_path)
    room = tmp_path / "adapters" / "whatsapp" / "cloud"
    assert sorted(str(path.relative_to(room)) for path in room.rglob("*") if path.is_file()) == ROOM


def test_the_tests_of_every_room_pass_and_none_is_skipped(checkout: Checkout) -> None:
    ended = checkout.run("-m", "pytest", "-q", "-p", "no:cacheprovider", *rooms())
    assert ended.returncode == 0, ended.stdout
    assert re.search(r"^\d+ passed in", ended.stdout, re.MULTILINE), ended.stdout


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_the_code_is_tidy(checkout: Checkout, command: list[str]) -> None:
    ended = checkout.run("-m", "ruff", *command, "--no-cache", *rooms(), "adapters/__init__.py")
    assert ended.returncode == 0, ended.stdout


@pytest.mark.slow
def test_the_types_are_right(checkout: Checkout) -> None:
    ended = checkout.run("-m", "mypy")
    assert ended.returncode == 0, ended.stdout


@pytest.mark.slow
def test_the_import_contracts_are_kept(checkout: Checkout) -> None:
    ended = checkout.run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache")
    assert ended.returncode == 0, ended.stdout
    assert "0 broken" in ended.stdout


@pytest.mark.slow
def test_a_simulated_citizen_is_answered(checkout: Checkout, tmp_path: Path, wait_for: WaitFor) -> None:
    sample = checkout.root / "adapters" / "whatsapp" / "cloud" / "sample.toml"
    checkout.configure(sample, server_port=free_port(), simulator_port=free_port())
    made = checkout.run("run_gateway.py", "init")
    assert made.returncode == 0, made.stdout
    output = tmp_path / "output"
    with checkout.started("run_gateway.py", "serve", "--simulate", "--rate", "20", output=output) as process:
        answered = re.compile(rb"1708 => \+62\d+: Laporan Anda kami terima")
        wait_for(lambda: process.poll() is not None or answered.search(output.read_bytes()), 40)
    assert answered.search(output.read_bytes()), output.read_text()
    assert process.returncode == 0, output.read_text()


def test_the_code_names_its_own_adapter_and_no_other() -> None:
    text = filled("adapter", words_of("surat_kabar.versi_kedua"))
    assert "from adapters.surat_kabar.versi_kedua.settings import VersiKeduaSuratKabarSettings" in text
    assert not re.search(r"@[A-Z]+@", text)


@pytest.mark.parametrize("key", KEYS)
def test_the_entry_to_add_is_one_of_the_registry(key: str) -> None:
    entry, extra = lines_to_add(key)
    target = f"adapters.{key}"
    assert entry.startswith(f'    "{key}": Spec(')
    assert f'"{target}.adapter:{words_of(key)["NAME"]}"' in entry
    assert f'"{target}.simulator:Fake{words_of(key)["NAME"]}"' in entry
    assert max(len(line) for line in entry.splitlines()) <= 120
    assert re.fullmatch(r"[a-z-]+ =", extra)


@pytest.mark.parametrize(
    "key", ["Sms.foo", "sms.foo.bar", "../x.y", "sms.", ".foo", "", "common.rest", "common", "import.x", "x.class"]
)
def test_a_wrong_key_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="adapter key"):
        write_adapter(key, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_shows_what_it_wrote_and_what_to_add(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["sms.foo"]) == 0
    shown = capsys.readouterr().out
    assert "wrote adapters/sms/foo/adapter.py\n" in shown
    assert '"sms.foo": Spec("adapters.sms.foo.adapter:FooSms", "", "adapters.sms.foo.simulator:FakeFooSms"),' in shown
    assert "setup.cfg" in shown
    assert "python -m pytest adapters/sms/foo" in shown


def test_an_existing_file_is_named_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "adapters" / "sms" / "foo" / "README.md"
    page.parent.mkdir(parents=True)
    page.write_text("mine")
    assert main(["sms.foo"]) == 1
    assert "adapters/sms/foo/README.md exists already" in capsys.readouterr().err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [page]


def test_a_room_is_made_once(tmp_path: Path) -> None:
    write_adapter("twitter", tmp_path)
    with pytest.raises(FileExistsError, match=r"adapters/twitter/__init__\.py exists already"):
        write_adapter("twitter", tmp_path)


def test_a_room_is_not_made_inside_another(tmp_path: Path) -> None:
    write_adapter("twitter", tmp_path)
    with pytest.raises(FileExistsError, match=r"adapters/twitter/adapter\.py exists already"):
        write_adapter("twitter.v2", tmp_path)


def test_a_second_provider_leaves_the_channels_folder_as_it_is(tmp_path: Path) -> None:
    write_adapter("sms.foo", tmp_path)
    package = tmp_path / "adapters" / "sms" / "__init__.py"
    package.write_text('"""Mine."""\n')
    write_adapter("sms.bar", tmp_path)
    assert package.read_text() == '"""Mine."""\n'


@pytest.mark.parametrize("arguments", [[], ["a", "b"]])
def test_the_usage_is_shown_for_anything_but_one_key(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage: python -m gateway.testing.new_adapter" in capsys.readouterr().err
