"""Structured logs, redacted by construction, and the metrics.

A log line carries only fields named in `FIELDS`; anything else is dropped, and long runs of digits (phones, NIK) are
masked in every text but the ids'. Exceptions are shown by class and place: their messages may quote a citizen.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, Literal, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.process_collector import ProcessCollector

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


def describe(error: BaseException) -> str:
    """Name an error without its text, unless the text is the gateway's own."""
    return error.reason if isinstance(error, GatewayError) else type(error).__name__


class Metrics:
    """What Prometheus is told. One set a process; the queues' depth is read from the database at each scrape."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        channel = ["region", "channel"]

        def counter(name: str, text: str, labels: list[str]) -> Counter:
            return Counter(f"lapor_{name}", text, labels, registry=self.registry)

        self.accepted = counter("accepted", "Messages stored durably and accepted.", channel)
        self.duplicates = counter("duplicates", "Repeated deliveries, accepted and not stored again.", channel)
        self.refused = counter("refused", "Requests refused, by reason.", ["reason"])
        self.translated = counter("translated", "Events translated from messages, by kind.", [*channel, "kind"])
        self.delivered = counter("delivered", "Complaints the central store has taken.", channel)
        self.replies = counter(
            "replies", "Replies, by outcome: sent, found, suppressed, failed.", [*channel, "outcome"]
        )
        self.receipts = counter("receipts", "Delivery receipts of replies, by what they tell.", [*channel, "state"])
        self.retries = counter("retries", "Rows put off for another attempt.", ["stage", "reason"])
        self.dead = counter("dead", "Rows that became dead letters.", ["stage", "reason"])
        self.provider_errors = counter("provider_errors", "Errors of providers and the centre.", [*channel, "reason"])
        self.polls = counter("polls", "Polls of providers, by outcome: done, failed, elsewhere.", [*channel, "outcome"])
        self.batch = Histogram(
            "lapor_batch_size",
            "Rows in one transaction, by stage.",
            ["stage"],
            buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000),
            registry=self.registry,
        )
