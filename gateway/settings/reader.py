"""Reads a configuration directory and checks everything at once.

`load` reports all faults together, each with file, key, value found and remedy.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.domain.errors import Misconfigured
from gateway.ports import ChannelContext
from gateway.ports.registry import Registry
from gateway.settings.sections import (
    COMMANDS,
    PATTERNS,
    ChannelConfig,
    ChannelFile,
    GatewayFile,
    Region,
    RegionFile,
    Settings,
)

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
        count = f"{len(faults)} kesalahan konfigurasi / {len(faults)} fault{'' if len(faults) == 1 else 's'}"
        super().__init__(f"{count} in the configuration:\n" + "\n".join(f"  {fault}" for fault in faults))
        self.faults = faults


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
            Fault(str((directory / "regions").resolve()), "", "", "there is no region file; add one <code>-<name>.toml")
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
        text = ""
        try:
            text = path.read_text("utf-8-sig")  # some editors begin a file with a byte order mark
            return tomllib.loads(text)
        except FileNotFoundError:
            missing = f"{path.resolve()} does not exist; use --config DIRECTORY"
            self.faults.append(Fault(self._show(path), "", "", missing))
        except OSError as exc:
            self.faults.append(Fault(self._show(path), "", "", f"cannot be read: {exc.strerror}"))
        except UnicodeDecodeError:
            self.faults.append(Fault(self._show(path), "", "", "is not UTF-8 text"))
        except tomllib.TOMLDecodeError as exc:
            self.faults.append(Fault(self._show(path), "", "", _not_toml(exc, text)))
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
                place = [str(part) for part in error["loc"] if not _is_union_branch(part)]
                if shared is not None and error["type"] == "missing" and not self.all_shared:
                    continue
                table = (shared or {}).get(place[0]) if place else None
                head = [table or prefix] if table or prefix else []
                key = ".".join(head + place)
                file = self._show(self.main_path if table else path)
                shown = ".".join(head + _numbered(error["loc"], given))
                fault = Fault(file, shown, _found(key, error), _problem(error, kind, place))
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
            if path.stem != region.code and not path.stem.startswith(f"{region.code}-"):
                problem = f"the file's name must start with its code: {region.code}-<name>.toml"
                self.faults.append(Fault(self._show(path), "code", repr(region.code), problem))
            for word in region.keywords:
                if word in COMMANDS:
                    self.faults.append(Fault(self._show(path), "keywords", repr(word), "is a command; choose another"))
                elif word in keywords:
                    other = self._show(keywords[word])
                    self.faults.append(Fault(self._show(path), "keywords", repr(word), f"{other} has the same keyword"))
                keywords[word] = path
        known = {rule.code for rule in main.categories} if main else None
        rules = [(path, *rule) for path, region in regions for rule in enumerate(region.routes, 1)]
        rules += [(self.main_path, *rule) for rule in enumerate(main.routes if main else [], 1)]
        for path, number, route in rules:
            key = f"routes.{number} ({route.agency})"
            if route.region is not None and not any(_related(route.region, code) for code in codes):
                problem = f"no region file has this code or one above or below it; there are: {', '.join(codes)}"
                self.faults.append(Fault(self._show(path), f"{key}.region", repr(route.region), problem))
            if known is not None and route.category is not None and route.category not in known:
                listed = ", ".join(sorted(known)) or "none"
                problem = f"there is no [[categories]] with this code; there are: {listed}"
                self.faults.append(Fault(self._show(path), f"{key}.category", repr(route.category), problem))
        for key, problem in self.unknown_adapters(main.adapters if main else ()).items():
            self.faults.append(Fault(self._show(self.main_path), f"adapters.{key}", "", problem))


def _related(one: str, other: str) -> bool:
    """Tell whether two codes are the same region, or one is a part of the other."""
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _not_toml(exc: tomllib.TOMLDecodeError, text: str) -> str:
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


def _numbered(loc: Sequence[Any], given: Any) -> list[str]:
    """Return a key's parts as a reader counts: the first of a list is 1; a rule is named by its code or agency."""
    shown = []
    for part in loc:
        if _is_union_branch(part):
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


def _is_union_branch(part: object) -> bool:
    """Tell pydantic's names of union members from keys; they mean nothing to a reader."""
    return isinstance(part, str) and (part == "str" or part.startswith("function-"))


def _found(key: str, error: Mapping[str, Any]) -> str:
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


def _problem(error: Mapping[str, Any], kind: type[BaseModel], place: list[str]) -> str:
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
