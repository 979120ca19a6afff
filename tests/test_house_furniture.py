"""Every adapter is one folder with the same furniture, and nothing of it lies elsewhere."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from adapters import BUILTIN
from gateway.ports.registry import Registry
from gateway.settings.faults import Faults
from gateway.settings.reader import load

ROOT = Path(__file__).parents[1]
ADAPTERS = ROOT / "adapters"
SAMPLES = sorted([*ADAPTERS.rglob("sample.toml"), *ADAPTERS.rglob("samples/*.toml")])
SECRET = "test-key"  # eight characters: SMPP allows no more

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
    assert [path for path in SAMPLES if path.is_relative_to(room(key))]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.relative_to(ADAPTERS).as_posix())
def test_a_sample_is_a_region_file_without_faults(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = sample.read_text("utf-8")
    for variable in re.findall(r'env = "(\w+)"', text):
        monkeypatch.setenv(variable, SECRET)
    for path in re.findall(r'file = "(.+?)"', text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(SECRET, "utf-8")
        (tmp_path / path).chmod(0o600)
    region = tmp_path / "config" / "regions" / f"{tomllib.loads(text)['code']}-sample.toml"
    region.parent.mkdir(parents=True)
    region.write_text(text, "utf-8")
    shutil.copy(ROOT / "config" / "gateway.toml", tmp_path / "config")
    # The keys that gateway.toml names are missing here: the reader reports them, and nothing about the sample.
    with pytest.raises(Faults) as faults:
        load(tmp_path / "config", Registry(BUILTIN))
    assert [line for line in str(faults.value).splitlines() if region.name in line] == []


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
