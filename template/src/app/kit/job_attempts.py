"""The attempts of a worker to run jobs."""

import asyncio

import structlog
from pgqueuer import RetryRequested
from pgqueuer.domain.errors import retry_request
from pgqueuer.models import Job as Row
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.kit.database_errors import hide_values, is_unavailable
from app.kit.job_queue import Abandoned, key_of, retry_delay
from app.kit.job_telemetry import attempt_span
from app.kit.jobs import Job, JobContext
from app.kit.logs import request_id_var

log = structlog.stdlib.get_logger(__name__)

# pgqueuer's statement does not check that the job is still that of this worker. After a restored
# backup, another job can have its ID.
COMPLETE = text(
    "WITH done AS (DELETE FROM pgqueuer WHERE id = :id AND created = :created AND status = 'picked' "
    "AND queue_manager_id = :worker RETURNING id, entrypoint, priority) "
    "INSERT INTO pgqueuer_log (job_id, status, entrypoint, priority) "
    "SELECT id, 'successful', entrypoint, priority FROM done RETURNING job_id"
)


async def run_job(
    job: Job[...], factory: async_sessionmaker[AsyncSession], settings: Settings, row: Row
) -> None:
    """Run a job that a worker has taken from the queue, and repeat it later if it fails.

    Args:
        job: The job.
        factory: Creates the session.
        settings: Settings.
        row: Job in the queue.

    Raises:
        RetryRequested: The attempt failed, or the worker is stopping.
        Abandoned: Another worker has taken over, or the database is unavailable.
    """
    try:
        await attempt(job, factory, settings, row)
    except Exception as error:
        if row.attempts >= job.retries or retry_request(error):
            raise
        raise RetryRequested(delay=retry_delay(row), reason=str(error)) from error


async def attempt(
    job: Job[...], factory: async_sessionmaker[AsyncSession], settings: Settings, row: Row
) -> None:
    """Run a job that a worker has taken from the queue.

    Args:
        job: The job.
        factory: Creates the session.
        settings: Settings.
        row: Job in the queue.

    Raises:
        RetryRequested: The worker is stopping.
        Abandoned: Another worker has taken over, or the database is unavailable.
    """
    request_id = (row.headers or {}).get("request_id")
    # This task is only for the job: its lines after this function have these fields, too.
    request_id_var.set(str(request_id) if request_id else None)
    structlog.contextvars.bind_contextvars(job=job.name, job_id=row.id, attempt=row.attempts + 1)
    with attempt_span(row, last=row.attempts >= job.retries):
        try:
            async with factory() as session:
                context = JobContext(session, settings, f"{row.created:%Y%m%d%H%M%S}-{row.id}")
                await job.run(context, row.payload)
                await _complete(session, row)
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) and task.cancelling():
                raise RetryRequested(reason="The worker stopped.") from error
            log.warning("job failed", exc_info=True)
            raise RuntimeError("The job waited for something that was cancelled.") from error
        except SystemExit as error:  # it would end the worker
            log.warning("job failed", exc_info=True)
            raise RuntimeError("The job called sys.exit().") from error
        except Exception as error:
            hide_values(error)
            log.warning("job failed", exc_info=True)
            raise
        log.info("job done")


async def _complete(session: AsyncSession, row: Row) -> None:
    # An error before the commit is one of the job, which counts as an attempt.
    await session.flush()
    if await session.scalar(COMPLETE, key_of(row)) is None:
        raise Abandoned
    try:
        await session.commit()
    except Exception as error:
        if is_unavailable(error):  # perhaps after the commit
            raise Abandoned from error
        raise
