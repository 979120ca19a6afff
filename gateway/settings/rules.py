"""The rules by which a report is judged and routed."""

from __future__ import annotations

from pydantic import Field

from gateway.domain.complaint import Classification
from gateway.settings.types import (
    RegionCode,
    _Section,
)

NATIONAL = "00"
COMMANDS = frozenset({"STATUS", "BANTUAN", "HELP", "ANONIM", "RAHASIA", "BATAL", "BARU", "SETUJU", "STOP"})


class CategoryRule(_Section):
    """`[[categories]]`: the first rule of which a word occurs gives the category."""

    code: str = Field(min_length=1, description="The category's code at the centre.")
    words: list[str] = Field(min_length=1, description="Words or phrases, whole words, case does not matter.")


class ClassificationRule(_Section):
    """`[[classifications]]`: the first rule of which a word occurs gives the class; else it is a complaint."""

    classification: Classification = Field(description="pengaduan, aspirasi, permintaan_informasi or belum_diketahui.")
    words: list[str] = Field(min_length=1, description="Words or phrases, whole words, case does not matter.")


class Route(_Section):
    """`[[routes]]`: the first rule that matches gives the responsible agency."""

    agency: str = Field(min_length=1, max_length=120, description="The responsible office (instansi tujuan).")
    region: RegionCode | None = Field(None, description="Only complaints about this region or a part of it.")
    category: str | None = Field(None, description="Only complaints of this category.")
    words: list[str] = Field(default=[], description="Only complaints in which one of these occurs.")
