"""Every adapter is one folder with the same furniture, and nothing of it lies elsewhere."""

from pathlib import Path

import pytest

from adapters import BUILTIN

ROOT = Path(__file__).parents[1]
ADAPTERS = ROOT / "adapters"

each_adapter = pytest.mark.parametrize("key", sorted(BUILTIN))


def room(key: str) -> Path:
    return ADAPTERS / key.replace(".", "/")


@each_adapter
@pytest.mark.parametrize(
    "furniture", ["__init__.py", "adapter.py", "settings.py", "README.md", "simulator/__init__.py"]
)
def test_it_has_its_furniture(key: str, furniture: str) -> None:
    assert (room(key) / furniture).is_file(), f"{key} lacks {furniture}: see docs/writing-an-adapter.md"


@each_adapter
def test_it_reads_the_providers_bytes_in_a_module_of_their_own(key: str) -> None:
    assert [name for name in ("payloads.py", "pdu.py") if (room(key) / name).is_file()]


@each_adapter
def test_it_has_tests(key: str) -> None:
    assert sorted((room(key) / "tests").glob("test_*.py"))


@each_adapter
def test_its_simulator_has_tests(key: str) -> None:
    assert sorted((room(key) / "tests").glob("test_simulator*.py"))


@each_adapter
def test_each_recorded_request_has_its_result(key: str) -> None:
    requests = {path for path in (room(key) / "tests").rglob("requests/*") if path.is_file()}
    results = {path.parents[1] / "expected" / f"{path.stem}.json" for path in requests}
    assert requests
    assert [path.relative_to(ROOT).as_posix() for path in results if not path.is_file()] == []


@each_adapter
def test_it_has_a_sample_of_its_settings(key: str) -> None:
    samples = [*room(key).glob("sample.toml"), *room(key).glob("samples/*.toml")]
    assert [path for path in samples if f'adapter = "{key}"' in path.read_text("utf-8")]


@each_adapter
def test_the_list_names_its_class_and_its_simulator_in_its_own_folder(key: str) -> None:
    spec = BUILTIN[key]
    assert spec.target.startswith(f"adapters.{key}.adapter:")
    assert (spec.simulator or "").startswith(f"adapters.{key}.simulator:")


def test_every_room_is_in_the_list() -> None:
    rooms = {path.parent.relative_to(ADAPTERS).as_posix().replace("/", ".") for path in ADAPTERS.rglob("adapter.py")}
    assert rooms == set(BUILTIN)


def test_no_test_of_an_adapter_lies_outside_its_folder() -> None:
    mirrored = [
        path for key in BUILTIN for path in [ROOT / "tests" / "adapters" / key.replace(".", "/")] if path.exists()
    ]
    assert mirrored == []
