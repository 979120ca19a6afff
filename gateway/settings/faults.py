"""Describe the faults of a configuration in plain words."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from gateway.domain.errors import Misconfigured
from gateway.domain.texts import Text, text
from gateway.settings.types import PATTERNS


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the configuration."""

    file: str  # path, relative to the parent of the configuration directory
    key: str  # such as "server.port"; empty if the whole file is faulty
    found: str  # the value; empty if it is not shown
    problem: str  # the problem and its remedy

    def __str__(self) -> str:
        return self.in_words("found")

    def in_words(self, label: str) -> str:
        """Return the fault as one line; `label` is the word before the value, "found" in the reader's language."""
        where = f"{self.file}: {self.key}" if self.key else self.file
        value = f" ({label}: {self.found})" if self.found else ""
        return f"{where}: {self.problem}{value}"


class Faults(Misconfigured):
    """All faults of a configuration together."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join([self.headline(faults), *(f"  {fault}" for fault in faults)]))
        self.faults = faults

    @staticmethod
    def headline(faults: list[Fault]) -> Text:
        """Return the line above the faults, with their number."""
        if len(faults) == 1:
            return text("1 fault in the configuration:")
        return text("{count} faults in the configuration:", count=len(faults))


def toml_problem(exc: tomllib.TOMLDecodeError, content: str) -> str:
    """Return the parser's message with the offending line and the most likely cause."""
    message = str(exc)
    hints = {
        "Illegal character '\\n'": text("a closing quote is missing?"),
        "Unterminated string": text("a closing quote is missing?"),
        'Expected "\'"': text("a closing quote is missing?"),
        "Cannot overwrite a value": text("the key is written twice; keep one"),
        "Duplicate inline table key": text("the key is written twice; keep one"),
        "Cannot declare": text("the table is written twice; put its keys into one"),
        "Invalid value": text("text belongs in quotes"),
    }
    hint = next((hint for start, hint in hints.items() if message.startswith(start)), None)
    place = re.search(r"at line (\d+)", message)
    lines = content.splitlines()
    if place is None or int(place[1]) > len(lines):
        return _with_hint(text("is not TOML: {message}", message=message), hint)
    line = lines[int(place[1]) - 1].strip()
    name, equals, _ = line.partition("=")
    shown = f"{name}{equals} ***" if _SENSITIVE.search(name) else line[:60]
    return _with_hint(text("is not TOML: {message}: {line}", message=message, line=shown), hint)


def _with_hint(problem: Text, hint: Text | None) -> Text:
    return problem if hint is None else text("{problem}; {hint}", problem=problem, hint=hint)


def numbered(place: Sequence[str | int], content: object) -> list[str]:
    """Return the parts of a key for people: elements of lists are counted from 1, with their code or agency."""
    shown = []
    value = content
    for part in place:
        if is_union_branch(part):
            continue
        value = _part_of(value, part)
        if not isinstance(part, int):
            shown.append(part)
            continue
        rule = value if isinstance(value, Mapping) else {}
        name = next((f" ({rule[key]})" for key in ("code", "agency", "classification") if rule.get(key)), "")
        shown.append(f"{part + 1}{name}")
    return shown


def _part_of(value: object, part: str | int) -> object:
    """Return the element of a table or list with this name or number, or `None`."""
    if isinstance(value, Mapping):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return None


_SENSITIVE = re.compile(r"token|secret|password|key(?!word)|(?<!public_)url", re.IGNORECASE)


def is_union_branch(part: object) -> bool:
    """Return whether a part of a pydantic location is the name of a union's member, which is no key of the file."""
    return isinstance(part, str) and (part == "str" or part.startswith("function-"))


def shown_value(key: str, error: ErrorDetails) -> str:
    """Return the value found, shortened to 60 characters; "***" if it may be a secret written in the wrong place."""
    if error["type"] in ("missing", "extra_forbidden") or error["type"].startswith("secret"):
        return ""
    if _SENSITIVE.search(key):
        return "***"
    value = repr(error["input"])
    return value if len(value) <= 60 else value[:57] + "…"


_IN_WORDS = {
    "string_type": text("must be text: write it in quotes"),
    "int_type": text("must be a whole number, without quotes"),
    "float_type": text("must be a number, without quotes"),
    "bool_type": text("must be true or false, without quotes"),
    "list_type": text("must be a list, in square brackets"),
    "dict_type": text("must be a table"),
    "model_type": text("must be a table"),
}


_LIMITS = {  # type of pydantic's error → the name of the limit in its context, and the problem in our words
    "greater_than": ("gt", text("must be greater than {limit}")),
    "greater_than_equal": ("ge", text("must be {limit} or more")),
    "less_than": ("lt", text("must be less than {limit}")),
    "less_than_equal": ("le", text("must be {limit} or less")),
    "string_too_short": ("min_length", text("must have {limit} characters or more")),
    "string_too_long": ("max_length", text("must have {limit} characters or fewer")),
    "too_short": ("min_length", text("must have {limit} entries or more")),
    "too_long": ("max_length", text("must have {limit} entries or fewer")),
    "literal_error": ("expected", text("must be {limit}")),
    "enum": ("expected", text("must be {limit}")),
}


def problem_of(error: ErrorDetails, kind: type[BaseModel], place: list[str]) -> str:
    """Return the problem of a value and its remedy; `kind` is the file's model, `place` the parts of the key."""
    if error["type"] in _IN_WORDS:
        return _IN_WORDS[error["type"]]
    if error["type"] == "string_pattern_mismatch" and error["ctx"]["pattern"] in PATTERNS:
        return PATTERNS[error["ctx"]["pattern"]]
    if error["type"] == "secret_absent" and place[0] == "encryption":
        return text(
            "{path} does not exist; restore it from the backup (only for a first installation: run_gateway.py init)",
            path=error["ctx"]["path"],
        )
    if error["type"] == "secret_by_value":
        forms = {"env": '{ env = "NAME" }', "file": '{ file = "path" }'}
        return text("write a reference: {env} or {file}, not the value", **forms)
    if error["type"] in _LIMITS:
        name, problem = _LIMITS[error["type"]]
        limit = str(error["ctx"][name]).replace(" or ", ", ")
        return Text(problem, limit=limit)
    if error["type"] == "missing":
        return _missing(kind, place)
    if error["type"] == "extra_forbidden":
        return _unknown_setting(kind, place)
    message = error["msg"].removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def _missing(kind: type[BaseModel], place: list[str]) -> Text:
    description = _description(kind, place)
    if not description:
        return text("is missing; add it")
    return text("is missing; add it: {description}", description=description)


def _unknown_setting(kind: type[BaseModel], place: list[str]) -> Text:
    names = _fields_at(kind, place[:-1])
    similar = get_close_matches(place[-1], names, n=1)
    if similar:
        return text("is not a setting; did you mean {name}?", name=repr(similar[0]))
    return text("is not a setting; there are: {listed}", listed=", ".join(names))


def _model_at(kind: type[BaseModel], place: list[str]) -> type[BaseModel] | None:
    """Return the model of the table at a place, or `None` if the place is no table with a model."""
    model = kind
    for name in place:
        if name.isdigit():  # an element of a list has the model of the list
            continue
        field = model.model_fields.get(name)
        if field is None:
            return None
        candidates = (field.annotation, *getattr(field.annotation, "__args__", ()))
        models = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not models:
            return None
        model = models[0]
    return model


def _fields_at(kind: type[BaseModel], place: list[str]) -> list[str]:
    model = _model_at(kind, place)
    return list(model.model_fields) if model else []


def _description(kind: type[BaseModel], place: list[str]) -> str:
    model = _model_at(kind, place[:-1])
    field = model.model_fields.get(place[-1]) if model else None
    return (field.description or "") if field else ""
