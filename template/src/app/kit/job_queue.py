"""The queue of a worker."""

import asyncio
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import random
from typing import Any

import asyncpg
import structlog
from pgqueuer import AsyncpgPoolDriver, Queries
from pgqueuer.db import Driver
from pgqueuer.domain.models import StaleJob
from pgqueuer.models import (
    JOB_STATUS,
    CronExpressionEntrypoint,
    JobId,
    QueueEntrypoint,
    QueueManagerId,
    Schedule,
    TracebackRecord,
)
from pgqueuer.models import Job as Row
from pgqueuer.ports.driver import NotifyCallback
from pgqueuer.ports.repository import EntrypointExecutionParameter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.kit.database_errors import is_unavailable
from app.kit.job_telemetry import record_failure
from app.kit.jobs import Job, queue_of, rows_of

log = structlog.stdlib.get_logger(__name__)

FIRST_RETRY = timedelta(seconds=5)
LAST_RETRY = timedelta(hours=1)
NEVER = timedelta(days=10_000)
UNAVAILABLE_SECONDS = 2

OWN = text(
    "SELECT * FROM pgqueuer WHERE id = :id AND created = :created AND status = 'picked' "
    "AND queue_manager_id = :worker FOR UPDATE"
)


class Abandoned(BaseException):
    """The worker lost the job. Another worker runs it, as if this one had died.

    It is not an `Exception`: pgqueuer would record the job as failed.
    """


class WorkerLostError(Exception):
    """The worker was killed or lost the database."""


class WorkerDriver(AsyncpgPoolDriver):
    """A driver that listens again after it has lost its connection."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        super().__init__(pool)
        self.listeners: list[tuple[str, NotifyCallback]] = []

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        """Call a function for each notification."""
        self.listeners.append((channel, callback))
        await super().add_listener(channel, callback)

    async def restore(self) -> None:
        """Listen on another connection, if the first one was lost."""
        if not self.listeners or not self._is_lost():
            return
        lost, self._listener_connection = self._listener_connection, None
        if lost is not None:
            await self._pool.release(lost)
        for channel, callback in self.listeners:
            await super().add_listener(channel, callback)

    def _is_lost(self) -> bool:
        connection = self._listener_connection
        try:
            return connection is None or connection.is_closed()
        except asyncpg.InterfaceError:  # the pool has taken it back
            return True


class WorkerQueries(Queries):
    """The statements of a worker. They do not change a job that another worker has taken over.

    While the database is unavailable, there are no jobs to start, and the jobs in progress continue. An
    error would restart the worker, which waits for the longest of them.

    Args:
        driver: Executes the other statements.
        factory: Creates sessions.
        jobs: The jobs.
        on_poll: Is called each time after jobs were looked for.
        running: IDs of the jobs that this worker runs.
    """

    def __init__(
        self,
        driver: Driver,
        factory: async_sessionmaker[AsyncSession],
        jobs: Iterable[Job[Any]],
        on_poll: Callable[[], None] = lambda: None,
        running: Container[JobId] = (),
    ) -> None:
        super().__init__(driver)
        self.factory = factory
        self.retries = {job.name: job.retries for job in jobs}
        self.on_poll = on_poll
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
        with suppress_unavailable():
            if isinstance(self.driver, WorkerDriver):
                await self.driver.restore()
            await self._end_lost_attempts(heartbeat_timeout)
            # pgqueuer would repeat a job that kills its worker forever.
            rows = await super().dequeue(
                batch_size, entrypoints, queue_manager_id, global_concurrency_limit, NEVER
            )
            self.on_poll()
            return rows
        await asyncio.sleep(UNAVAILABLE_SECONDS)
        return []

    async def eligible_queued_work(self, entrypoints: list[QueueEntrypoint]) -> int:
        """Return the number of jobs that are due."""
        with suppress_unavailable():
            return await super().eligible_queued_work(entrypoints)
        return 0

    async def next_deferred_eta(self, entrypoints: list[QueueEntrypoint]) -> timedelta | None:
        """Return the time until the next job is due."""
        with suppress_unavailable():
            return await super().next_deferred_eta(entrypoints)
        return None

    async def queued_work(self, entrypoints: list[QueueEntrypoint]) -> int:
        """Return the number of jobs that are waiting."""
        with suppress_unavailable():
            return await super().queued_work(entrypoints)
        return 0

    async def fetch_schedule(
        self, entrypoints: dict[CronExpressionEntrypoint, timedelta]
    ) -> list[Schedule]:
        """Return the schedules that are due."""
        while True:  # the next call is when the next schedule is due
            with suppress_unavailable():
                return await super().fetch_schedule(entrypoints)
            await asyncio.sleep(UNAVAILABLE_SECONDS)

    async def _end_lost_attempts(self, silence: timedelta) -> None:
        for job in await self.stale_jobs(silence):
            # A worker that was busy must not take its own jobs. Another version may have other jobs.
            if job.id in self.running or job.entrypoint not in self.retries:
                continue
            async with self.factory.begin() as session:
                queue = queue_of(session)
                if (row := await lock(session, job)) is None:
                    continue
                error = WorkerLostError("The worker was killed, or lost the database.")
                record = TracebackRecord.from_exception(error, row.id)
                final = row.attempts >= self.retries[row.entrypoint]
                if final:
                    await queue.log_jobs([(row, "failed", record)])
                else:
                    # Jobs that were lost with one that kills its worker must not run with it again.
                    delay = retry_delay(row) * random()  # noqa: S311
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
                (row, status, record) for row, status, record in failed if await lock(session, row)
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
            if await lock(session, job) is None:
                raise Abandoned
            await queue_of(session).retry_job(job, delay, record)


async def lock(session: AsyncSession, job: Row | StaleJob) -> Row | None:
    """Lock and return a job, or return None if its worker does not run it anymore."""
    connection = await session.connection()
    rows = rows_of(await connection.execute(OWN, key_of(job)))
    return Row.model_validate(rows[0]) if rows else None


def key_of(row: Row | StaleJob) -> dict[str, object]:
    """Return the values that identify a job of a worker."""
    return {"id": row.id, "created": row.created, "worker": row.queue_manager_id}


def retry_delay(row: Row) -> timedelta:
    """Return the time until a failed job is repeated."""
    doubled: int = 2 ** min(row.attempts, 20)
    return min(FIRST_RETRY * doubled, LAST_RETRY)


@contextmanager
def suppress_unavailable() -> Iterator[None]:
    """Suppress and log an error, if it means that the database is unavailable."""
    try:
        yield
    except Exception as error:
        if not (is_unavailable(error) or isinstance(error, asyncpg.InterfaceError)):
            raise
        log.warning("queue unavailable", error=type(error).__name__)
