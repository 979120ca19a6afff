"""Count the sizes, types and sentences of trees, one column per tree.

`python docs/counts.py before=../old after=.` prints the table and the modules per folder as Markdown; with
`--into docs/adr/0014-rooms.md` it writes them between the two marks of that page.
"""

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


BEGIN = "<!-- counts -->\n"
END = "<!-- counts: end -->\n"

# Each row of the table: its head, and the cell for a tree.
ROWS: dict[str, Callable[[Path], object]] = {
    "rooms of gateway, floors, arrows": lambda tree: "{}, {}, {}".format(*rooms.counts(tree)),
    "modules": lambda tree: sum(measures.folders(tree).values()),
    "folders": lambda tree: len(measures.folders(tree)),
    "most modules in one folder": lambda tree: "{1} {0}".format(*measures.folders(tree).most_common(1)[0]),
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


def table(trees: dict[str, Path]) -> str:
    """Return the counts as a Markdown table."""
    lines = [["", *trees], ["---"] * (len(trees) + 1)]
    lines += [[head, *(str(cell(tree)) for tree in trees.values())] for head, cell in ROWS.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def folder_list(trees: dict[str, Path]) -> str:
    """Return the modules per folder as a Markdown list, one item per tree and top folder."""
    lines = []
    for name, tree in trees.items():
        counted = sorted(item for item in measures.folders(tree).items() if item[0] != ".")
        for top, group in groupby(counted, key=lambda item: item[0].split("/")[0]):
            cells = ", ".join(f"{folder.removeprefix(f'{top}/')} {count}" for folder, count in group)
            lines.append(f"- {name}, {top}: {cells}")
    return "\n".join(lines)


def named_tree(argument: str) -> tuple[str, Path]:
    """Return the name of a column and its tree from `name=path`; without a name the folder's name is used."""
    name, _, path = argument.rpartition("=")
    return name or Path(path).resolve().name, Path(path)


def main() -> None:
    """Print the table and the modules per folder, or write them into a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trees", nargs="*", help="name=path of a checkout; without one, this checkout")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="write into this page instead of printing")
    arguments = parser.parse_args()
    trees = dict(map(named_tree, arguments.trees or [f"now={ROOT}"]))
    text = f"{table(trees)}\n\nModules per folder:\n\n{folder_list(trees)}\n"
    if arguments.into:
        page = arguments.into.read_text("utf-8")
        arguments.into.write_text(rooms.between(BEGIN, END, text, page), "utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
