"""The fields of log lines: the list in `FIELDS` is that of the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from gateway.domain.errors import Unavailable
from gateway.observe.logs import FIELDS, failure_fields

ROOT = Path(__file__).parents[3]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "bind"}
BY_THE_LIBRARY = {"event", "level", "logger", "timestamp", "error", "trace"}  # structlog, and our processors


def log_calls() -> Iterator[ast.Call]:
    """Yield each call that writes a log line."""
    for top in ("gateway", "adapters"):
        for path in sorted((ROOT / top).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and writes_a_line(node.func) and "tests" not in path.parts:
                    yield node


def writes_a_line(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):
        return function.attr in LEVELS and isinstance(function.value, ast.Name) and function.value.id == "log"
    return isinstance(function, ast.Name) and function.id == "log_batch"


def fields_of(call: ast.Call) -> Iterator[str]:
    """Yield the fields of a call; those of a `**` are the keys of the dictionaries written there."""
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield keyword.arg
        else:
            dictionaries = [node for node in ast.walk(keyword.value) if isinstance(node, ast.Dict)]
            yield from (str(key.value) for table in dictionaries for key in table.keys if isinstance(key, ast.Constant))


def written() -> set[str]:
    fields = {field for call in log_calls() for field in fields_of(call)}
    return (fields | failure_fields(Unavailable()).keys() | BY_THE_LIBRARY) - {
        "exc_info"
    }  # exc_info becomes error, trace


def test_no_written_field_is_dropped() -> None:
    assert sorted(written() - FIELDS) == []


def test_no_field_is_listed_that_nobody_writes() -> None:
    assert sorted(FIELDS - written()) == []


def test_the_calls_are_recognised() -> None:
    (call,) = [
        node
        for node in ast.walk(ast.parse('log.info("x", count=1, **({"a": 2} if y else {}))'))
        if isinstance(node, ast.Call)
    ]
    assert (writes_a_line(call.func), list(fields_of(call))) == (True, ["count", "a"])
