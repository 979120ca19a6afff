"""What is wrong with a configuration, in words."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel

from gateway.domain.errors import Misconfigured
from gateway.settings.types import PATTERNS


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in the configuration."""

    file: str
    key: str
    found: str
    problem: str

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        found = f" (found: {self.found})" if self.found else ""
        return f"{where}: {self.problem}{found}"


class Faults(Misconfigured):
    """All faults of a configuration, found in one go."""

    def __init__(self, faults: list[Fault]) -> None:
        count = f"{len(faults)} kesalahan konfigurasi / {len(faults)} fault{'' if len(faults) == 1 else 's'}"
        super().__init__(f"{count} in the configuration:\n" + "\n".join(f"  {fault}" for fault in faults))
        self.faults = faults


def toml_problem(exc: tomllib.TOMLDecodeError, text: str) -> str:
    """Say what the parser says, where it says it of which line, and what that mostly comes from."""
    said = str(exc)
    hints = {
        "Illegal character '\\n'": "a closing quote is missing?",
        "Unterminated string": "a closing quote is missing?",
        'Expected "\'"': "a closing quote is missing?",
        "Cannot overwrite a value": "the key is written twice; keep one",
        "Duplicate inline table key": "the key is written twice; keep one",
        "Cannot declare": "the table is written twice; put its keys into one",
        "Invalid value": "text belongs in quotes",
    }
    hint = next((f"; {hint}" for start, hint in hints.items() if said.startswith(start)), "")
    place = re.search(r"at line (\d+)", said)
    lines = text.splitlines()
    if place is None or int(place[1]) > len(lines):
        return f"is not TOML: {said}{hint}"
    line = lines[int(place[1]) - 1].strip()
    name, equals, _ = line.partition("=")
    shown = f"{name}{equals} ***" if _SENSITIVE.search(name) else line[:60]
    return f"is not TOML: {said}: {shown}{hint}"


def numbered(loc: Sequence[Any], given: Any) -> list[str]:
    """Return a key's parts as a reader counts: the first of a list is 1; a rule is named by its code or agency."""
    shown = []
    for part in loc:
        if is_union_branch(part):
            continue
        try:
            given = given[part]
        except (LookupError, TypeError):
            given = None
        name = ""
        if isinstance(part, int) and isinstance(given, Mapping):
            name = next((f" ({given[key]})" for key in ("code", "agency", "classification") if given.get(key)), "")
        shown.append(f"{part + 1}{name}" if isinstance(part, int) else str(part))
    return shown


_SENSITIVE = re.compile(r"token|secret|password|key(?!word)|(?<!public_)url", re.IGNORECASE)


def is_union_branch(part: object) -> bool:
    """Tell pydantic's names of union members from keys; they mean nothing to a reader."""
    return isinstance(part, str) and (part == "str" or part.startswith("function-"))


def shown_value(key: str, error: Mapping[str, Any]) -> str:
    """Show the value found, but never one that may be a secret written in the wrong place."""
    if error["type"] in ("missing", "extra_forbidden") or error["type"].startswith("secret"):
        return ""
    text = repr(error["input"])
    return "***" if _SENSITIVE.search(key) else text if len(text) <= 60 else text[:57] + "…"


_IN_WORDS = {
    "string_type": "must be text: write it in quotes",
    "int_type": "must be a whole number, without quotes",
    "float_type": "must be a number, without quotes",
    "bool_type": "must be true or false, without quotes",
    "list_type": "must be a list, in square brackets",
    "dict_type": "must be a table",
    "model_type": "must be a table",
}


def problem_of(error: Mapping[str, Any], kind: type[BaseModel], place: list[str]) -> str:
    """Return in words what is wrong with a value, and what to do about it."""
    message: str = error["msg"].removeprefix("Value error, ")
    if error["type"] in _IN_WORDS:
        return _IN_WORDS[error["type"]]
    if error["type"] == "string_pattern_mismatch" and error["ctx"]["pattern"] in PATTERNS:
        return PATTERNS[error["ctx"]["pattern"]]
    if error["type"] == "secret_absent" and place[0] == "encryption":
        return f"{error['ctx']['path']} does not exist; restore it from the backup (only for a first installation: run_gateway.py init)"
    if error["type"] == "missing":
        description = _description(kind, place)
        return "is missing; add it" + (f": {description}" if description else "")
    if error["type"] == "extra_forbidden":
        names = _fields_at(kind, place[:-1])
        near = get_close_matches(place[-1], names, n=1)
        return "is not a setting; " + (f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}")
    return message[0].lower() + message[1:]


def _model_at(kind: type[BaseModel], place: list[str]) -> type[BaseModel] | None:
    model: Any = kind
    for name in place:
        if name.isdigit():
            continue
        field = model.model_fields.get(name)
        if field is None:
            return None
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
        if model is None:
            return None
    return model  # type: ignore[no-any-return]


def _fields_at(kind: type[BaseModel], place: list[str]) -> list[str]:
    model = _model_at(kind, place)
    return list(model.model_fields) if model else []


def _description(kind: type[BaseModel], place: list[str]) -> str:
    model = _model_at(kind, place[:-1])
    field = model.model_fields.get(place[-1]) if model else None
    return (field.description or "") if field else ""
