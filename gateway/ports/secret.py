"""Secrets by reference: `{ env = "NAME" }` or `{ file = "path" }`, never a value in a configuration file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationInfo
from pydantic_core import PydanticCustomError, core_schema

from gateway.domain.texts import text

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue  # not at run time: the import is slow, and only `check` needs it


class Secret:
    """A secret value: `reveal` returns it; printing, formatting and logging show `***`."""

    __slots__ = ("_value", "origin")

    def __init__(self, value: str, origin: str = "code") -> None:
        self._value = value
        self.origin = origin  # for error messages: "env NAME" or "file path"

    def reveal(self) -> str:
        """Return the secret value."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret(*** from {self.origin})"

    __str__ = __repr__

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._resolve, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
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
    def _resolve(cls, reference: object, info: ValidationInfo) -> Secret:
        if isinstance(reference, Secret):
            return reference
        if not isinstance(reference, dict) or len(reference) != 1 or next(iter(reference)) not in ("env", "file"):
            raise PydanticCustomError(
                "secret_by_value", 'write a reference: { env = "NAME" } or { file = "path" }, not the value'
            )
        ((kind, name),) = reference.items()
        if not isinstance(name, str) or not name:
            raise PydanticCustomError("secret_reference", text("the reference must be a name in quotes"))
        value = _from_env(name) if kind == "env" else _from_file(name, info)
        return cls(value, f"{kind} {name}")


def _from_env(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise PydanticCustomError(
            "secret_missing", text("set the environment variable {name} (it is missing or empty)"), {"name": name}
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
            text("{path} does not exist; create it, or for a trial let `run_gateway.py init` make it"),
            {"path": str(path)},
        ) from exc
    except PermissionError as exc:
        raise PydanticCustomError(
            "secret_unreadable",
            text("{path} is not readable by this user; give it to them with chown, or let them read it with chmod"),
            {"path": str(path)},
        ) from exc
    except OSError as exc:
        why = exc.strerror or type(exc).__name__
        raise PydanticCustomError(
            "secret_missing",
            text("cannot read {path}: {why}"),
            {"path": str(path), "why": why},
        ) from exc
    except UnicodeDecodeError as exc:
        raise PydanticCustomError("secret_missing", text("{path} is not UTF-8 text"), {"path": str(path)}) from exc
    if not value:
        raise PydanticCustomError("secret_missing", text("{path} is empty"), {"path": str(path)})
    return value
