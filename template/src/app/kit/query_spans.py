"""OpenTelemetry spans of database queries."""

from typing import Any

from opentelemetry import trace
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext, ExecutionContext

# The names of the attributes are OpenTelemetry's semantic conventions.
SYSTEM = {"db.system.name": "postgresql"}


def add_query_spans(engine: Engine) -> None:
    """Record a span for each query. It has the text of the statement, but not the parameters.

    Args:
        engine: Executes the queries.
    """
    tracer = trace.get_tracer(__name__)
    spans: dict[ExecutionContext, trace.Span] = {}

    @event.listens_for(engine, "before_cursor_execute")
    def start(_connection: object, _cursor: object, statement: str, *rest: Any) -> None:
        context: ExecutionContext = rest[1]
        operation = statement.split(maxsplit=1)[0].upper()
        attributes = SYSTEM | {"db.operation.name": operation, "db.query.text": statement}
        spans[context] = tracer.start_span(operation, None, trace.SpanKind.CLIENT, attributes)

    @event.listens_for(engine, "after_cursor_execute")
    def end(_connection: object, _cursor: object, _statement: str, *rest: Any) -> None:
        spans.pop(rest[1]).end()

    @event.listens_for(engine, "handle_error")
    def fail(error: ExceptionContext) -> None:
        if error.execution_context and (span := spans.pop(error.execution_context, None)):
            name = type(error.original_exception).__name__
            span.set_attribute("error.type", name)
            span.set_status(trace.StatusCode.ERROR)
            span.end()
