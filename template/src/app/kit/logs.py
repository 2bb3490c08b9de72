"""Structured logging: one pipeline for the application and for libraries that use `logging`."""

import json
import logging
import sys
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import structlog
from pydantic_core import to_json
from structlog.tracebacks import ExceptionDictTransformer
from structlog.types import EventDict, Processor, WrappedLogger

from app.config import Settings
from app.kit.console_log import ConsoleLog
from app.kit.telemetry import add_trace_id, is_exported

request_id_var: ContextVar[str | None] = ContextVar("request_id", default=None)
# All loggers share this list. A change of it applies to those that were used before, too.
processors: list[Processor] = []
# A random number from 0 to 1 for each request. The request ID would not do: the client may choose it.
sample_var: ContextVar[float] = ContextVar("sample", default=0.0)


def add_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the ID of the current request."""
    if request_id := request_id_var.get():
        event["request_id"] = request_id
    event.pop("color_message", None)  # uvicorn's copy of its message with terminal codes
    return event


class Sampler:
    """A filter that drops the debug and info lines of a share of the requests.

    Args:
        rate: Share to keep, from 0 to 1.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Return the event, or drop it."""
        in_request = event.get("request_id") is not None
        if in_request and event.get("level") in {"debug", "info"} and sample_var.get() >= self.rate:
            raise structlog.DropEvent
        return event


def serialize(event: dict[str, Any], **_options: Any) -> str:
    """Serialize an event as JSON. Values that JSON does not support become strings."""
    try:
        return to_json(event, fallback=str, bytes_mode="base64", inf_nan_mode="strings").decode()
    # Text that is not valid Unicode, and structures that contain themselves.
    except ValueError:
        plain = str | int | float | bool | None
        return json.dumps(
            {
                name: value if isinstance(value, plain) else repr(value)
                for name, value in event.items()
            }
        )


def is_without_secrets(record: logging.LogRecord) -> bool:
    """Return whether a line of uvicorn contains no query string and no headers of a WebSocket."""
    is_debug = record.levelno < logging.INFO
    return not is_debug and not str(record.msg).startswith('%s - "WebSocket')


class StdoutHandler(logging.Handler):
    """A handler for the current `sys.stdout`, which tests replace."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            StdoutLogger().msg(self.format(record))
        except Exception:  # a failing log line must not fail the code that logs
            self.handleError(record)


class StdoutLogger:
    """A logger of structlog that writes to the current `sys.stdout`.

    Args:
        name: Name of the logger.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name

    def msg(self, line: str) -> None:
        """Write one line."""
        with suppress(OSError, ValueError):  # a failing log line must not fail the code that logs
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    debug = info = warning = error = critical = exception = msg


def configure_logging(settings: Settings) -> None:
    """Configure logging for this process. Loggers that were used before keep their level.

    The application's lines do not go through `logging`, which would take twice the time. Lines of
    libraries that use it get the same form.

    Args:
        settings: Provides level, format and sample rate.
    """
    log = settings.log
    is_development = settings.app.environment == "development"
    pretty = log.format == "pretty" or (log.format == "auto" and is_development)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        add_request_id,
        *([add_trace_id] if is_exported() else []),
        Sampler(log.sample_rate),
        structlog.processors.TimeStamper("%H:%M:%S", utc=False)
        if pretty
        else structlog.processors.TimeStamper("iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    render: list[Processor] = (
        [ConsoleLog(colors=log.format == "pretty" or sys.stdout.isatty())]
        if pretty
        else [
            # Local variables may contain secrets.
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(serializer=serialize),
        ]
    )
    handler = StdoutHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
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
    logging.getLogger("uvicorn.error").addFilter(is_without_secrets)
    # RequestMiddleware writes the access log.
    logging.getLogger("uvicorn.access").disabled = True
    processors[:] = [*shared, *render]
    structlog.configure(
        processors=processors,
        logger_factory=StdoutLogger,
        wrapper_class=structlog.make_filtering_bound_logger(log.level),
        cache_logger_on_first_use=True,
    )
