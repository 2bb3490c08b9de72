"""OpenTelemetry spans of database queries."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from sqlalchemy import Engine, event

# The names of the attributes are OpenTelemetry's semantic conventions.
SYSTEM = {"db.system.name": "postgresql"}


def add_query_spans(engine: Engine) -> None:
    """Record a span for each query.

    Args:
        engine: Executes the queries.
    """

    @event.listens_for(engine, "do_execute")
    def execute(cursor: Any, statement: str, parameters: object, _context: object) -> bool:
        with query_span(statement):
            cursor.execute(statement, parameters)
        return True

    @event.listens_for(engine, "do_executemany")
    def execute_many(cursor: Any, statement: str, parameters: object, _context: object) -> bool:
        with query_span(statement):
            cursor.executemany(statement, parameters)
        return True


@contextmanager
def query_span(statement: str) -> Iterator[None]:
    """Record the span of a query. It has the text of the statement, but not the parameters."""
    operation = statement.split(maxsplit=1)[0].upper()
    with trace.get_tracer(__name__).start_as_current_span(
        operation,
        kind=trace.SpanKind.CLIENT,
        attributes=SYSTEM | {"db.operation.name": operation, "db.query.text": statement},
        record_exception=False,  # its message may be personal
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(trace.StatusCode.ERROR)
            raise
