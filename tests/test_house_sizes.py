"""The sizes that CONTRIBUTING.md promises, measured."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
MODULE = 250
FUNCTION = 30
TEST_FILE = 400
ANY = 40

# A path, or "path: function", with the reason why it may be longer. Add one only if no cut makes the code clearer.
EXCEPTIONS: dict[str, str] = {}


@pytest.fixture(scope="module")
def measures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_measures", ROOT / "docs" / "measures.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def too_long(sizes: list[Any], limit: int) -> list[str]:
    """Return what is longer than the limit and is no exception, with its lines."""
    return [str(size) for size in sizes if size.lines > limit and size.name not in EXCEPTIONS]


def test_no_module_is_too_long(measures: ModuleType) -> None:
    assert too_long(measures.file_sizes(measures.product(ROOT)), MODULE) == []


def test_no_function_is_too_long(measures: ModuleType) -> None:
    assert too_long(measures.function_sizes(measures.product(ROOT)), FUNCTION) == []


def test_no_test_file_is_too_long(measures: ModuleType) -> None:
    assert too_long(measures.file_sizes(measures.tests(ROOT)), TEST_FILE) == []


def test_any_is_rare(measures: ModuleType) -> None:
    by_file = {source.path.as_posix(): len(measures.any_lines(source)) for source in measures.product(ROOT)}
    assert sum(by_file.values()) < ANY, {path: number for path, number in by_file.items() if number}


def test_every_any_has_its_reason_beside_it(measures: ModuleType) -> None:
    files = {source.path.as_posix(): measures.any_without_reason(source) for source in measures.product(ROOT)}
    assert {path: lines for path, lines in files.items() if lines} == {}


def test_every_exception_is_still_needed(measures: ModuleType) -> None:
    product, tests = measures.product(ROOT), measures.tests(ROOT)
    limits = [
        (measures.file_sizes(product), MODULE),
        (measures.function_sizes(product), FUNCTION),
        (measures.file_sizes(tests), TEST_FILE),
    ]
    needed = {size.name for sizes, limit in limits for size in sizes if size.lines > limit}
    assert sorted(EXCEPTIONS.keys() - needed) == []


def test_contributing_names_these_limits() -> None:
    page = " ".join((ROOT / "CONTRIBUTING.md").read_text("utf-8").split())
    promise = f"a module at most {MODULE} lines, a function at most {FUNCTION}, a test file at most {TEST_FILE}"
    assert promise in page
    assert f"fewer than {ANY} `Any`" in page


# --- the measures themselves -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "imperative"),
    [
        ("Return the row.", True),
        ("Pass the batch on.", True),
        ("Writes them.", False),
        ("What becomes of a message.", False),
        ("`code` of a region.", False),
    ],
)
def test_a_verb_in_the_imperative_is_recognised(measures: ModuleType, line: str, imperative: bool) -> None:
    assert measures.is_imperative(line) is imperative


def test_a_function_is_measured_without_decorators_and_docstring(measures: ModuleType) -> None:
    text = '@cache\ndef f() -> int:\n    """Return it.\n\n    Twice.\n    """\n    x = 1\n    return x\n'
    (size,) = measures.function_sizes([measures.Source(Path("a.py"), text)])
    assert size.lines == 3
    assert size.name == "a.py: f"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("x: Any = 1\n", [1]),
        ("x: Any = 1  # the library has no types\n", []),
        ("# The library has no types.\nx: Any = 1\n", []),
        ("from typing import Any\n", []),
    ],
)
def test_an_any_without_a_comment_is_reported(measures: ModuleType, text: str, lines: list[int]) -> None:
    assert measures.any_without_reason(measures.Source(Path("a.py"), text)) == lines


def test_a_run_of_six_equal_lines_counts_as_duplicated(measures: ModuleType) -> None:
    run = "".join(f"call({number})\n" for number in range(6))
    files = [measures.Source(Path("a.py"), f"first()\n{run}"), measures.Source(Path("b.py"), f"{run}last()\n")]
    assert measures.duplicated_lines(files) == 12
