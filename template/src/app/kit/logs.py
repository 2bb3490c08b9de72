"""Structured logs: one pipeline for this application and every library that uses `logging`."""

import logging
import sys
import zlib
from typing import Any

import orjson
import structlog
from asgi_correlation_id import correlation_id
from structlog.tracebacks import ExceptionDictTransformer
from structlog.types import EventDict, Processor, WrappedLogger

from app.config import Settings

SAMPLE_STEPS = 10_000


def add_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Name the request that the line belongs to."""
    if request_id := correlation_id.get():
        event["request_id"] = request_id
    return event


def drop_color_message(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop uvicorn's second copy of its message, which has terminal codes in it."""
    event.pop("color_message", None)
    return event


class Sample:
    """Keep the debug and info lines of a share of requests, all of a request's or none.

    Warnings and errors are always kept, and so is what belongs to no request.

    Args:
        rate: Share that is kept, 0 to 1.
    """

    def __init__(self, rate: float) -> None:
        self.kept = round(rate * SAMPLE_STEPS)

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Pass a line on, or drop it."""
        request_id = event.get("request_id")
        if request_id is None or event.get("level") not in {"debug", "info"}:
            return event
        # From the id alone, so that all processes that see the request decide alike.
        if zlib.crc32(request_id.encode()) % SAMPLE_STEPS >= self.kept:
            raise structlog.DropEvent
        return event


def to_json(event: dict[str, Any], **_options: Any) -> str:
    """Serialise an event; what JSON does not know becomes a string."""
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class StdoutHandler(logging.Handler):
    """Writes to what `sys.stdout` is at the time, which tests and terminals exchange."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            sys.stdout.write(self.format(record) + "\n")
            sys.stdout.flush()
        except Exception:  # a log line that fails must not fail what it tells of
            self.handleError(record)


def configure(settings: Settings) -> None:
    """Set up logging for this process; a second call replaces the first.

    Args:
        settings: Level, format and sampling are taken from it.
    """
    log = settings.log
    pretty = log.format == "pretty" or (
        log.format == "auto" and not settings.app.production and sys.stdout.isatty()
    )
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        drop_color_message,
        add_request_id,
        Sample(log.sample_rate),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    render: list[Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if pretty
        else [
            # Without the local variables, among which are secrets.
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(serializer=to_json),
        ]
    )
    handler = StdoutHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers = [h for h in root.handlers if not isinstance(h, StdoutHandler)] + [handler]
    root.setLevel(log.level)
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # The line of each request is RequestLogMiddleware's.
    logging.getLogger("uvicorn.access").disabled = True
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
