"""Secrets by reference: `{ env = "NAME" }` or `{ file = "path" }`, never a value in a configuration file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic_core import PydanticCustomError, core_schema


class Secret:
    """A value that shows itself only when asked by name; printing, formatting and logging give `***`."""

    __slots__ = ("_value", "origin")

    def __init__(self, value: str, origin: str = "given in code") -> None:
        self._value = value
        self.origin = origin  # where it came from, for error messages: "env NAME" or "file path"

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret(*** from {self.origin})"

    __str__ = __repr__

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._resolve, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        reference = {"type": "string", "minLength": 1}
        return {
            "oneOf": [
                {
                    "type": "object",
                    "properties": {kind: reference},
                    "required": [kind],
                    "additionalProperties": False,
                }
                for kind in ("env", "file")
            ],
            "description": 'A reference to a secret: { env = "NAME" } or { file = "path" }.',
        }

    @classmethod
    def _resolve(cls, given: object, info: ValidationInfo) -> Secret:
        if isinstance(given, Secret):
            return given
        if not isinstance(given, dict) or len(given) != 1 or next(iter(given)) not in ("env", "file"):
            raise PydanticCustomError(
                "secret_by_value", 'write a reference: { env = "NAME" } or { file = "path" }, not the value'
            )
        ((kind, name),) = given.items()
        if not isinstance(name, str) or not name:
            raise PydanticCustomError("secret_reference", "the reference must be a name in quotes")
        value = _from_env(name) if kind == "env" else _from_file(name, info)
        return cls(value, f"{kind} {name}")


def _from_env(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise PydanticCustomError(
            "secret_missing", "set the environment variable {name} (it is missing or empty)", {"name": name}
        )
    return value


def _from_file(name: str, info: ValidationInfo) -> str:
    base = Path((info.context or {}).get("root", "."))
    path = base / name
    try:
        value = path.read_text("utf-8").strip()
    except FileNotFoundError as exc:
        raise PydanticCustomError(
            "secret_absent",
            "{path} does not exist; create it, or for a trial let `run_gateway.py init` make it",
            {"path": str(path)},
        ) from exc
    except PermissionError as exc:
        raise PydanticCustomError(
            "secret_unreadable",
            "{path} is not readable by this user; give it to them with chown, or let them read it with chmod",
            {"path": str(path)},
        ) from exc
    except OSError as exc:
        why = exc.strerror or type(exc).__name__
        raise PydanticCustomError(
            "secret_missing",
            "cannot read {path}: {why}",
            {"path": str(path), "why": why},
        ) from exc
    except UnicodeDecodeError as exc:
        raise PydanticCustomError("secret_missing", "{path} is not UTF-8 text", {"path": str(path)}) from exc
    if not value:
        raise PydanticCustomError("secret_missing", "{path} is empty", {"path": str(path)})
    return value
