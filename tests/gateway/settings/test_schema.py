"""The committed JSON Schemas are those of today's code, and the shipped configuration fits them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters import BUILTIN
from gateway.ports.registry import Registry
from gateway.settings.schema import schemas

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["gateway", "region"])
def test_the_committed_schema_is_up_to_date(name: str) -> None:
    committed = json.loads((ROOT / "config" / "schema" / f"{name}.schema.json").read_bytes())
    current = json.loads(json.dumps(schemas(Registry(BUILTIN))[name]))
    assert committed == current, "run: run_gateway.py check --schema config/schema"


@pytest.mark.parametrize("name", ["gateway", "region"])
def test_every_reference_leads_somewhere(name: str) -> None:
    schema = schemas(Registry(BUILTIN))[name]

    def references(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            yield from [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            value = list(value.values())
        if isinstance(value, list):
            for inner in value:
                yield from references(inner)

    for reference in references(schema):
        table = schema
        for part in reference.removeprefix("#/").split("/"):
            table = table[part]


def test_the_shipped_files_name_their_schema_and_fit_it() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    current = schemas(Registry(BUILTIN))
    files = [(ROOT / "config" / "gateway.toml", "gateway")]
    files += [(path, "region") for path in sorted((ROOT / "config" / "regions").glob("*.toml"))]
    for path, name in files:
        jsonschema.validate(tomllib.loads(path.read_text("utf-8")), current[name])


@pytest.mark.parametrize("path", ["gateway.toml", "regions/00-nasional.toml"])
def test_the_shipped_files_tell_editors_where_their_schema_is(path: str) -> None:
    file = ROOT / "config" / path
    first = file.read_text("utf-8").splitlines()[0]
    assert first.startswith("#:schema ")
    assert (file.parent / first.removeprefix("#:schema ")).exists()
