"""Measure the source files of a tree: sizes, `Any`, forms of docstrings, duplicated lines.

`docs/counts.py` prints these counts; `tests/test_house_sizes.py` checks the promises of CONTRIBUTING.md with them.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PRODUCT = ("gateway", "adapters", "run_gateway.py")
SKIPPED = {".venv", "__pycache__", "build", "dist", "node_modules", "var"}

Function = ast.FunctionDef | ast.AsyncFunctionDef

# A first line with one of these words describes a thing by a second sentence about it, and has to be read twice.
HINGES = re.compile(r"\b(?:wh(?:at|o|om|ose|ere)(?:ever)?|whichever)\b", re.IGNORECASE)
# A first word that is no verb. Any other capitalised word counts as an imperative, unless it ends like "writes".
NO_VERBS = {
    *(
        "A",
        "All",
        "An",
        "Any",
        "As",
        "At",
        "Each",
        "Every",
        "Everything",
        "How",
        "In",
        "Its",
        "Keys",
        "No",
        "One",
        "Only",
        "Our",
    ),
    *(
        "Random",
        "Something",
        "That",
        "The",
        "There",
        "These",
        "This",
        "True",
        "What",
        "When",
        "Where",
        "Whether",
        "Which",
        "Who",
    ),
}

RUN = 6  # so many equal lines in a row count as duplicated


@dataclass(frozen=True)
class Size:
    """One file or function with its length in lines."""

    lines: int
    name: str

    def __str__(self) -> str:
        return f"{self.lines} {self.name}"


@dataclass(frozen=True)
class Source:
    """One Python file of a tree."""

    path: Path  # relative to the tree
    text: str

    @property
    def is_test(self) -> bool:
        """Tell whether it lies in a folder `tests`."""
        return "tests" in self.path.parts

    @property
    def lines(self) -> int:
        """Return the number of lines, blank ones too."""
        return len(self.text.splitlines())

    def parsed(self) -> ast.Module:
        """Return the syntax tree."""
        return ast.parse(self.text)


def sources(tree: Path, tops: Iterable[str]) -> list[Source]:
    """Return all Python files below these folders of the tree, sorted by path."""
    paths = [path for top in tops for path in ([tree / top] if top.endswith(".py") else (tree / top).rglob("*.py"))]
    relative = sorted(path.relative_to(tree) for path in paths if path.is_file())
    return [Source(path, (tree / path).read_text("utf-8")) for path in relative if not SKIPPED & set(path.parts)]


def product(tree: Path) -> list[Source]:
    """Return the files that are shipped, without migrations: those are written once and never read again."""
    return [source for source in sources(tree, PRODUCT) if not source.is_test and "migrations" not in source.path.parts]


def tests(tree: Path) -> list[Source]:
    """Return the test files, those in the adapters' folders too."""
    return [source for source in sources(tree, ("tests", "adapters")) if source.is_test]


def functions(source: Source) -> Iterator[tuple[str, Function]]:
    """Yield every function of a file with its name, `Class.name` for a method."""

    def walk(node: ast.AST, outer: tuple[str, ...]) -> Iterator[tuple[str, Function]]:
        for child in ast.iter_child_nodes(node):
            named = isinstance(child, Function | ast.ClassDef)
            inner = (*outer, child.name) if isinstance(child, Function | ast.ClassDef) else outer
            if isinstance(child, Function):
                yield ".".join(inner), child
            yield from walk(child, inner if named else outer)

    yield from walk(source.parsed(), ())


def function_lines(function: Function) -> int:
    """Return the lines of a function with its signature, without decorators and docstring."""
    first = function.body[0]
    has_docstring = ast.get_docstring(function, clean=False) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def function_sizes(files: Iterable[Source]) -> list[Size]:
    """Return the functions of these files, the longest first."""
    found = [
        Size(function_lines(function), f"{source.path.as_posix()}: {name}")
        for source in files
        for name, function in functions(source)
    ]
    return sorted(found, key=lambda size: (-size.lines, size.name))


def file_sizes(files: Iterable[Source]) -> list[Size]:
    """Return these files with their lines, the longest first."""
    found = [Size(source.lines, source.path.as_posix()) for source in files]
    return sorted(found, key=lambda size: (-size.lines, size.name))


def any_lines(source: Source) -> list[int]:
    """Return the line of each `Any` in a file, imports not counted."""
    return sorted(node.lineno for node in ast.walk(source.parsed()) if isinstance(node, ast.Name) and node.id == "Any")


def any_without_reason(source: Source) -> list[int]:
    """Return the lines with an `Any` that have no comment, neither on the line nor in the line above."""
    lines = source.text.splitlines()
    return [
        number
        for number in sorted(set(any_lines(source)))
        if not any("#" in line for line in lines[max(0, number - 2) : number])
    ]


def first_lines(files: Iterable[Source]) -> Iterator[tuple[bool, str]]:
    """Yield the first line of each docstring, and before it whether a function has it."""
    for source in files:
        for node in ast.walk(source.parsed()):
            if isinstance(node, ast.Module | ast.ClassDef | Function):
                docstring = ast.get_docstring(node)
                if docstring:
                    yield isinstance(node, Function), docstring.splitlines()[0]


def is_imperative(line: str) -> bool:
    """Return whether a first line begins with a verb in the imperative."""
    word = re.split(r"[^\w`]", line, maxsplit=1)[0]
    third_person = word.endswith("s") and not word.endswith("ss")
    return word[:1].isupper() and word not in NO_VERBS and not third_person


def duplicated_lines(files: Iterable[Source]) -> int:
    """Return how many lines belong to a run of six that stands in the tree more than once.

    Blank lines, comments and imports are left out, and indentation does not count.
    """
    places: dict[tuple[str, ...], list[tuple[Path, int]]] = defaultdict(list)
    for source in files:
        stripped = [line.strip() for line in source.text.splitlines()]
        lines = [line for line in stripped if line and not line.startswith(("#", "import ", "from "))]
        for start in range(len(lines) - RUN + 1):
            places[tuple(lines[start : start + RUN])].append((source.path, start))
    repeated = {
        (path, start + offset)
        for run in places.values()
        if len(run) > 1
        for path, start in run
        for offset in range(RUN)
    }
    return len(repeated)


def folders(tree: Path) -> Counter[str]:
    """Return the number of modules per folder, `__init__` without code not counted."""
    return Counter(
        source.path.parent.as_posix()
        for source in product(tree)
        if source.path.name != "__init__.py" or len(source.parsed().body) > 1
    )
