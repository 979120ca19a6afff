"""JSON Schemas of the configuration files, for editors that complete and check TOML."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from gateway.domain.errors import Misconfigured
from gateway.domain.texts import text
from gateway.ports.registry import Registry
from gateway.settings.files import ChannelFile, GatewayFile, RegionFile

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

# A JSON Schema (draft 2020-12) or a part of one; Any, because this is what pydantic's model_json_schema() returns.
Schema = dict[str, Any]


def schemas(registry: Registry) -> dict[str, Schema]:
    """Return the schemas `{"gateway": …, "region": …}`; the settings of a channel are those of its adapter.

    Raises `Misconfigured` if the package of an adapter is not installed, because its settings are then unknown.
    """
    gateway, region = _schema(GatewayFile), _schema(RegionFile)
    channels: list[Schema] = []
    shared: dict[str, Schema] = {}
    tables: Schema = {}
    for key in registry.keys:
        own = _schema(_settings(registry, key), f"{key}.")
        own.pop("$schema")
        tables |= own.pop("$defs", {})
        common = _schema(ChannelFile)["properties"]
        # Not required here, because each channel may have the setting instead.
        shared[key] = {name: value for name, value in own.items() if name != "required"}
        channels.append(
            {
                "type": "object",
                "title": key,
                "properties": {**common, **own["properties"], "adapter": {"const": key}},
                "required": ["adapter"],
                "additionalProperties": False,
            }
        )
    gateway["properties"]["adapters"] = {"type": "object", "properties": shared, "additionalProperties": False}
    region["properties"]["channels"] = {"type": "object", "additionalProperties": {"oneOf": channels}}
    for schema in (gateway, region):
        schema["$defs"] = schema.get("$defs", {}) | tables
    return {"gateway": gateway, "region": region}


def _settings(registry: Registry, key: str) -> type[BaseModel]:
    settings: type[BaseModel] = registry.adapter(key).Settings
    if not issubclass(settings, BaseModel):
        raise Misconfigured(text("adapter {key} has no Settings", key=repr(key)))
    return settings


def _schema(model: type[BaseModel], prefix: str = "") -> Schema:
    """Return a model's schema; `prefix` is put before its tables' names, because two adapters may use the same name."""
    schema = model.model_json_schema(ref_template=f"#/$defs/{prefix}{{model}}")
    if "$defs" in schema:
        schema["$defs"] = {f"{prefix}{name}": table for name, table in schema["$defs"].items()}
    return {"$schema": _DIALECT, **schema}
