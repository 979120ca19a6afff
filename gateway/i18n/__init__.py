"""The languages of users' texts: one catalogue (gettext), Bahasa Indonesia first, English by choice."""

from __future__ import annotations

from gateway.i18n.catalogue import Language, localize, preferred

__all__ = ["Language", "localize", "preferred"]
