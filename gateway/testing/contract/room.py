"""Test the adapter's folder: its files, its page, its sample, and that its simulator does not import the adapter."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.domain.texts import Text
from gateway.ports import Adapter
from gateway.testing.contract.base import Contract

QUALITY = ("done", "todo", "exempt")
FURNITURE = ("__init__.py", "adapter.py", "settings.py", "README.md", "simulator/__init__.py", "tests/requests")
# What a simulator may import of this project, besides its own package.
SIMULATOR_SEES = ("gateway.domain", "gateway.ports", "gateway.simulation")


class RoomContract(Contract):
    """Tests of the adapter's folder."""

    @pytest.fixture
    def room(self, adapter: Adapter) -> Path:
        """Return the adapter's folder."""
        return Path(inspect.getfile(type(adapter))).parent

    def test_room_has_its_furniture(self, room: Path, requests_dir: Path) -> None:
        """Have all files that an adapter's folder must have."""
        for name in FURNITURE[:-1]:
            assert (room / name).exists(), f"write {room.name}/{name}: every adapter's folder has it"
        assert room in requests_dir.parents, f"keep recorded requests in {room.name}/tests, not in {requests_dir}"

    def test_page_names_every_setting(self, adapter: Adapter, room: Path) -> None:
        """Explain every setting, to the operator and to editors."""
        page = _page(room)
        for name, setting in type(adapter).Settings.model_fields.items():
            assert f"`{name}`" in page, f"explain the setting `{name}` in README.md"
            assert setting.description, f"give the setting {name} a Field(description=...)"
            assert isinstance(setting.description, Text), f"write the description of {name} with text()"

    def test_page_has_quality_list(self, room: Path) -> None:
        """Test that the page names done and missing features, with reasons."""
        rows = re.findall(r"^- \[(\w+)\] (.+)$", _page(room), re.MULTILINE)
        assert len(rows) >= 5, "add the quality list to README.md: lines like `- [done] signature is verified`"
        for word, rest in rows:
            assert word in QUALITY, f"[{word}]: begin a line of the quality list with one of {', '.join(QUALITY)}"
            assert word != "exempt" or "(" in rest, f"{rest!r}: give the exemption's reason in brackets"

    def test_sample_sets_the_required_settings(self, adapter: Adapter, room: Path) -> None:
        """Show a region file with all required settings, and none that does not exist."""
        samples = [*room.glob("sample.toml"), *room.glob("samples/*.toml")]
        assert samples, "write sample.toml: a region file with one channel of this adapter"
        fields = type(adapter).Settings.model_fields
        for path in samples:
            region = tomllib.loads(path.read_text("utf-8"))
            for channel in region["channels"].values():
                unknown = channel.keys() - fields.keys() - {"adapter", "replies"}
                assert not unknown, (
                    f"remove from {path.name} the keys that are no settings: {', '.join(sorted(unknown))}"
                )
                missing = {name for name, field in fields.items() if field.is_required()} - channel.keys()
                assert not missing, f"add to {path.name} the required settings: {', '.join(sorted(missing))}"

    def test_simulator_does_not_import_its_adapter(self, room: Path) -> None:
        """Write the simulator from the provider's documents: an independent reading finds the adapter's mistakes."""
        own = f"{_module_of(room)}.simulator"
        for path in (room / "simulator").glob("*.py"):
            for module in _imports_of(path):
                of_project = module.partition(".")[0] in ("adapters", "gateway")
                assert not of_project or module.startswith((own, *SIMULATOR_SEES)), (
                    f"remove from simulator/{path.name} the import of {module}: keep it apart from the adapter"
                )


def _page(room: Path) -> str:
    path = room / "README.md"
    assert path.exists(), f"write {path.name} beside adapter.py: the page from which an operator sets the channel up"
    return path.read_text("utf-8")


def _module_of(room: Path) -> str:
    parts = room.parts
    start = len(parts) - 1 - parts[::-1].index("adapters")
    return ".".join(parts[start:])


def _imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
