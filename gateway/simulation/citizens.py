"""Read the messages of invented citizens.

A samples file is TOML: `[[message]]` tables with `from`, `text` and, for MMS, `media` (a list of content types).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

SAMPLES = Path(__file__).parent / "samples" / "sms.toml"


@dataclass(frozen=True, slots=True)
class Sample:
    """One message of a samples file."""

    from_: str
    text: str
    media: tuple[str, ...] = ()


def load_samples(path: Path) -> list[Sample]:
    """Return the messages of a samples file; raises `ValueError` with the file's name and its fault."""
    try:
        rows = tomllib.loads(path.read_text("utf-8"))["message"]
        samples = [Sample(row["from"], row["text"], tuple(row.get("media", ()))) for row in rows]
    except (KeyError, TypeError, AttributeError, tomllib.TOMLDecodeError) as exc:
        raise ValueError(f"{path.name} is not a samples file: {type(exc).__name__} {exc}") from exc
    if not samples:
        raise ValueError(f"{path.name} has no [[message]]")
    return samples
