"""Find the responsible agency: by the first route that matches, else the region's agency or the national desk. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.domain.complaint import Judgement
from gateway.pipeline.interpret.enrich import WordRules
from gateway.settings.rules import NATIONAL, RegionRules, Route


@dataclass(frozen=True, slots=True)
class _Rule:
    route: Route
    words: WordRules | None
    name: str  # the reason of the judgement: "18.10 route 2"


class Router:
    """The routes of all regions. For a place: its region's routes, those of the regions above, and the gateway's."""

    def __init__(self, regions: Sequence[RegionRules], routes: Sequence[Route], national_desk: str) -> None:
        self._regions: Mapping[str, RegionRules] = {region.code: region for region in regions}
        self._rules = {region.code: _rules(region.routes, region.code) for region in regions}
        self._common = _rules(routes, "gateway")
        self._national_desk = national_desk

    def agency(self, place: str | None, category: str | None, words: Sequence[str]) -> Judgement:
        """Return the responsible agency, with its reason; `place` is a Kemendagri code."""
        lineage = _lineage(place)
        for code in lineage:
            for rule in self._rules.get(code, ()):
                if _matches(rule, place, category, words):
                    return Judgement(value=rule.route.agency, reason=rule.name)
        for rule in self._common:
            if _matches(rule, place, category, words):
                return Judgement(value=rule.route.agency, reason=rule.name)
        for code in lineage:
            region = self._regions.get(code)
            if region and region.agency:
                return Judgement(value=region.agency, reason=f"{code} agency")
        return Judgement(value=self._national_desk, reason="national desk: no rule matched")


def _rules(routes: Sequence[Route], owner: str) -> list[_Rule]:
    return [
        _Rule(route, WordRules([route.words]) if route.words else None, f"{owner} route {number}")
        for number, route in enumerate(routes, 1)
    ]


def _lineage(place: str | None) -> list[str]:
    """Return the code and the codes of the regions above it: "18.10.01" → 18.10.01, 18.10, 18."""
    if place is None or place == NATIONAL:
        return [NATIONAL]
    parts = place.split(".")
    return [".".join(parts[:length]) for length in range(len(parts), 0, -1)]


def _matches(rule: _Rule, place: str | None, category: str | None, words: Sequence[str]) -> bool:
    route = rule.route
    if route.region is not None and route.region not in _lineage(place):
        return False
    if route.category is not None and route.category != category:
        return False
    return rule.words is None or rule.words.first(words) is not None
