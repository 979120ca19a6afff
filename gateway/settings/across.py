"""Find the faults of a configuration that no single file shows, such as a region code that two files have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway.domain.commands import COMMANDS
from gateway.domain.texts import text
from gateway.settings.faults import Fault
from gateway.settings.files import GatewayFile, RegionFile
from gateway.settings.rules import Route


def faults_across(regions: Mapping[str, RegionFile], main: GatewayFile | None, main_name: str) -> Iterator[Fault]:
    """Yield the faults across files; `regions` has the region files, by the file names for the faults.

    `main` is `None` if gateway.toml has faults of its own: its rules are then not checked.
    """
    yield from _codes(regions)
    yield from _keywords(regions)
    codes = [region.code for region in regions.values()]
    categories = {rule.code for rule in main.categories} if main else None
    for name, region in regions.items():
        yield from _routes(name, region.routes, codes, categories)
    if main is not None:
        yield from _routes(main_name, main.routes, codes, categories)


def _codes(regions: Mapping[str, RegionFile]) -> Iterator[Fault]:
    """Yield a fault for each code that two files have, and for each file that is not named after its code."""
    names: dict[str, str] = {}
    for name, region in regions.items():
        code = region.code
        if code in names:
            yield Fault(name, "code", repr(code), text("{other} has the same code", other=names[code]))
        names[code] = name
        stem = Path(name).stem
        if stem != code and not stem.startswith(f"{code}-"):
            problem = text("the file's name must start with its code: {code}-<name>.toml", code=code)
            yield Fault(name, "code", repr(code), problem)


def _keywords(regions: Mapping[str, RegionFile]) -> Iterator[Fault]:
    """Yield a fault for each keyword that is a command or belongs to another region too."""
    names: dict[str, str] = {}
    for name, region in regions.items():
        for word in region.keywords:
            if word in COMMANDS:
                yield Fault(name, "keywords", repr(word), text("is a command; choose another"))
            elif word in names:
                yield Fault(name, "keywords", repr(word), text("{other} has the same keyword", other=names[word]))
            names[word] = name


def _routes(name: str, routes: list[Route], codes: list[str], categories: set[str] | None) -> Iterator[Fault]:
    """Yield a fault for each route with an unknown region or category; `categories` may be `None` (not checked)."""
    for number, route in enumerate(routes, 1):
        key = f"routes.{number} ({route.agency})"
        if route.region is not None and not any(_related(route.region, code) for code in codes):
            problem = text(
                "no region file has this code or one above or below it; there are: {listed}",
                listed=", ".join(dict.fromkeys(codes)),
            )
            yield Fault(name, f"{key}.region", repr(route.region), problem)
        if categories is not None and route.category is not None and route.category not in categories:
            listed = ", ".join(sorted(categories)) or "none"
            problem = text("there is no [[categories]] with this code; there are: {listed}", listed=listed)
            yield Fault(name, f"{key}.category", repr(route.category), problem)


def _related(code: str, other: str) -> bool:
    """Return whether two codes are the same region, or one is a part of the other."""
    return code == other or code.startswith(f"{other}.") or other.startswith(f"{code}.")
