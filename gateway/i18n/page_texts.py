"""The texts of the pages' templates, listed here because the catalogue is extracted from Python code only."""

from __future__ import annotations

from gateway.domain.texts import text

PAGE_TEXTS = (
    text("All well"),
    text("Trouble"),
    text("What to do"),
    text("All well: all channels work"),
    text("Trouble: see the channels that need action"),
    text("Waiting"),
    text("Dead letters"),
    text("The gateway does not run"),
    text("needs action"),
    text("Back to the status page"),
)
