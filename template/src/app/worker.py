"""The worker: runs background jobs and schedules. Owned by the template."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Any

import asyncpg
import pgqueuer
import structlog
from fastapi import FastAPI
from pgqueuer import PgQueuer
from pgqueuer.models import Schedule
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.config import SLUG, Settings
from app.database import SessionFactory, create_engine, create_session_factory
from app.health.router import router as health_router
from app.jobs import find_jobs
from app.kit.error_reports import configure_error_reports
from app.kit.job_attempts import run_job
from app.kit.job_queue import WorkerDriver, WorkerQueries, suppress_unavailable
from app.kit.job_telemetry import record_size
from app.kit.jobs import Job, queue_of
from app.kit.logs import configure_logging
from app.kit.telemetry import is_exported, telemetry_config

log = structlog.stdlib.get_logger(__name__)

# New jobs are announced by NOTIFY. Retries are not.
POLL = timedelta(seconds=2)
# A worker that does not report its jobs for this time is considered dead, and others take them over.
HEARTBEAT = timedelta(seconds=15)
# A worker looks for jobs every two seconds.
SILENCE_SECONDS = 30
RESTART = timedelta(seconds=2)
# Jobs that take longer are interrupted, and another worker starts them again.
DRAIN_SECONDS = 25
RELEASE_SECONDS = 5
COMMAND_SECONDS = 10
# The default interval of OpenTelemetry's export.
MEASURE_SECONDS = 60


@asynccontextmanager
async def running(settings: Settings, drain_seconds: float = DRAIN_SECONDS) -> AsyncIterator[Any]:
    """Run jobs and schedules until the context ends.

    Args:
        settings: Settings. At most `DATABASE_POOL_SIZE` jobs run at the same time.
        drain_seconds: Time for the jobs in progress to finish.

    Yields:
        Readiness check.
    """
    logging.getLogger("pgqueuer").setLevel(logging.WARNING)
    # Schedules and health checks need connections, too.
    overflow = {"max_overflow": settings.database.max_overflow + 2}
    engine = create_engine(settings.database.model_copy(update=overflow))
    concurrency = max(2, settings.database.pool_size)
    # An error in the jobs or the models stops the start, so that `deploy` keeps the previous version.
    jobs = find_jobs()
    factory = create_session_factory(engine)
    shutdown = asyncio.Event()
    last_poll = -math.inf

    def record_poll() -> None:
        nonlocal last_poll
        last_poll = monotonic()

    task = asyncio.create_task(
        pgqueuer.run(
            partial(_queue, settings, engine, factory, jobs, record_poll),
            dequeue_timeout=POLL,
            batch_size=concurrency // 2,
            max_concurrent_tasks=concurrency,
            heartbeat_timeout=HEARTBEAT,
            restart_on_failure=True,
            restart_delay=RESTART,
            shutdown=shutdown,
        )
    )

    measuring = asyncio.create_task(_measure(factory, jobs)) if is_exported() else None

    async def check() -> None:
        if task.done() or monotonic() - last_poll > SILENCE_SECONDS:
            raise RuntimeError("The worker is not connected to the queue.")
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    try:
        yield check
    finally:
        shutdown.set()
        if measuring:
            measuring.cancel()
        await asyncio.wait([task], timeout=drain_seconds)
        task.cancel()
        # If the database does not answer, the task cannot release its jobs. Another worker takes them over.
        await asyncio.wait([task], timeout=RELEASE_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await engine.dispose()


@asynccontextmanager
async def _queue(
    settings: Settings,
    engine: AsyncEngine,
    factory: SessionFactory,
    jobs: list[Job[Any]],
    on_poll: Callable[[], None],
) -> AsyncIterator[PgQueuer]:
    """Connect to the queue and register the jobs."""
    _, options = engine.dialect.create_connect_args(engine.url)
    options.pop("prepared_statement_cache_size", None)  # an option of SQLAlchemy, not of asyncpg
    pool = await asyncpg.create_pool(
        **options,
        min_size=1,
        max_size=4,
        timeout=settings.database.connect_timeout,
        command_timeout=COMMAND_SECONDS,
        server_settings={"application_name": f"{SLUG} worker"},
    )
    try:
        driver = WorkerDriver(pool)
        queries = WorkerQueries(driver, factory, jobs, on_poll)
        queue = PgQueuer(driver, queries=queries)
        queries.running = queue.qm.job_context
        for job in jobs:
            queue.entrypoint(job.name, concurrency_limit=job.concurrency, on_failure="hold")(
                partial(run_job, job, factory, settings)
            )
            if job.cron:
                queue.schedule(job.name, job.cron)(partial(_start, job, factory))
        await _warn_of_unknown(factory, jobs)
        yield queue
    finally:
        # Unlike close(), it does not wait for the connection that listens, which may be lost.
        pool.terminate()


async def _warn_of_unknown(factory: SessionFactory, jobs: list[Job[Any]]) -> None:
    """Log the jobs in the queue that this version does not have. They wait for one that does."""
    async with factory() as session:
        waiting = {each.entrypoint for each in await queue_of(session).queue_size()}
    if unknown := sorted(waiting - {job.name for job in jobs}):
        log.warning("unknown jobs are waiting", jobs=unknown)


async def _measure(factory: SessionFactory, jobs: list[Job[Any]]) -> None:
    """Record the size of the queue."""
    names = [job.name for job in jobs]
    while True:
        try:
            async with factory() as session:
                record_size(names, await queue_of(session).queue_size())
        except Exception as error:
            log.warning("queue not measured", error=type(error).__name__)
        await asyncio.sleep(MEASURE_SECONDS)


async def _start(job: Job[Any], factory: SessionFactory, _schedule: Schedule) -> None:
    """Enqueue a scheduled job, unless the previous one has not finished."""
    while True:
        with suppress_unavailable():
            async with factory.begin() as session:
                await job.options(key="schedule").enqueue(session)
            return
        await asyncio.sleep(RESTART.total_seconds())


def create_worker() -> FastAPI:
    """Create the application of the worker process: the health checks, and a lifespan that runs the jobs."""
    settings = Settings.load()
    configure_logging(settings)
    configure_error_reports(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(settings) as check:
            app.state.readiness_checks["worker"] = check
            yield

    app = FastAPI(
        title=settings.app.name, openapi_url=None, lifespan=lifespan, telemetry=telemetry_config()
    )
    app.state.readiness_checks = {}
    app.include_router(health_router)
    return app
