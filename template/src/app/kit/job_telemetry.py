"""OpenTelemetry spans and metrics of background jobs."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter

from opentelemetry import metrics, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pgqueuer import RetryRequested
from pgqueuer.models import Job as Row
from pgqueuer.models import QueueStatistics

# The names are OpenTelemetry's semantic conventions, as far as there are any.
SYSTEM = {"messaging.system": "pgqueuer", "messaging.operation.name": "process"}
NAME = "messaging.destination.name"
STATUS = {"queued": "waiting", "picked": "running", "failed": "failed"}

# Unlike the global propagator, it does not store the `baggage` of a client.
PROPAGATOR = TraceContextTextMapPropagator()

tracer = trace.get_tracer(__name__)
meter = metrics.get_meter(__name__)
duration = meter.create_histogram(
    "messaging.process.duration",
    unit="s",
    description="Duration of the attempts of jobs.",
    explicit_bucket_boundaries_advisory=[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300],
)
size = meter.create_gauge("jobs.queue.size", unit="{job}", description="Jobs in the queue.")


def add_trace(headers: dict[str, str]) -> None:
    """Add the current trace to the headers of a new job, whose span will belong to it."""
    PROPAGATOR.inject(headers)


@contextmanager
def attempt_span(row: Row, *, last: bool) -> Iterator[None]:
    """Record the span and the duration of an attempt.

    Args:
        row: Job in the queue.
        last: Whether an error is final.
    """
    attributes = {NAME: row.entrypoint, "messaging.message.id": str(row.id)}
    with tracer.start_as_current_span(
        f"process {row.entrypoint}",
        PROPAGATOR.extract(row.headers or {}),
        trace.SpanKind.CONSUMER,
        SYSTEM | attributes,
        record_exception=False,  # its message may be personal
        set_status_on_exception=False,
    ) as span:
        start = perf_counter()
        try:
            yield
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(trace.StatusCode.ERROR)
            # Otherwise another worker takes over the job, and records the attempt.
            if isinstance(error, Exception):
                final = last and not isinstance(error, RetryRequested)
                record_failure(row, perf_counter() - start, error, final=final)
            raise
        attributes = {NAME: row.entrypoint, "job.outcome": "done"}
        duration.record(perf_counter() - start, SYSTEM | attributes)


def record_failure(row: Row, seconds: float, error: Exception, *, final: bool) -> None:
    """Record the duration of an attempt that failed.

    Args:
        row: Job in the queue.
        seconds: Duration.
        error: Error of the attempt.
        final: Whether the job is not repeated.
    """
    outcome = {"job.outcome": "failed" if final else "retried", "error.type": type(error).__name__}
    duration.record(seconds, SYSTEM | outcome | {NAME: row.entrypoint})


def record_size(jobs: Iterable[str], counts: Iterable[QueueStatistics]) -> None:
    """Record how many jobs are waiting, running and failed.

    Args:
        jobs: Names of all jobs, also those that are not in the queue.
        counts: Numbers of jobs by name, priority and status.
    """
    totals: Counter[tuple[str, str]] = Counter()
    for each in counts:
        totals[each.entrypoint, each.status] += each.count
    for job in jobs:
        for status, name in STATUS.items():
            size.set(totals[job, status], {NAME: job, "job.status": name})
