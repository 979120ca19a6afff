"""The wheel holds every file that a gateway needs, and the locks hold every package that the wheel asks for."""

import re
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Files of a work tree that must not be in a wheel.
LEFTOVERS = ("__pycache__", ".DS_Store", "/tests/")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a source distribution, as `make wheel` does."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def shipped(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Distribution:
    with zipfile.ZipFile(wheel) as archive:
        folder = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    return PathDistribution(zipfile.Path(wheel, folder.removesuffix("METADATA")))


def packaged_files() -> set[str]:
    """Return all files of the work tree that must be in the wheel."""
    wanted = {"run_gateway.py"}
    for package in ("gateway", "adapters"):
        for path in (ROOT / package).rglob("*"):
            name = path.relative_to(ROOT).as_posix()
            if path.is_file() and not any(leftover in name for leftover in LEFTOVERS):
                wanted.add(name)
    return wanted


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages(shipped: set[str]) -> None:
    missing = packaged_files() - shipped
    assert not missing, f"add their kind to [options.package_data] in setup.cfg: {sorted(missing)}"


@pytest.mark.slow
def test_the_wheel_holds_nothing_else(shipped: set[str]) -> None:
    extra = {name for name in shipped - packaged_files() if ".dist-info/" not in name}
    assert not extra


@pytest.mark.slow
@pytest.mark.parametrize(
    "pattern",
    [
        r"gateway/py\.typed",
        r"adapters/py\.typed",
        r"gateway/spool/migrations/.+\.py",
        r"gateway/central/migrations/.+\.py",
        r"gateway/web/.+\.html",
        r"gateway/simulation/samples/.+",
        r"gateway/testing/templates/.+\.txt",
        r"adapters/.+/README\.md",
        r"adapters/.+/sample\.toml",
        r"gateway/i18n/locale/id/LC_MESSAGES/lapor\.mo",
    ],
)
def test_the_kinds_of_files_that_are_easily_forgotten_are_there(shipped: set[str], pattern: str) -> None:
    assert any(re.fullmatch(pattern, name) for name in shipped)


@pytest.mark.slow
def test_the_licence_is_named_and_enclosed(metadata: Distribution, shipped: set[str]) -> None:
    assert metadata.metadata["License-Expression"] == "Apache-2.0"
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in shipped)


@pytest.mark.slow
def test_every_extra_of_a_channel_is_part_of_all(metadata: Distribution) -> None:
    channels = set(metadata.metadata.get_all("Provides-Extra") or []) - {"all", "test", "dev"}
    (whole,) = [line for line in metadata.requires or [] if line.endswith('extra == "all"')]
    match = re.match(r"lapor-gateway\[(.+?)\]", whole)
    assert match, whole
    assert set(match[1].split(",")) == channels


@pytest.mark.parametrize(
    ("lock", "extras"), [("requirements.lock", {"all"}), ("requirements-dev.lock", {"all", "dev"})]
)
def test_the_lock_is_as_new_as_setup_cfg(lock: str, extras: set[str]) -> None:
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / lock).read_text(), re.MULTILINE))
    missing = {name for extra in extras for name in declared(extra)} - pinned
    assert not missing, f"{lock} lacks {sorted(missing)}: make lock"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_the_lock_is_good_for_every_machine(lock: str) -> None:
    text = (ROOT / lock).read_text()
    unhashed = re.findall(r"^[a-z0-9-]+==[^\\\n]+$", text, re.MULTILINE)
    assert not unhashed, "a pin without a hash: make lock"
    # An index, a local folder or a file address would bind everybody to the machine that made the lock.
    assert not re.findall(r"^(?:-|.*(?:://|@ ))", text, re.MULTILINE)


def declared(extra: str) -> set[str]:
    """Return the packages that setup.cfg asks for with this extra, and with the extras that it refers to."""
    config = ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    names: set[str] = set()
    pending = config["options"]["install_requires"].split("\n") + extras[extra].split("\n")
    while pending:
        match = re.match(r"([a-z0-9-]+)(?:\[(.+?)\])?", pending.pop())
        if match and match[1] == "lapor-gateway":
            pending += [line for name in match[2].split(",") for line in extras[name].split("\n")]
        elif match:
            names.add(match[1])
    return names
