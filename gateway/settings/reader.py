"""Read and check a configuration directory. All faults are reported together, each with file, key, value and remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from gateway.domain.errors import Misconfigured
from gateway.domain.texts import text
from gateway.ports import ChannelContext, ChannelSettings
from gateway.ports.registry import Registry
from gateway.settings.across import faults_across
from gateway.settings.faults import Fault, Faults, is_union_branch, numbered, problem_of, shown_value
from gateway.settings.files import (
    ChannelConfig,
    ChannelFile,
    GatewayFile,
    Region,
    RegionFile,
    Settings,
    read_toml,
    region_files,
)

ModelT = TypeVar("ModelT", bound=BaseModel)
Table = Mapping[str, object]


def load(directory: Path, registry: Registry) -> Settings:
    """Return the checked configuration of a directory. Raises `Faults` with all its faults.

    Relative paths in it (database, secrets) are relative to the directory's parent.
    """
    return _Reader(directory, registry).read()


def unread(directory: Path) -> list[Path]:
    """Return the files in regions/ that are not read, except hidden ones: a wrong name may be a mistake."""
    known = region_files(directory)
    return sorted(p for p in (directory / "regions").glob("*") if p not in known and not p.name.startswith("."))


class _Reader:
    """Read the files, and collect all faults instead of stopping at the first."""

    def __init__(self, directory: Path, registry: Registry) -> None:
        self._directory = directory
        self._root = directory.resolve().parent
        self._main_path = directory / "gateway.toml"
        self._registry = registry
        self._faults: list[Fault] = []
        # False if some settings that channels share could not be read: a missing setting of a channel is then no fault.
        self._all_shared = True

    def read(self) -> Settings:
        """Read all files. Raises `Faults`."""
        content = self._toml(self._main_path)
        main = None if content is None else self._checked(self._main_path, "", GatewayFile, content)
        regions = self._regions()
        shared = _shared_settings(content)
        unknown = self._unknown_adapters(shared)
        self._all_shared = content is not None and not unknown
        base = main.server.public_url.rstrip("/") if main else "http://invalid"
        complete = [
            Region(file=region, channels=self._channels(path, region, shared, base)) for path, region in regions.items()
        ]
        names = {self._show(path): region for path, region in regions.items()}
        self._faults += faults_across(names, main, self._show(self._main_path))
        if main is not None:
            self._faults += unknown
        if self._faults or main is None:
            raise Faults(self._faults)
        return Settings(root=self._root, gateway=main, regions=tuple(complete))

    def _show(self, path: Path) -> str:
        """Return a path for a fault: relative to the configuration directory's parent if it is inside."""
        absolute = path.resolve()
        return str(absolute.relative_to(self._root)) if absolute.is_relative_to(self._root) else str(path)

    def _toml(self, path: Path) -> dict[str, object] | None:
        try:
            return read_toml(path, self._show(path))
        except Faults as exc:
            self._faults += exc.faults
            return None

    def _regions(self) -> dict[Path, RegionFile]:
        """Return the region files that could be read and have no fault of their own."""
        paths = region_files(self._directory)
        if not paths:
            folder = str((self._directory / "regions").resolve())
            self._faults.append(Fault(folder, "", "", text("there is no region file; add one <code>-<name>.toml")))
        regions: dict[Path, RegionFile] = {}
        for path in paths:
            content = self._toml(path)
            region = None if content is None else self._checked(path, "", RegionFile, content)
            if region is not None:
                regions[path] = region
        return regions

    def _unknown_adapters(self, keys: Iterable[str]) -> list[Fault]:
        """Return a fault for each adapter of gateway.toml that does not exist."""
        faults = []
        for key in keys:
            try:
                self._registry.spec(key)
            except Misconfigured as exc:
                faults.append(Fault(self._show(self._main_path), f"adapters.{key}", "", exc.message))
        return faults

    def _checked(
        self, path: Path, prefix: str, kind: type[ModelT], content: Table, shared: Mapping[str, str] | None = None
    ) -> ModelT | None:
        """Return the model made of the values, or add faults and return `None`.

        `prefix` is the table's name. `shared` has the keys whose values come from gateway.toml, with their table there.
        """
        try:
            return kind.model_validate(content, context={"root": self._root})
        except ValidationError as exc:
            for error in exc.errors():
                place = [str(part) for part in error["loc"] if not is_union_branch(part)]
                if shared is not None and error["type"] == "missing" and not self._all_shared:
                    continue
                table = (shared or {}).get(place[0]) if place else None
                head = [table or prefix] if table or prefix else []
                key = ".".join(head + place)
                file = self._show(self._main_path if table else path)
                shown = ".".join(head + numbered(error["loc"], content))
                fault = Fault(file, shown, shown_value(key, error), problem_of(error, kind, place))
                if fault not in self._faults:  # a fault in shared settings is one fault, not one per channel
                    self._faults.append(fault)
            return None

    def _channels(
        self, path: Path, region: RegionFile, shared: Mapping[str, Table], base: str
    ) -> tuple[ChannelConfig, ...]:
        """Return the region's channels that have no fault."""
        configs = []
        for name, content in region.channels.items():
            channel = self._checked(path, f"channels.{name}", ChannelFile, content)
            if channel is None:
                continue
            settings = self._channel_settings(path, name, channel.adapter, content, shared.get(channel.adapter, {}))
            if settings is None:
                continue
            url = f"{base}/in/{region.code}/{name}"
            configs.append(
                ChannelConfig(
                    region=region.code,
                    name=name,
                    adapter_key=channel.adapter,
                    replies=channel.replies,
                    settings=settings,
                    context=ChannelContext(region=region.code, channel=name, webhook_url=url),
                )
            )
        return tuple(configs)

    def _channel_settings(
        self, path: Path, name: str, adapter_key: str, content: Table, shared: Table
    ) -> ChannelSettings | None:
        """Return a channel's adapter settings; `None` if they have a fault. Its own values replace the shared ones."""
        prefix = f"channels.{name}"
        try:
            adapter = self._registry.adapter(adapter_key)
        except Misconfigured as exc:
            self._faults.append(Fault(self._show(path), f"{prefix}.adapter", repr(adapter_key), exc.message))
            return None
        own = {key: value for key, value in content.items() if key not in ChannelFile.model_fields}
        origin = {key: f"adapters.{adapter_key}" for key in shared if key not in own}
        return self._checked(path, prefix, adapter.Settings, {**shared, **own}, origin)


def _shared_settings(content: Table | None) -> dict[str, Table]:
    """Return the tables `[adapters.<key>]` of gateway.toml, even if other tables of it have faults."""
    adapters = (content or {}).get("adapters", {})
    if not isinstance(adapters, Mapping):
        return {}
    return {key: table for key, table in adapters.items() if isinstance(table, Mapping)}
