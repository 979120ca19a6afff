"""Reads a configuration directory and checks everything at once.

`load` reports all faults together, each with file, key, value found and remedy.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.errors import Misconfigured
from gateway.ports import ChannelContext
from gateway.registry import Registry
from gateway.settings import COMMANDS, ChannelConfig, ChannelFile, GatewayFile, Region, RegionFile, Settings

M = TypeVar("M", bound=BaseModel)


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
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"{count} in the configuration:\n" + "\n".join(f"  {fault}" for fault in faults))
        self.faults = faults


def load(directory: Path, registry: Registry) -> Settings:
    """Read a configuration directory; raises `Faults` with everything that is wrong in it.

    Relative paths in it (database, secrets) are relative to the directory's parent.
    """
    reader = _Reader(directory, registry)
    main = reader.model(reader.main_path, GatewayFile)
    region_files = sorted((directory / "regions").glob("*.toml"))
    regions = [(path, reader.model(path, RegionFile)) for path in region_files]
    if not region_files:
        reader.faults.append(
            Fault(str(directory / "regions"), "", "", "there is no region file; add one <code>-<name>.toml")
        )
    built = []
    shared = main.adapters if main else reader.shared_adapters()
    base = main.server.public_url.rstrip("/") if main else "http://invalid"
    for path, region in regions:
        if region:
            built.append(Region(file=region, channels=reader.channels(path, region, shared, base)))
    reader.compare([(path, region) for path, region in regions if region], main)
    if reader.faults or main is None:
        raise Faults(reader.faults)
    return Settings(root=reader.root, gateway=main, regions=tuple(built))


class _Reader:
    """Reads files and gathers faults instead of stopping at the first."""

    def __init__(self, directory: Path, registry: Registry) -> None:
        self.root, self.main_path = directory.resolve().parent, directory / "gateway.toml"
        self.faults, self._registry = list[Fault](), registry

    def _show(self, path: Path) -> str:
        return str(path.resolve().relative_to(self.root)) if path.resolve().is_relative_to(self.root) else str(path)

    def _toml(self, path: Path) -> dict[str, Any] | None:
        try:
            return tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            self.faults.append(Fault(self._show(path), "", "", "the file does not exist; use --config DIRECTORY"))
        except OSError as exc:
            self.faults.append(Fault(self._show(path), "", "", f"cannot be read: {exc.strerror}"))
        except UnicodeDecodeError:
            self.faults.append(Fault(self._show(path), "", "", "is not UTF-8 text"))
        except tomllib.TOMLDecodeError as exc:
            self.faults.append(Fault(self._show(path), "", "", f"is not TOML: {exc}"))
        return None

    def model(self, path: Path, kind: type[M]) -> M | None:
        given = self._toml(path)
        return None if given is None else self._checked(path, "", kind, given)

    def shared_adapters(self) -> dict[str, dict[str, Any]]:
        """Return what a faulty gateway.toml says of adapters, so that region files are judged fairly all the same."""
        try:
            found = tomllib.loads(self.main_path.read_text("utf-8")).get("adapters", {})
        except (OSError, ValueError):
            return {}
        return {k: v for k, v in found.items() if isinstance(v, dict)} if isinstance(found, dict) else {}

    def _checked(
        self, path: Path, prefix: str, kind: type[M], given: Mapping[str, Any], shared: Mapping[str, str] | None = None
    ) -> M | None:
        """Check values against a model; `shared` names the keys that come from gateway.toml, and where they stand."""
        try:
            return kind.model_validate(given, context={"root": self.root})
        except ValidationError as exc:
            for error in exc.errors():
                place = [str(part) for part in error["loc"] if not _is_union_branch(part)]
                table = (shared or {}).get(place[0]) if place else None
                key = ".".join(([table or prefix] if table or prefix else []) + place)
                file = self._show(self.main_path if table else path)
                fault = Fault(file, key, _found(key, error), _problem(error, kind, place))
                if fault not in self.faults:  # what channels share is wrong once, however many they are
                    self.faults.append(fault)
            return None

    def channels(
        self, path: Path, region: RegionFile, shared: Mapping[str, Mapping[str, Any]], base: str
    ) -> tuple[ChannelConfig, ...]:
        built = []
        for name, given in region.channels.items():
            prefix = f"channels.{name}"
            channel = self._checked(path, prefix, ChannelFile, given)
            if channel is None:
                continue
            try:
                adapter = self._registry.adapter(channel.adapter)
            except Misconfigured as exc:
                self.faults.append(Fault(self._show(path), f"{prefix}.adapter", repr(channel.adapter), exc.message))
                continue
            own = {key: value for key, value in given.items() if key not in ("adapter", "replies")}
            common = shared.get(channel.adapter, {})
            origin = {key: f"adapters.{channel.adapter}" for key in common if key not in own}
            settings = self._checked(path, prefix, adapter.Settings, {**common, **own}, origin)
            if settings is not None:
                context = ChannelContext(
                    region=region.code, channel=name, webhook_url=f"{base}/in/{region.code}/{name}"
                )
                built.append(
                    ChannelConfig(
                        region=region.code,
                        name=name,
                        adapter_key=channel.adapter,
                        replies=channel.replies,
                        settings=settings,
                        context=context,
                    )
                )
        return tuple(built)

    def compare(self, regions: list[tuple[Path, RegionFile]], main: GatewayFile | None) -> None:
        """Find what is right in each file but wrong together."""
        codes: dict[str, Path] = {}
        keywords: dict[str, Path] = {}
        for path, region in regions:
            if region.code in codes:
                other = self._show(codes[region.code])
                self.faults.append(Fault(self._show(path), "code", repr(region.code), f"{other} has the same code"))
            codes[region.code] = path
            for word in region.keywords:
                if word in COMMANDS:
                    self.faults.append(Fault(self._show(path), "keywords", repr(word), "is a command; choose another"))
                elif word in keywords:
                    other = self._show(keywords[word])
                    self.faults.append(Fault(self._show(path), "keywords", repr(word), f"{other} has the same keyword"))
                keywords[word] = path
        known = {rule.code for rule in main.categories} if main else None
        rules = [(path, route) for path, region in regions for route in region.routes]
        rules += [(self.main_path, route) for route in (main.routes if main else [])]
        for path, route in rules:
            if known is not None and route.category is not None and route.category not in known:
                listed = ", ".join(sorted(known)) or "none"
                problem = f"there is no [[categories]] with this code; there are: {listed}"
                self.faults.append(Fault(self._show(path), "routes.category", repr(route.category), problem))
        for key in main.adapters if main else ():
            try:
                self._registry.spec(key)
            except Misconfigured as exc:
                self.faults.append(Fault(self._show(self.main_path), f"adapters.{key}", "", exc.message))


_SENSITIVE = re.compile(r"token|secret|password|key(?!word)|(?<!public_)url", re.IGNORECASE)


def _is_union_branch(part: object) -> bool:
    """Tell pydantic's names of union members from keys; they mean nothing to a reader."""
    return isinstance(part, str) and (part == "str" or part.startswith("function-"))


def _found(key: str, error: Mapping[str, Any]) -> str:
    """Show the value found, but never one that may be a secret written in the wrong place."""
    if error["type"] in ("missing", "extra_forbidden") or error["type"].startswith("secret"):
        return ""
    text = repr(error["input"])
    return "***" if _SENSITIVE.search(key) else text if len(text) <= 60 else text[:57] + "…"


def _problem(error: Mapping[str, Any], kind: type[BaseModel], place: list[str]) -> str:
    message: str = error["msg"].removeprefix("Value error, ")
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
