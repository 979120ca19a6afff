"""What clients of HTTP APIs share: no phone number in any log, and how long a provider asks us to wait."""

from __future__ import annotations

import logging
from collections.abc import Mapping

MAX_RETRY_AFTER = 3600.0  # seconds


def silence_queries() -> None:
    """Cut the query off the URLs that urllib3 logs at DEBUG: it holds a citizen's number, or a password."""
    logging.getLogger("urllib3.connectionpool").addFilter(_without_query)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header, where it says seconds."""
    value = headers.get("Retry-After", "")
    return min(float(value), MAX_RETRY_AFTER) if value.isascii() and value.isdigit() else None


def _without_query(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
    return True
