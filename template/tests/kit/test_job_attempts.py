import asyncio
from datetime import timedelta
from traceback import format_exception
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from opentelemetry import trace
from pgqueuer import RetryRequested
from pgqueuer.models import Job as Row
from pgqueuer.models import JobId, TracebackRecord
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from app.kit import job_telemetry
from app.kit.job_attempts import Abandoned, WorkerQueries, attempt
from app.kit.jobs import Job, JobContext, SessionDriver, job, queue_of
from app.kit.logs import add_request_id, request_id_var
from app.kit.telemetry import add_trace_id
from app.worker import HEARTBEAT

TRACE = trace.SpanContext(0xABC, 0xDEF, is_remote=True)
RECORD = TracebackRecord.from_exception(ZeroDivisionError(), JobId(1))


@job()
async def record(context: JobContext, number: int) -> None:
    await context.session.execute(text("INSERT INTO ledger VALUES (:number)"), {"number": number})


@job(retries=1)
async def fail(context: JobContext) -> None:
    await context.session.execute(text("INSERT INTO ledger VALUES (1)"))
    raise ZeroDivisionError


@job(timeout=timedelta(milliseconds=1))
async def wait(context: JobContext) -> None:
    await asyncio.sleep(60)


@pytest.fixture(autouse=True)
async def ledger(session: AsyncSession) -> None:
    await session.execute(text("CREATE TABLE ledger (number int)"))


@pytest.fixture
def worker(app: FastAPI, session: AsyncSession) -> WorkerQueries:
    return WorkerQueries(SessionDriver(session), app.state.session_factory, [record, fail])


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Return the attributes of the durations that are recorded."""
    found: list[dict[str, str]] = []
    histogram = SimpleNamespace(record=lambda _, attributes: found.append(attributes))
    monkeypatch.setattr(job_telemetry, "duration", histogram)
    return found


async def recorded(session: AsyncSession) -> list[Any]:
    return list(await session.scalars(text("SELECT number FROM ledger ORDER BY number")))


async def waiting(session: AsyncSession) -> list[Row]:
    return await queue_of(session).browse_queue()


async def pick(session: AsyncSession) -> Row:
    """Pick the only job in the queue, as a worker does."""
    values = {"worker": uuid4()}
    await session.execute(
        text("UPDATE pgqueuer SET status = 'picked', queue_manager_id = :worker"), values
    )
    (row,) = await waiting(session)
    return row


async def run(app: FastAPI, job: Job[Any], row: Row) -> None:
    # A worker runs each job in a task, which has context variables of its own.
    await asyncio.create_task(attempt(job, app.state.session_factory, app.state.settings, row))


class TestAttempt:
    async def test_success(self, app: FastAPI, session: AsyncSession) -> None:
        await record.enqueue(session, 1)

        await run(app, record, await pick(session))

        assert await recorded(session) == [1]
        assert await waiting(session) == []

    async def test_error(self, app: FastAPI, session: AsyncSession) -> None:
        await fail.enqueue(session)

        with capture_logs() as logs, pytest.raises(ZeroDivisionError):
            await run(app, fail, await pick(session))

        assert [entry["event"] for entry in logs] == ["job failed"]
        assert await recorded(session) == []
        assert len(await waiting(session)) == 1

    async def test_values_are_not_logged(self, app: FastAPI, session: AsyncSession) -> None:
        @job()
        async def repeat(context: JobContext) -> None:
            await context.session.execute(text("CREATE TABLE secrets (name text CHECK (false))"))
            secret = {"name": "-".join(["a", "secret"])}
            await context.session.execute(text("INSERT INTO secrets VALUES (:name)"), secret)

        await repeat.enqueue(session)
        with pytest.raises(IntegrityError) as caught:
            await run(app, repeat, await pick(session))

        assert "a-secret" not in "".join(format_exception(caught.value))

    async def test_timeout(self, app: FastAPI, session: AsyncSession) -> None:
        await wait.enqueue(session)

        with pytest.raises(TimeoutError):
            await run(app, wait, await pick(session))

    async def test_stopped(self, app: FastAPI, session: AsyncSession) -> None:
        started = asyncio.Event()

        @job()
        async def stop(context: JobContext) -> None:
            started.set()
            await asyncio.sleep(60)

        await stop.enqueue(session)
        task = asyncio.create_task(run(app, stop, await pick(session)))
        await started.wait()
        task.cancel()

        with pytest.raises(RetryRequested):
            await task

    async def test_taken_over_by_another_worker(self, app: FastAPI, session: AsyncSession) -> None:
        await record.enqueue(session, 1)
        lost = await pick(session)
        row = await pick(session)

        with pytest.raises(Abandoned):
            await run(app, record, lost)
        before = await recorded(session)
        await run(app, record, row)

        assert before == []
        assert await recorded(session) == [1]

    @pytest.mark.parametrize(
        ("method", "error"),
        [
            # The job is neither done nor failed: it runs again.
            ("commit", Abandoned),
            # It counts as an attempt: a job that is idle for too long loses its connection each time.
            ("flush", OperationalError),
        ],
    )
    async def test_lost_connection(
        self,
        app: FastAPI,
        session: AsyncSession,
        monkeypatch: pytest.MonkeyPatch,
        method: str,
        error: type[BaseException],
    ) -> None:
        async def lose_connection(*_: object) -> None:
            raise OperationalError("", {}, ConnectionResetError(), connection_invalidated=True)

        await record.enqueue(session, 1)
        row = await pick(session)
        monkeypatch.setattr(AsyncSession, method, lose_connection)

        with pytest.raises(error):
            await run(app, record, row)

    async def test_waits_for_something_cancelled(self, app: FastAPI, session: AsyncSession) -> None:
        @job()
        async def wait_for_it(context: JobContext) -> None:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

        await wait_for_it.enqueue(session)

        with pytest.raises(RuntimeError, match="cancelled"):
            await run(app, wait_for_it, await pick(session))

    async def test_request_and_trace(self, app: FastAPI, session: AsyncSession) -> None:
        request_id_var.set("req-1")
        with trace.use_span(trace.NonRecordingSpan(TRACE)):
            await record.enqueue(session, 1)
        request_id_var.set(None)

        with capture_logs([merge_contextvars, add_request_id, add_trace_id]) as logs:
            await run(app, record, await pick(session))

        [line] = logs
        assert (line["event"], line["job"], line["attempt"]) == ("job done", "record", 1)
        assert (line["request_id"], line["trace_id"]) == ("req-1", f"{0xABC:032x}")

    @pytest.mark.parametrize(("attempts", "outcome"), [(0, "retried"), (1, "failed")])
    async def test_measured(
        self,
        app: FastAPI,
        session: AsyncSession,
        measured: list[dict[str, str]],
        attempts: int,
        outcome: str,
    ) -> None:
        await record.enqueue(session, 1)
        await run(app, record, await pick(session))
        await fail.enqueue(session)
        row = (await pick(session)).model_copy(update={"attempts": attempts})
        with pytest.raises(ZeroDivisionError):
            await run(app, fail, row)

        assert [each["messaging.destination.name"] for each in measured] == ["record", "fail"]
        assert [each["job.outcome"] for each in measured] == ["done", outcome]
        assert measured[1]["error.type"] == "ZeroDivisionError"


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

    async def test_own_job_and_job_of_another_version(
        self, session: AsyncSession, worker: WorkerQueries
    ) -> None:
        await fail.enqueue(session)
        worker.running = [(await pick(session)).id]
        own = await self.lose(session, worker)
        worker.running, worker.retries = [], {}
        unknown = await self.lose(session, worker)

        assert own.status == unknown.status == "picked"
