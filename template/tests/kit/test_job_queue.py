from datetime import timedelta
from uuid import UUID

import pytest
from fastapi import FastAPI
from pgqueuer.models import Job as Row
from pgqueuer.models import JobId, TracebackRecord
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from app.kit.job_queue import Abandoned, WorkerQueries
from app.kit.jobs import JobContext, SessionDriver, job, queue_of
from app.worker import HEARTBEAT
from tests.jobs.fixtures import pick, waiting

RECORD = TracebackRecord.from_exception(ZeroDivisionError(), JobId(1))


@job(retries=1)
async def fail(context: JobContext) -> None: ...


@pytest.fixture
def worker(app: FastAPI, session: AsyncSession) -> WorkerQueries:
    return WorkerQueries(SessionDriver(session), app.state.session_factory, [fail])


class TestJobOfAnotherWorker:
    async def test_retry(self, session: AsyncSession, worker: WorkerQueries) -> None:
        await fail.enqueue(session)
        lost = await pick(session)
        await pick(session)

        with pytest.raises(Abandoned):
            await worker.retry_job(lost, timedelta(0), RECORD)

    async def test_failure(self, session: AsyncSession, worker: WorkerQueries) -> None:
        await fail.enqueue(session)
        lost = await pick(session)
        row = await pick(session)

        await worker.log_jobs([(lost, "failed", RECORD)])
        [before] = await waiting(session)
        await worker.log_jobs([(row, "failed", RECORD)])
        [after] = await waiting(session)

        assert before == row
        assert after.status == "failed"


class TestLostWorker:
    async def lose(self, session: AsyncSession, worker: WorkerQueries, attempts: int = 0) -> Row:
        """Pick the only job, stop the heartbeat, and let another worker look for jobs."""
        row = await pick(session)
        await session.execute(
            text(
                "UPDATE pgqueuer SET attempts = :attempts, heartbeat = now() - interval '1 minute'"
            ),
            {"attempts": attempts},
        )
        await worker.dequeue(1, {}, UUID(int=1), None, HEARTBEAT)  # type: ignore[arg-type]
        [row] = await waiting(session)
        return row

    async def test_counts_as_an_attempt(
        self, session: AsyncSession, worker: WorkerQueries, measured: list[dict[str, str]]
    ) -> None:
        await fail.enqueue(session)

        with capture_logs() as logs:
            row = await self.lose(session, worker)

        assert (row.status, row.attempts) == ("queued", 1)
        assert [entry["event"] for entry in logs] == ["worker lost"]
        assert [each["job.outcome"] for each in measured] == ["retried"]

    async def test_last_attempt(
        self, session: AsyncSession, worker: WorkerQueries, measured: list[dict[str, str]]
    ) -> None:
        await fail.enqueue(session)

        row = await self.lose(session, worker, attempts=fail.retries)

        assert row.status == "failed"
        history = await queue_of(session).job_log_history(row.id)
        assert history[-1].traceback
        assert history[-1].traceback.exception_type == "WorkerLostError"
        assert [each["job.outcome"] for each in measured] == ["failed"]

    async def test_many_retries(self, session: AsyncSession, worker: WorkerQueries) -> None:
        worker.retries = {"fail": 2_000}
        await fail.enqueue(session)

        row = await self.lose(session, worker, attempts=1_999)

        assert (row.status, row.attempts) == ("queued", 2_000)

    async def test_own_job_and_job_of_another_version(
        self, session: AsyncSession, worker: WorkerQueries
    ) -> None:
        await fail.enqueue(session)
        worker.running = [(await pick(session)).id]
        own = await self.lose(session, worker)
        worker.running, worker.retries = [], {}
        unknown = await self.lose(session, worker)

        assert own.status == unknown.status == "picked"
