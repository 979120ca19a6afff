"""Translate users' texts with one gettext catalogue: Bahasa Indonesia by default, English by choice."""

from __future__ import annotations

from gateway.i18n.catalogue import Language, localize, preferred

__all__ = ["Language", "localize", "preferred"]
