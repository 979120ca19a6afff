"""Write structured logs without personal data, and the log lines of batches and errors.

Only the fields in `FIELDS` are written. Long runs of digits (phone numbers, NIK) are masked in all texts except ids. An
exception outside the closed list is shown by its class and traceback only, because its message may quote a citizen.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal, Protocol, TextIO, cast
from uuid import UUID

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from gateway.domain.errors import GatewayError

# tests/gateway/observe/test_fields.py compares these names with the fields that the code writes.
FIELDS = frozenset(
    {
        "action", "attempts", "channel", "code", "correlation_id", "count", "error", "event", "host", "kind",
        "level", "logger", "port", "queue", "reason", "region", "stage", "status", "ticket", "timestamp",
        "trace", "version",
    }
)  # fmt: skip
_IDS = frozenset({"ticket", "correlation_id", "timestamp", "port"})
_INTERNAL = frozenset({"_record", "_from_structlog"})  # structlog removes these before the line is written
_NUMBER = re.compile(r"\+?\d(?:[\s.\-/()\u2010-\u2015]{0,2}\d){6,}")

log: FilteringBoundLogger = structlog.get_logger()


def configure(style: Literal["auto", "json", "pretty"] = "auto", level: str = "info") -> None:
    """Send all logs of this process, including those of libraries, to standard error in one form.

    "auto" is "pretty" on a terminal and "json" elsewhere.
    """
    # A cast, because _SafeStream has only the two methods that loggers call.
    output = cast("TextIO", _SafeStream(sys.stderr))
    pretty = style == "pretty" or (style == "auto" and sys.stderr.isatty())
    threshold = logging.getLevelNamesMapping()[level.upper()]
    processors: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=not pretty, key="timestamp"),
        _describe_exception,
        redact,
    ]
    renderer = _renderer(pretty)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=output),
        cache_logger_on_first_use=False,
    )
    _configure_libraries(output, processors, renderer, threshold)


def _renderer(pretty: bool) -> Processor:
    if pretty:
        return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=12, sort_keys=False)
    return structlog.processors.JSONRenderer()


def _configure_libraries(output: TextIO, processors: list[Processor], renderer: Processor, threshold: int) -> None:
    """Send the standard library's logs through the same processors, from level warning upwards."""
    stream = logging.StreamHandler(output)
    stream.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *processors],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [stream]
    root.setLevel(max(threshold, logging.WARNING))  # debug lines of libraries quote bodies of requests
    server = logging.getLogger("uvicorn.error")  # it logs a warning for every request that is not HTTP
    server.filters[:] = [_OncePerSecond()]


class _OncePerSecond(logging.Filter):
    """Pass each message of a logger at most once per second, so that a flood of requests cannot fill the disk."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write the record. Records with an equal `msg` (the text without values) are one message."""
        if record.created - self._last.get(str(record.msg), 0.0) < 1:
            return False
        self._last[str(record.msg)] = record.created
        return True


class _SafeStream:
    """A stream that drops lines if writing fails: the disk may be full, or the reader of the pipe may have ended."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write a text; drop it if the stream fails."""
        with suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        """Flush the stream; do nothing if it fails."""
        with suppress(OSError, ValueError):
            self._stream.flush()


def redact(_logger: WrappedLogger, _method: str, entry: EventDict) -> EventDict:
    """Return the fields named in `FIELDS`, with phone and identity numbers masked as "[number]"."""
    clean: EventDict = {}
    for name, value in entry.items():
        if name in _INTERNAL:
            clean[name] = value
        elif name in FIELDS:
            clean[name] = value if name in _IDS else _masked(value)
    return clean


def _masked(value: object) -> object:
    if isinstance(value, str):
        return _NUMBER.sub("[number]", value)
    if isinstance(value, int | float | bool) or value is None:
        return value
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return _NUMBER.sub("[number]", str(value))


def _describe_exception(_logger: WrappedLogger, _method: str, entry: EventDict) -> EventDict:
    """Replace `exc_info` by the error's description and the last six frames of its traceback."""
    error = _error_of(entry.pop("exc_info", None))
    if error is not None:
        entry["error"] = describe(error)
        frames = traceback.extract_tb(error.__traceback__)[-6:]
        entry["trace"] = [f"{frame.filename.rsplit('/', 2)[-1]}:{frame.lineno} {frame.name}" for frame in frames]
    return entry


def _error_of(exc_info: object) -> BaseException | None:
    """Return the error of `exc_info`, which may be true (the current error), a tuple, or the error itself."""
    error = exc_info
    if exc_info is True:
        error = sys.exc_info()[1]
    elif isinstance(exc_info, tuple):
        error = exc_info[1]
    return error if isinstance(error, BaseException) else None


class CorrelatedRow(Protocol):
    """A row with the fields that identify it in a log line."""

    @property
    def region(self) -> str:
        """Return the region's code."""

    @property
    def channel(self) -> str:
        """Return the channel's name."""

    @property
    def correlation_id(self) -> UUID:
        """Return the id of the stored message to which the row belongs."""


def log_batch(event: str, rows: Sequence[CorrelatedRow], **fields: object) -> None:
    """Log a batch in one line: one row with its ids and `fields`, several rows with their number.

    One line per row would cost more than the work on the row.
    """
    if len(rows) == 1:
        (row,) = rows
        log.info(event, region=row.region, channel=row.channel, correlation_id=row.correlation_id.hex, **fields)
    elif rows:
        log.info(event, count=len(rows))


def failure_fields(error: Exception) -> dict[str, object]:
    """Return the log fields of an error: its reason, and its traceback if it is not on the closed list."""
    return {"reason": describe(error), "exc_info": None if isinstance(error, GatewayError) else error}


def describe(error: BaseException) -> str:
    """Return the reason of a `GatewayError`; of other errors only the class name: their text may quote a citizen."""
    return error.reason if isinstance(error, GatewayError) else type(error).__name__
