"""Draw the rooms from the imports: `make rooms` writes the drawing into docs/architecture.md.

A room is a package of `gateway`, or a module directly under it; and every folder of `adapters` with a module `adapter`.
`--check` writes nothing and ends with exit code 1 if the drawing is stale.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN = "<!-- rooms: drawn by `make rooms` from the imports -->\n"
END = "<!-- rooms: end -->\n"
# The furniture that every adapter has or may have; other modules of a room are its own business.
FURNITURE = ("adapter", "settings", "payloads", "pdu", "client", "simulator")

Arrows = dict[str, set[str]]


class CircleError(Exception):
    """Rooms that import one another have no floors."""


@contextlib.contextmanager
def searched_first(tree: Path) -> Iterator[None]:
    """Let grimp find the packages of this tree, not those of the environment."""
    sys.path.insert(0, str(tree.resolve()))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(tree.resolve()))


def graph_of(tree: Path) -> grimp.ImportGraph:
    """Return the imports of the tree's two packages. Type-checking imports count, as in setup.cfg."""
    with searched_first(tree):
        return grimp.build_graph("gateway", "adapters", cache_dir=None)


def rooms_of_gateway(graph: grimp.ImportGraph) -> set[str]:
    """Return the rooms: packages, and modules directly under gateway."""
    modules = graph.find_descendants("gateway")
    return {module for module in modules if graph.find_children(module) or module.count(".") == 1}


def room_of(module: str, rooms: set[str]) -> str:
    """Return the innermost room that a module belongs to, or nothing."""
    while module and module not in rooms:
        module = module.rpartition(".")[0]
    return module


def arrows_of(graph: grimp.ImportGraph) -> Arrows:
    """Return the rooms that each room of gateway imports; a room that imports nothing and is not imported is left out."""
    rooms = rooms_of_gateway(graph)
    arrows: Arrows = {}
    for module in graph.find_descendants("gateway"):
        importer = room_of(module, rooms)
        for imported in graph.find_modules_directly_imported_by(module):
            target = room_of(imported, rooms)
            if target and target != importer:
                arrows.setdefault(importer, set()).add(target)
                arrows.setdefault(target, set())
    return arrows


def floors_of(arrows: Arrows) -> list[list[str]]:
    """Return the rooms by floor, the lowest first; a room lies one floor above the highest room it imports.

    Raises `CircleError` if rooms import one another.
    """
    floor: dict[str, int] = {}
    while len(floor) < len(arrows):
        ready = [room for room in arrows if room not in floor and arrows[room] <= floor.keys()]
        if not ready:
            raise CircleError(", ".join(sorted(arrows.keys() - floor.keys())))
        floor |= {room: max((floor[target] + 1 for target in arrows[room]), default=0) for room in ready}
    top = max(floor.values(), default=-1)
    return [sorted(room for room in floor if floor[room] == number) for number in range(top + 1)]


def counts(tree: Path) -> tuple[int, int, int]:
    """Return how many rooms, floors and arrows the gateway of a tree has."""
    arrows = arrows_of(graph_of(tree))
    return len(arrows), len(floors_of(arrows)), sum(map(len, arrows.values()))


def reachable(arrows: Arrows, start: str) -> set[str]:
    """Return the rooms that can be reached from this one over at least one arrow."""
    reached: set[str] = set()
    waiting = set(arrows[start])
    while waiting:
        room = waiting.pop()
        reached.add(room)
        waiting |= arrows[room] - reached
    return reached


def without_detours(arrows: Arrows) -> Arrows:
    """Return the arrows without those that only shorten a way over other rooms: the drawing stays readable."""
    return {
        room: {target for target in targets if not any(target in reachable(arrows, other) for other in targets)}
        for room, targets in arrows.items()
    }


def short(room: str) -> str:
    """Return the name of a room as it is written in the drawing."""
    return room.removeprefix("gateway.").removeprefix("adapters.").replace(".", "/")


def drawing(arrows: Arrows) -> str:
    """Return the drawing of gateway's rooms in Mermaid's language."""
    lines = ["flowchart TD"]
    for number, floor in reversed(list(enumerate(floors_of(arrows)))):
        lines.append(f"    subgraph floor{number} [floor {number}]")
        lines += [f'        {short(room).replace("/", "_")}["{short(room)}"]' for room in floor]
        lines.append("    end")
    for room, targets in sorted(without_detours(arrows).items()):
        lines += [
            f"    {short(room).replace('/', '_')} --> {short(target).replace('/', '_')}" for target in sorted(targets)
        ]
    return "\n".join(["```mermaid", *lines, "```"])


def floor_table(arrows: Arrows) -> str:
    """Return a table of the floors with every import between rooms, the highest floor first."""
    lines = ["| floor | room | imports |", "|---|---|---|"]
    for number, floor in reversed(list(enumerate(floors_of(arrows)))):
        for room in floor:
            targets = ", ".join(short(target) for target in sorted(arrows[room]))
            lines.append(f"| {number} | `{room}` | {targets or 'no other room'} |")
    return "\n".join(lines)


def adapter_table(graph: grimp.ImportGraph) -> str:
    """Return a table of the adapters' rooms: their furniture, other modules, and what they use outside."""
    modules = graph.find_descendants("adapters")
    rooms = sorted(module.removesuffix(".adapter") for module in modules if module.endswith(".adapter"))
    lines = ["| room | furniture | other modules | uses | its simulator uses |", "|---|---|---|---|---|"]
    for room in rooms:
        inside = {child.rpartition(".")[2] for child in graph.find_children(room)}
        furniture = [name for name in FURNITURE if name in inside]
        simulator = (
            {f"{room}.simulator"} | graph.find_descendants(f"{room}.simulator") if "simulator" in inside else set()
        )
        adapter = ({room} | graph.find_descendants(room)) - simulator
        cells = [
            f"`{room}`",
            ", ".join(furniture),
            ", ".join(sorted(inside - set(furniture))) or "none",
            outside(graph, adapter, room),
            outside(graph, simulator, room),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def outside(graph: grimp.ImportGraph, modules: set[str], room: str) -> str:
    """Return the packages and shelves outside the room that these modules import."""
    imported = {target for module in modules for target in graph.find_modules_directly_imported_by(module)}
    foreign = {target for target in imported if target != room and not target.startswith(f"{room}.")}
    shelves = {".".join(target.split(".")[:2]) if target.startswith("gateway.") else target for target in foreign}
    return ", ".join(f"`{shelf}`" for shelf in sorted(shelves)) or "nothing"


def drawn(tree: Path = ROOT) -> str:
    """Return everything that stands between the two marks in the page."""
    graph = graph_of(tree)
    arrows = arrows_of(graph)
    return f"{drawing(arrows)}\n\n{floor_table(arrows)}\n\n{adapter_table(graph)}\n"


def between(begin: str, end: str, text: str, page: str) -> str:
    """Return the page with this text between the two marks; end the program if the page lacks them."""
    before, first, rest = page.partition(begin)
    _, last, after = rest.partition(end)
    if not first or not last:
        raise SystemExit(f"the page lacks the marks {begin.strip()} and {end.strip()}")
    return f"{before}{begin}\n{text}\n{end}{after}"


def main() -> int:
    """Write the drawing, or only tell whether it is stale; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the drawing is stale")
    arguments = parser.parse_args()
    page = PAGE.read_text("utf-8")
    current = between(BEGIN, END, drawn(), page)
    if current == page:
        return 0
    if arguments.check:
        sys.stderr.write(f"{PAGE.relative_to(ROOT)} shows rooms that have changed since: make rooms\n")
        return 1
    PAGE.write_text(current, "utf-8")
    sys.stdout.write(f"drawn: {PAGE.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
