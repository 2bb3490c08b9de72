"""The attempts of a worker to run jobs."""

import asyncio
from collections.abc import Container, Iterable
from datetime import UTC, datetime, timedelta
from random import random
from typing import Any
from uuid import UUID

import structlog
from pgqueuer import Queries, RetryRequested
from pgqueuer.db import Driver
from pgqueuer.models import JOB_STATUS, JobId, QueueEntrypoint, QueueManagerId, TracebackRecord
from pgqueuer.models import Job as Row
from pgqueuer.ports.repository import EntrypointExecutionParameter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.kit.database_errors import hide_values, is_unavailable
from app.kit.job_telemetry import attempt_span, record_failure
from app.kit.jobs import Job, JobContext, queue_of, rows_of
from app.kit.logs import request_id_var

log = structlog.stdlib.get_logger(__name__)

FIRST_RETRY = timedelta(seconds=5)
LAST_RETRY = timedelta(hours=1)
NEVER = timedelta(days=10_000)

OWN = text(
    "SELECT * FROM pgqueuer WHERE id = :id AND status = 'picked' AND queue_manager_id = :worker "
    "FOR UPDATE"
)
# pgqueuer's statement does not check that the job is still that of this worker.
COMPLETE = text(
    "WITH done AS (DELETE FROM pgqueuer WHERE id = :id AND status = 'picked' "
    "AND queue_manager_id = :worker RETURNING id, entrypoint, priority) "
    "INSERT INTO pgqueuer_log (job_id, status, entrypoint, priority) "
    "SELECT id, 'successful', entrypoint, priority FROM done RETURNING job_id"
)


class Abandoned(BaseException):
    """The worker lost the job. Another worker runs it, as if this one had died.

    It is not an `Exception`: pgqueuer would record the job as failed.
    """


class WorkerLostError(Exception):
    """The worker was killed or lost the database."""


class WorkerQueries(Queries):
    """The statements of a worker. They do not change a job that another worker has taken over.

    Args:
        driver: Executes the other statements.
        factory: Creates sessions.
        jobs: The jobs.
        running: IDs of the jobs that this worker runs.
    """

    def __init__(
        self,
        driver: Driver,
        factory: async_sessionmaker[AsyncSession],
        jobs: Iterable[Job[Any]],
        running: Container[JobId] = (),
    ) -> None:
        super().__init__(driver)
        self.factory = factory
        self.retries = {job.name: job.retries for job in jobs}
        self.running = running

    async def dequeue(
        self,
        batch_size: int,
        entrypoints: dict[QueueEntrypoint, EntrypointExecutionParameter],
        queue_manager_id: QueueManagerId,
        global_concurrency_limit: int | None,
        heartbeat_timeout: timedelta,
    ) -> list[Row]:
        """Return jobs to run. Before, end the attempts whose worker was lost."""
        await self._end_lost_attempts(heartbeat_timeout)
        # pgqueuer would repeat a job that kills its worker forever.
        return await super().dequeue(
            batch_size, entrypoints, queue_manager_id, global_concurrency_limit, NEVER
        )

    async def _end_lost_attempts(self, silence: timedelta) -> None:
        for job in await self.stale_jobs(silence):
            # A worker that was busy must not take its own jobs. Another version may have other jobs.
            if job.id in self.running or job.entrypoint not in self.retries:
                continue
            async with self.factory.begin() as session:
                queue = queue_of(session)
                if (row := await _lock(session, job.id, job.queue_manager_id)) is None:
                    continue
                error = WorkerLostError("The worker was killed, or lost the database.")
                record = TracebackRecord.from_exception(error, row.id)
                final = row.attempts >= self.retries[row.entrypoint]
                if final:
                    await queue.log_jobs([(row, "failed", record)])
                else:
                    # Jobs that were lost with one that kills its worker must not run with it again.
                    delay = min(FIRST_RETRY * 2**row.attempts, LAST_RETRY) * random()  # noqa: S311
                    await queue.retry_job(row, delay, record)
            log.error("worker lost", job=row.entrypoint, job_id=row.id, attempt=row.attempts + 1)
            seconds = (datetime.now(UTC) - row.updated).total_seconds()
            record_failure(row, seconds, error, final=final)

    async def log_jobs(
        self, job_status: list[tuple[Row, JOB_STATUS, TracebackRecord | None]]
    ) -> None:
        """Record failed jobs. The others were recorded in their own transaction."""
        failed = [entry for entry in job_status if entry[1] != "successful"]
        if not failed:
            return
        async with self.factory.begin() as session:
            own = [
                (row, status, record)
                for row, status, record in failed
                if await _lock(session, row.id, row.queue_manager_id)
            ]
            if own:
                await queue_of(session).log_jobs(own)

    async def retry_job(
        self, job: Row, delay: timedelta, traceback_record: TracebackRecord | None
    ) -> None:
        """Repeat a job later.

        Raises:
            Abandoned: Another worker has taken over, or the database is unavailable. pgqueuer would
                record the job as failed.
        """
        try:
            await asyncio.shield(self._retry_job(job, delay, traceback_record))
        except Exception as error:
            raise Abandoned from error

    async def _retry_job(self, job: Row, delay: timedelta, record: TracebackRecord | None) -> None:
        async with self.factory.begin() as session:
            if await _lock(session, job.id, job.queue_manager_id) is None:
                raise Abandoned
            await queue_of(session).retry_job(job, delay, record)


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
        except Exception as error:
            hide_values(error)
            log.warning("job failed", exc_info=True)
            raise
        log.info("job done")


async def _complete(session: AsyncSession, row: Row) -> None:
    # An error before the commit is one of the job, which counts as an attempt.
    await session.flush()
    values = {"id": row.id, "worker": row.queue_manager_id}
    if await session.scalar(COMPLETE, values) is None:
        raise Abandoned
    try:
        await session.commit()
    except Exception as error:
        if is_unavailable(error):  # perhaps after the commit
            raise Abandoned from error
        raise


async def _lock(session: AsyncSession, job: int, worker: UUID | None) -> Row | None:
    """Lock and return a job, or return None if this worker does not run it anymore."""
    connection = await session.connection()
    rows = rows_of(await connection.execute(OWN, {"id": job, "worker": worker}))
    return Row.model_validate(rows[0]) if rows else None
