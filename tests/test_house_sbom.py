"""`make sbom` names every package of an installation, in a form that scanners read."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import gateway

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def sbom(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the text of the file that `make sbom` writes."""
    file = tmp_path_factory.mktemp("sbom") / "sbom.json"
    # -o: the tests are running, so what they need is installed, however old the stamp is.
    command = ["make", "--silent", "-o", ".venv/.ready-to-develop", "sbom"]
    variables = [f"SBOM={file}", f"BIN={Path(sys.executable).parent}"]
    finished = subprocess.run([*command, *variables], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return file.read_text("utf-8")


def test_it_is_valid(sbom: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom) is None


def test_it_names_every_pinned_package(sbom: str) -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    pinned = set(re.findall(r"^([a-z0-9-]+)==([^ ]+)", lock, re.MULTILINE))
    assert {(part["name"], part["version"]) for part in json.loads(sbom)["components"]} == pinned


def test_every_package_has_its_hashes(sbom: str) -> None:
    without = [part["name"] for part in json.loads(sbom)["components"] if not part["externalReferences"][0]["hashes"]]
    assert without == []


def test_it_names_the_gateway_and_its_version(sbom: str) -> None:
    product = json.loads(sbom)["metadata"]["component"]
    assert product["name"] == "lapor-gateway"
    assert product["version"] == gateway.__version__
