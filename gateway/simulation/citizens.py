"""Read the messages of invented citizens.

A samples file is TOML: `[[message]]` tables with `from`, `text` and, for MMS, `media` (a list of content types).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.errors import Misconfigured
from gateway.domain.texts import text

SAMPLES = Path(__file__).parent / "samples" / "sms.toml"


@dataclass(frozen=True, slots=True)
class Sample:
    """One message of a samples file."""

    from_: str
    text: str
    media: tuple[str, ...] = ()


def load_samples(path: Path) -> list[Sample]:
    """Return the messages of a samples file; raises `Misconfigured` with the file's name and its fault."""
    try:
        rows = tomllib.loads(path.read_text("utf-8"))["message"]
        samples = [Sample(row["from"], row["text"], tuple(row.get("media", ()))) for row in rows]
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise Misconfigured(
            text("{file} is not a file of samples ({error}); see {example}", file=path.name, error=exc, example=SAMPLES)
        ) from exc
    if not samples:
        raise Misconfigured(text("{file} has no [[message]]; see {example}", file=path.name, example=SAMPLES))
    return samples
