"""OpenTelemetry: traces and metrics of requests, exported to the endpoint in the OTEL_* variables.

The exporter is installed with `uv add "fastapi[opentelemetry]"`. See https://opentelemetry.io
"""

import logging
import os
import re

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from structlog.types import EventDict, WrappedLogger

from app.config import SLUG

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SIGNALS = ("TRACES", "METRICS", "LOGS")
ENDPOINTS = (ENDPOINT, *(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT" for signal in SIGNALS))


def is_exported() -> bool:
    """Return whether an endpoint is configured."""
    return any(os.environ.get(name) for name in ENDPOINTS)


def telemetry_config() -> TelemetryConfig:
    """Return FastAPI's configuration. Without an endpoint, it is disabled, because it slows down each request."""
    on = is_exported()
    if on:
        # The default of 10 seconds would delay the shutdown while the collector is unreachable.
        os.environ.setdefault("OTEL_EXPORTER_OTLP_TIMEOUT", "3")
        if "service.name=" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
            os.environ.setdefault("OTEL_SERVICE_NAME", SLUG)
        # It logs headers in a wrong form, which contain a password.
        logging.getLogger("opentelemetry.util.re").setLevel(logging.CRITICAL)
    return {"auto_configure": on, "tracing": on, "metrics": on, "logs": on}


def hide_query(query: bytes) -> None:
    """Remove the values from the query string in the span of the request. They may be secret."""
    names = re.sub("=[^&]*", "=", query.decode("latin-1"))
    trace.get_current_span().set_attribute("url.query", names)


def add_trace_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the IDs of the current trace and span, as hexadecimal numbers."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event
