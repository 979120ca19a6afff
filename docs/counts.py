"""Count the sizes, types and sentences of trees: `python docs/counts.py [TREE ...]` prints one column per tree."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))

import measures  # noqa: E402  the module beside this file, from wherever it is run
import rooms  # noqa: E402


def names(sizes: Iterable[measures.Size]) -> str:
    """Return the three longest, for a cell of a table."""
    return "<br>".join(str(size) for size in list(sizes)[:3])


# Each row of the table: its head, and the cell for a tree.
ROWS: dict[str, Callable[[Path], object]] = {
    "rooms of gateway, floors, arrows": lambda tree: "{}, {}, {}".format(*rooms.counts(tree)),
    "modules": lambda tree: sum(measures.folders(tree).values()),
    "folders": lambda tree: len(measures.folders(tree)),
    "most modules in one folder": lambda tree: "{1} `{0}`".format(*measures.folders(tree).most_common(1)[0]),
    "modules over 250 lines": lambda tree: sum(
        size.lines > 250 for size in measures.file_sizes(measures.product(tree))
    ),
    "longest modules": lambda tree: names(measures.file_sizes(measures.product(tree))),
    "functions over 30 lines": lambda tree: sum(
        size.lines > 30 for size in measures.function_sizes(measures.product(tree))
    ),
    "longest functions": lambda tree: names(measures.function_sizes(measures.product(tree))),
    "test files over 400 lines": lambda tree: sum(
        size.lines > 400 for size in measures.file_sizes(measures.tests(tree))
    ),
    "longest test files": lambda tree: names(measures.file_sizes(measures.tests(tree))),
    "`Any`": lambda tree: sum(len(measures.any_lines(source)) for source in measures.product(tree)),
    "first lines of docstrings": lambda tree: len(list(measures.first_lines(measures.product(tree)))),
    "… of functions, verb first": lambda tree: sum(
        measures.is_imperative(line)
        for of_function, line in measures.first_lines(measures.product(tree))
        if of_function
    ),
    "… of functions, in another form": lambda tree: sum(
        not measures.is_imperative(line)
        for of_function, line in measures.first_lines(measures.product(tree))
        if of_function
    ),
    "… that hinge on what, who, where, whatever": lambda tree: sum(
        bool(measures.HINGES.search(line)) for _, line in measures.first_lines(measures.product(tree))
    ),
    "duplicated lines (runs of six)": lambda tree: measures.duplicated_lines(measures.product(tree)),
    "duplicated lines in tests": lambda tree: measures.duplicated_lines(measures.tests(tree)),
}


def table(trees: list[Path]) -> str:
    """Return the counts as a Markdown table, one column per tree."""
    columns = [tree.resolve().name for tree in trees]
    lines = [["", *columns], ["---"] * (len(columns) + 1)]
    lines += [[head, *(str(cell(tree)) for tree in trees)] for head, cell in ROWS.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def folder_list(trees: list[Path]) -> str:
    """Return the modules per folder as text, one line per tree and top folder."""
    lines = []
    for tree in trees:
        counted = sorted(measures.folders(tree).items())
        for top, group in groupby(counted, key=lambda item: item[0].split("/")[0]):
            cells = ", ".join(f"{folder.removeprefix(f'{top}/')} {count}" for folder, count in group)
            lines.append(f"- {tree.resolve().name}, {top}: {cells}")
    return "\n".join(lines)


def main() -> None:
    """Print the table and the modules per folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "trees", nargs="*", type=Path, default=[ROOT], help="folders of checkouts; without one, this checkout"
    )
    trees = parser.parse_args().trees
    print(f"{table(trees)}\n\nModules per folder:\n\n{folder_list(trees)}")  # noqa: T201


if __name__ == "__main__":
    main()
