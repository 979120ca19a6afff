"""Reads a configuration directory and checks everything at once.

`load` reports all faults together, each with file, key, value found and remedy.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.domain.commands import COMMANDS
from gateway.domain.errors import Misconfigured
from gateway.domain.texts import text
from gateway.ports import ChannelContext
from gateway.ports.registry import Registry
from gateway.settings.faults import Fault, Faults, is_union_branch, numbered, problem_of, shown_value, toml_problem
from gateway.settings.files import ChannelConfig, ChannelFile, GatewayFile, Region, RegionFile, Settings

M = TypeVar("M", bound=BaseModel)


def load(directory: Path, registry: Registry) -> Settings:
    """Read a configuration directory; raises `Faults` with everything that is wrong in it.

    Relative paths in it (database, secrets) are relative to the directory's parent.
    """
    reader = _Reader(directory, registry)
    main = reader.model(reader.main_path, GatewayFile)
    region_files = _region_files(directory)
    regions = [(path, reader.model(path, RegionFile)) for path in region_files]
    if not region_files:
        reader.faults.append(
            Fault(
                str((directory / "regions").resolve()),
                "",
                "",
                text("there is no region file; add one <code>-<name>.toml"),
            )
        )
    built = []
    shared = main.adapters if main else reader.shared_adapters()
    reader.all_shared = shared is not None and not reader.unknown_adapters(shared)
    base = main.server.public_url.rstrip("/") if main else "http://invalid"
    for path, region in regions:
        if region:
            built.append(Region(file=region, channels=reader.channels(path, region, shared or {}, base)))
    reader.compare([(path, region) for path, region in regions if region], main)
    if reader.faults or main is None:
        raise Faults(reader.faults)
    return Settings(root=reader.root, gateway=main, regions=tuple(built))


def unread(directory: Path) -> list[Path]:
    """Return what lies among the region files and is none: perhaps one that was meant to be."""
    known = _region_files(directory)
    return sorted(p for p in (directory / "regions").glob("*") if p not in known and not p.name.startswith("."))


def _region_files(directory: Path) -> list[Path]:
    return sorted((directory / "regions").glob("*.toml"))


class _Reader:
    """Reads files and gathers faults instead of stopping at the first."""

    def __init__(self, directory: Path, registry: Registry) -> None:
        self.root, self.main_path = directory.resolve().parent, directory / "gateway.toml"
        self.faults, self._registry = list[Fault](), registry
        self.all_shared = True  # whether all that channels share could be read: else what they lack is no fault

    def _show(self, path: Path) -> str:
        return str(path.resolve().relative_to(self.root)) if path.resolve().is_relative_to(self.root) else str(path)

    def _toml(self, path: Path) -> dict[str, Any] | None:
        content = ""
        try:
            content = path.read_text("utf-8-sig")  # some editors begin a file with a byte order mark
            return tomllib.loads(content)
        except FileNotFoundError:
            missing = text("{path} does not exist; use --config DIRECTORY", path=path.resolve())
            self.faults.append(Fault(self._show(path), "", "", missing))
        except OSError as exc:
            self.faults.append(Fault(self._show(path), "", "", text("cannot be read: {cause}", cause=exc.strerror)))
        except UnicodeDecodeError:
            self.faults.append(Fault(self._show(path), "", "", text("is not UTF-8 text")))
        except tomllib.TOMLDecodeError as exc:
            self.faults.append(Fault(self._show(path), "", "", toml_problem(exc, content)))
        return None

    def model(self, path: Path, kind: type[M]) -> M | None:
        given = self._toml(path)
        return None if given is None else self._checked(path, "", kind, given)

    def shared_adapters(self) -> dict[str, dict[str, Any]] | None:
        """Return what a faulty gateway.toml says of adapters, so that region files are judged fairly all the same."""
        try:
            found = tomllib.loads(self.main_path.read_text("utf-8-sig")).get("adapters", {})
        except (OSError, ValueError):
            return None
        return {k: v for k, v in found.items() if isinstance(v, dict)} if isinstance(found, dict) else {}

    def unknown_adapters(self, keys: Iterable[str]) -> dict[str, str]:
        """Return which of gateway.toml's adapters there are not, and what to do."""
        found = {}
        for key in keys:
            try:
                self._registry.spec(key)
            except Misconfigured as exc:
                found[key] = exc.message
        return found

    def _checked(
        self, path: Path, prefix: str, kind: type[M], given: Mapping[str, Any], shared: Mapping[str, str] | None = None
    ) -> M | None:
        """Check values against a model; `shared` names the keys that come from gateway.toml, and where they stand."""
        try:
            return kind.model_validate(given, context={"root": self.root})
        except ValidationError as exc:
            for error in exc.errors():
                place = [str(part) for part in error["loc"] if not is_union_branch(part)]
                if shared is not None and error["type"] == "missing" and not self.all_shared:
                    continue
                table = (shared or {}).get(place[0]) if place else None
                head = [table or prefix] if table or prefix else []
                key = ".".join(head + place)
                file = self._show(self.main_path if table else path)
                shown = ".".join(head + numbered(error["loc"], given))
                fault = Fault(file, shown, shown_value(key, error), problem_of(error, kind, place))
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
                self.faults.append(
                    Fault(self._show(path), "code", repr(region.code), text("{other} has the same code", other=other))
                )
            codes[region.code] = path
            if path.stem != region.code and not path.stem.startswith(f"{region.code}-"):
                problem = text("the file's name must start with its code: {code}-<name>.toml", code=region.code)
                self.faults.append(Fault(self._show(path), "code", repr(region.code), problem))
            for word in region.keywords:
                if word in COMMANDS:
                    self.faults.append(
                        Fault(self._show(path), "keywords", repr(word), text("is a command; choose another"))
                    )
                elif word in keywords:
                    other = self._show(keywords[word])
                    self.faults.append(
                        Fault(
                            self._show(path), "keywords", repr(word), text("{other} has the same keyword", other=other)
                        )
                    )
                keywords[word] = path
        known = {rule.code for rule in main.categories} if main else None
        rules = [(path, *rule) for path, region in regions for rule in enumerate(region.routes, 1)]
        rules += [(self.main_path, *rule) for rule in enumerate(main.routes if main else [], 1)]
        for path, number, route in rules:
            key = f"routes.{number} ({route.agency})"
            if route.region is not None and not any(_related(route.region, code) for code in codes):
                problem = text(
                    "no region file has this code or one above or below it; there are: {listed}",
                    listed=", ".join(codes),
                )
                self.faults.append(Fault(self._show(path), f"{key}.region", repr(route.region), problem))
            if known is not None and route.category is not None and route.category not in known:
                listed = ", ".join(sorted(known)) or "none"
                problem = text("there is no [[categories]] with this code; there are: {listed}", listed=listed)
                self.faults.append(Fault(self._show(path), f"{key}.category", repr(route.category), problem))
        for key, wrong in self.unknown_adapters(main.adapters if main else ()).items():
            self.faults.append(Fault(self._show(self.main_path), f"adapters.{key}", "", wrong))


def _related(one: str, other: str) -> bool:
    """Tell whether two codes are the same region, or one is a part of the other."""
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")
