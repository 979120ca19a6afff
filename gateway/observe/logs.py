"""Structured logs, redacted by construction, and the metrics.

A log line carries only fields named in `FIELDS`; anything else is dropped, and long runs of digits (phones, NIK) are
masked in every text but the ids'. Exceptions are shown by class and place: their messages may quote a citizen.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from typing import Any, Literal, Protocol, TextIO
from uuid import UUID

import structlog

from gateway.domain.errors import GatewayError

FIELDS = frozenset(
    {
        "action", "adapter", "address", "attempts", "bytes", "channel", "code", "correlation_id", "count", "database",
        "duplicates", "duration_ms", "error", "event", "extra", "host", "kind", "level", "logger", "method", "pid",
        "port", "queue", "reason", "region", "retry_after", "signal", "stage", "status", "ticket", "timestamp",
        "trace", "url", "version",
    }
)  # fmt: skip
_IDS = frozenset({"ticket", "correlation_id", "timestamp", "pid", "port"})
_INTERNAL = frozenset({"_record", "_from_structlog"})  # structlog's own, taken out again before anything is written
_NUMBER = re.compile(r"\+?\d(?:[\s.\-/()\u2010-\u2015]{0,2}\d){6,}")

log = structlog.get_logger()


def configure(style: Literal["auto", "json", "pretty"] = "auto", level: str = "info") -> None:
    """Send all logs of this process, the libraries' too, to standard error in one form."""
    output: Any = _Unfailing(sys.stderr)
    pretty = style == "pretty" or (style == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=not pretty, key="timestamp"),
        _describe_exception,
        redact,
    ]
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=12, sort_keys=False)
        if pretty
        else structlog.processors.JSONRenderer()
    )
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=output),
        cache_logger_on_first_use=False,
    )
    stream = logging.StreamHandler(output)
    stream.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [stream]
    server = logging.getLogger("uvicorn.error")  # warns of every request that is no HTTP
    server.filters[:] = [_Seldom()]
    root.setLevel(max(threshold, logging.WARNING))  # libraries speak only of trouble: their debug lines quote bodies


class _Seldom(logging.Filter):
    """Lets each message of a logger through once a second: whoever floods us must not fill the disk too."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to write the record; `msg` is the library's own text, of which there are few."""
        if record.created - self._last.get(str(record.msg), 0.0) < 1:
            return False
        self._last[str(record.msg)] = record.created
        return True


class _Unfailing:
    """A stream that loses a line rather than the work it tells of: the log's disk may be full, its reader gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write it, if that can be done."""
        with suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        """Pass on what waits, if that can be done."""
        with suppress(OSError, ValueError):
            self._stream.flush()


def redact(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep the known fields, and mask what looks like a phone or identity number in them."""
    clean: dict[str, Any] = {}
    for name, value in entry.items():
        if name in _INTERNAL:
            clean[name] = value
        elif name in FIELDS:
            clean[name] = value if name in _IDS else _masked(value)
    return clean


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return _NUMBER.sub("[number]", value)
    if isinstance(value, int | float | bool) or value is None:
        return value
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return _NUMBER.sub("[number]", str(value))


def _describe_exception(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    given = entry.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        entry["error"] = describe(error)
        frames = traceback.extract_tb(error.__traceback__)[-6:]
        entry["trace"] = [f"{frame.filename.rsplit('/', 2)[-1]}:{frame.lineno} {frame.name}" for frame in frames]
    return entry


class CorrelatedRow(Protocol):
    """A row of a batch that a log line can name."""

    @property
    def region(self) -> str:
        """Return the region's code."""

    @property
    def channel(self) -> str:
        """Return the channel's name."""

    @property
    def correlation_id(self) -> UUID:
        """Return the id of the stored message that all of this began with."""


def log_batch(event: str, rows: Sequence[CorrelatedRow], **fields: object) -> None:
    """Log a batch in one line: a single row with its ids and `fields`, several with their count.

    A line per row would cost more than the work on the row.
    """
    if len(rows) == 1:
        (row,) = rows
        log.info(event, region=row.region, channel=row.channel, correlation_id=row.correlation_id.hex, **fields)
    elif rows:
        log.info(event, count=len(rows))


def failure_fields(error: Exception) -> dict[str, object]:
    """Return the log fields of an error: its reason, and the traceback only if the error is not the gateway's own."""
    return {"reason": describe(error), "exc_info": None if isinstance(error, GatewayError) else error}


def describe(error: BaseException) -> str:
    """Return an error's name without its text, unless the text is the gateway's own."""
    return error.reason if isinstance(error, GatewayError) else type(error).__name__
