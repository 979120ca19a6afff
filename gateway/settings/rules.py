"""The rules that classify and route reports."""

from __future__ import annotations

from pydantic import Field

from gateway.domain.complaint import Classification
from gateway.domain.texts import text
from gateway.settings.types import (
    Keyword,
    RegionCode,
    Section,
)

NATIONAL = "00"


class CategoryRule(Section):
    """`[[categories]]`: the first rule with a word of the report gives the category."""

    code: str = Field(min_length=1, description=text("The category's code at the centre."))
    words: list[str] = Field(min_length=1, description=text("Words or phrases, whole words, case does not matter."))


class ClassificationRule(Section):
    """`[[classifications]]`: the first rule with a word of the report gives the class; without one it is a complaint."""

    classification: Classification = Field(
        description=text("Class of the report: pengaduan, aspirasi, permintaan_informasi or belum_diketahui.")
    )
    words: list[str] = Field(min_length=1, description=text("Words or phrases, whole words, case does not matter."))


class Route(Section):
    """`[[routes]]`: the first rule that matches gives the responsible agency."""

    agency: str = Field(min_length=1, max_length=120, description=text("The responsible office (instansi tujuan)."))
    region: RegionCode | None = Field(None, description=text("Only complaints about this region or a part of it."))
    category: str | None = Field(None, description=text("Only complaints of this category."))
    words: list[str] = Field(default=[], description=text("Only complaints in which one of these occurs."))


class RoutingRules(Section):
    """The part of `gateway.toml` that classifies and routes reports, without secrets, paths and connections."""

    national_desk: str = Field(
        "Meja Nasional SP4N-LAPOR!",
        max_length=120,
        description=text("The office that gets each report for which no route matches and no region names an agency."),
    )
    categories: list[CategoryRule] = Field(
        default=[],
        description=text("Rules in their order; the first rule with a word of the report gives the category."),
    )
    classifications: list[ClassificationRule] = Field(
        default=[],
        description=text(
            "Rules in their order; the first rule with a word of the report gives the class. Without one it is a complaint."
        ),
    )
    routes: list[Route] = Field(
        default=[],
        description=text("Rules in their order, after the region's own; the first that matches gives the agency."),
    )


class RegionRules(Section):
    """The part of a region file that routes reports."""

    code: RegionCode = Field(description=text('Kemendagri code, such as "18.10"; "00" is the nation.'))
    name: str = Field(min_length=1, max_length=80, description=text("The region's name."))
    agency: str | None = Field(
        None,
        max_length=120,
        description=text("The office that gets each report about the region for which no route matches."),
    )
    keywords: list[Keyword] = Field(
        default=[], description=text("Words that, at the start of a message to a national channel, mean this region.")
    )
    routes: list[Route] = Field(default=[], description=text("Tried in their order, before the gateway's."))
