"""The background jobs in the database of development."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from app.kit.jobs import queue_of

SHOWN = 5
SUCCEEDED = text("SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'")


@dataclass(frozen=True)
class FailedJob:
    """A job that has failed for good.

    Args:
        id: Its ID, for `jobs show` and `jobs retry`.
        name: Name of the function.
        error: Type and message of the last error.
    """

    id: int
    name: str
    error: str


@dataclass(frozen=True)
class Jobs:
    """The state of the queue.

    Args:
        counts: Number of jobs by state.
        failed: The latest jobs that have failed.
    """

    counts: dict[str, int]
    failed: list[FailedJob]


async def read_jobs(state: Any) -> Jobs | None:
    """Return the state of the queue, or None if the database is unavailable.

    Args:
        state: State of the application.
    """
    try:
        async with state.session_factory() as session:
            queue = queue_of(session)
            sizes: Counter[str] = Counter()
            for row in await queue.queue_size():
                sizes[row.status] += row.count
            failed = []
            for job in await queue.list_failed_jobs(SHOWN):
                history = await queue.job_log_history(job.id)
                errors = [entry.traceback for entry in history if entry.traceback]
                error = (
                    f"{errors[-1].exception_type}: {errors[-1].exception_message}" if errors else ""
                )
                failed.append(FailedJob(job.id, job.entrypoint, error))
            counts = {
                "waiting": sizes["queued"],
                "running": sizes["picked"],
                "succeeded": await session.scalar(SUCCEEDED) or 0,
                "failed": sizes["failed"],
            }
    except Exception:  # the page must not depend on the database
        return None
    return Jobs(counts, failed)
