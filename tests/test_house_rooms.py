"""The drawing of the rooms in docs/architecture.md is made from the imports, and current."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def rooms() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_rooms", ROOT / "docs" / "rooms.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_drawing_is_current(
    rooms: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["rooms.py", "--check"])
    assert rooms.main() == 0, capsys.readouterr().err


def test_a_stale_drawing_is_reported(
    rooms: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "docs" / "architecture.md"
    page.parent.mkdir()
    page.write_text(f"{rooms.BEGIN}an old drawing\n{rooms.END}", "utf-8")
    monkeypatch.setattr(rooms, "PAGE", page)
    monkeypatch.setattr(rooms, "ROOT", tmp_path)
    monkeypatch.setattr(rooms, "drawn", lambda: "a new drawing\n")
    monkeypatch.setattr(sys, "argv", ["rooms.py", "--check"])
    assert rooms.main() == 1
    assert "make rooms" in capsys.readouterr().err
    assert "an old drawing" in page.read_text("utf-8")


def test_floors_put_a_room_above_every_room_it_imports(rooms: ModuleType) -> None:
    arrows = {"web": {"spool", "ports"}, "spool": {"ports"}, "ports": set()}
    assert rooms.floors_of(arrows) == [["ports"], ["spool"], ["web"]]


def test_rooms_in_a_circle_have_no_floors(rooms: ModuleType) -> None:
    with pytest.raises(rooms.CircleError, match="spool, web"):
        rooms.floors_of({"web": {"spool"}, "spool": {"web"}, "ports": set()})


def test_the_drawing_leaves_out_an_arrow_beside_a_longer_way(rooms: ModuleType) -> None:
    arrows = {"web": {"spool", "ports"}, "spool": {"ports"}, "ports": set()}
    assert rooms.without_detours(arrows) == {"web": {"spool"}, "spool": {"ports"}, "ports": set()}


def test_marks_are_needed(rooms: ModuleType) -> None:
    with pytest.raises(SystemExit, match="lacks the marks"):
        rooms.between(rooms.BEGIN, rooms.END, "drawing", "a page without marks")
