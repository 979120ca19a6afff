"""The import contracts of setup.cfg: each is broken once on purpose, in a copy, and each has its reason."""

import ast
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TWILIO = "adapters/sms/twilio"
# Calls of types that interpretation needs; what they return depends on the moment.
FORBIDDEN_CALLS = {"now", "today", "utcnow", "uuid1", "uuid4", "uuid7"}

# The contract, the file of the copy that gets the import, the import.
VIOLATIONS = [
    ("gateway-layers", "gateway/domain/errors.py", "import gateway.spool.queue"),
    ("gateway-layers", "gateway/storage/database.py", "import gateway.observe.logs, gateway.settings.files"),
    ("gateway-layers", "gateway/pipeline/settle.py", "import gateway.bootstrap"),
    ("no-cycles", "adapters/sms/gsm.py", "import adapters.sms.twilio.settings"),
    ("core-imports-no-channel", "gateway/cli/check.py", "import adapters.sms.gsm"),
    ("core-imports-no-channel", "gateway/runtime/worker.py", "from adapters import BUILTIN"),
    ("separate-rooms", f"{TWILIO}/client.py", "from adapters.sms.android import settings"),
    ("separate-rooms", f"{TWILIO}/payloads.py", "import adapters.invented.client"),
    ("separate-rooms", "adapters/invented/client.py", "from adapters.sms import gsm"),
    ("separate-rooms", "adapters/common/rest.py", "from adapters.sms import gsm"),
    ("separate-rooms", "adapters/sms/udh.py", "from adapters.sms.http import settings"),
    ("adapter-imports", f"{TWILIO}/adapter.py", "from gateway.observe import logs"),
    ("adapter-imports", f"{TWILIO}/client.py", "from gateway import i18n"),
    ("adapter-imports", f"{TWILIO}/payloads.py", "from gateway.simulation import segments"),
    ("adapter-imports", "adapters/common/rest.py", "import gateway.storage.crypto"),
    ("adapter-imports", "adapters/sms/gsm.py", "from gateway import __version__"),
    ("adapter-libraries", f"{TWILIO}/adapter.py", "import sqlalchemy"),
    ("adapter-libraries", f"{TWILIO}/simulator/account.py", "import flask"),
    ("adapter-libraries", "adapters/common/rest.py", "from werkzeug.http import parse_date"),
    ("simulator-imports", f"{TWILIO}/simulator/account.py", "from adapters.sms.twilio import payloads"),
    ("simulator-imports", f"{TWILIO}/simulator/account.py", "from adapters.sms.twilio.adapter import TwilioAdapter"),
    ("simulator-imports", "adapters/sms/smpp/simulator/wire.py", "from adapters.sms.smpp.pdu import UDHI"),
    ("simulator-imports", "adapters/sms/smpp/simulator/wire.py", "from adapters.sms.http.simulator import calls"),
    ("simulator-imports", "adapters/sms/android/simulator/api.py", "from adapters.common import rest"),
    ("simulator-imports", "adapters/sms/android/simulator/api.py", "from gateway.settings import types"),
    ("interpret-is-pure", "gateway/pipeline/interpret/compose.py", "import random"),
    ("interpret-is-pure", "gateway/pipeline/interpret/enrich.py", "import time"),
    ("interpret-is-pure", "gateway/pipeline/interpret/route.py", "from gateway.spool import tables"),
    ("interpret-is-pure", "gateway/domain/complaint.py", "import gateway.domain.ids"),
    ("interpret-is-pure", "gateway/domain/complaint.py", "import logging"),
    ("only-web-imports-flask", "gateway/operations/status.py", "import flask"),
    ("only-storage-imports-sqlalchemy", "gateway/pipeline/intake.py", "import sqlalchemy"),
    ("only-storage-imports-sqlalchemy", "gateway/operations/status.py", "import alembic"),
    ("only-jobs-imports-apscheduler", "gateway/runtime/worker.py", "import apscheduler"),
]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what import-linter reads, and add the rooms of an invented channel."""
    copy = tmp_path_factory.mktemp("house")
    skipped = shutil.ignore_patterns("__pycache__", "tests", "templates", "samples")
    for package in ("gateway", "adapters"):
        shutil.copytree(ROOT / package, copy / package, ignore=skipped)
    shutil.copy(ROOT / "setup.cfg", copy)
    room = copy / "adapters" / "invented"
    for name in ("__init__", "adapter", "client"):
        (room / f"{name}.py").parent.mkdir(exist_ok=True)
        (room / f"{name}.py").write_text(f'"""The {name} of a channel that does not exist."""\n', "utf-8")
    return copy


@pytest.fixture
def tree(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "tree"))


def contracts() -> dict[str, str]:
    """Return the name of each contract by its key."""
    config = ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    start = "importlinter:contract:"
    return {key.removeprefix(start): config[key]["name"] for key in config.sections() if key.startswith(start)}


def check(tree: Path, *keys: str) -> str:
    """Return the report of import-linter on the tree, for these contracts or for all."""
    program = "import sys; from importlinter.cli import lint_imports_command as check; check()"
    chosen = [part for key in keys for part in ("--contract", key)]
    command = [sys.executable, "-c", program, "--config", "setup.cfg", "--no-cache", *chosen]
    finished = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    return finished.stdout + finished.stderr


def state(report: str, key: str) -> str:
    """Return KEPT or BROKEN; import-linter breaks long lines, so spaces do not count."""
    name = re.sub(r"\s", "", contracts()[key])
    match = re.search(re.escape(name) + "(KEPT|BROKEN)", re.sub(r"\s", "", report))
    return match[1] if match else f"no answer for {key}: {report}"


def test_all_contracts_are_kept_with_a_new_adapter_in_the_house(pristine: Path) -> None:
    report = check(pristine)
    assert {key: state(report, key) for key in contracts()} == dict.fromkeys(contracts(), "KEPT"), report


@pytest.mark.parametrize(("key", "file", "line"), VIOLATIONS)
def test_a_forbidden_import_breaks_the_contract(tree: Path, key: str, file: str, line: str) -> None:
    with (tree / file).open("a", encoding="utf-8") as module:
        module.write(f"\n{line}\n")
    assert state(check(tree, key), key) == "BROKEN"


def test_every_contract_is_broken_once() -> None:
    assert {key for key, _, _ in VIOLATIONS} == set(contracts())


def test_no_contract_names_an_adapter() -> None:
    text = (ROOT / "setup.cfg").read_text("utf-8").partition("[importlinter]")[2]
    settings = [line for line in text.splitlines() if not line.startswith(("#", "    What", "    folder"))]
    named = {word for line in settings for word in re.findall(r"\badapters\.[a-z_.]+", line)}
    assert named == {"adapters.common"}


@pytest.mark.parametrize("path", sorted((ROOT / "gateway/pipeline/interpret").glob("*.py")), ids=lambda path: path.stem)
def test_interpretation_asks_no_type_for_the_time_or_an_id(path: Path) -> None:
    names = {node.attr for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Name)}
    assert not names & FORBIDDEN_CALLS
