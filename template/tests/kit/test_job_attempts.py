import asyncio
import sys
from datetime import timedelta
from traceback import format_exception
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry import trace
from pgqueuer import RetryRequested
from pgqueuer.models import Job as Row
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from app.kit.job_attempts import run_job
from app.kit.job_queue import LAST_RETRY, Abandoned
from app.kit.jobs import Job, JobContext, job
from app.kit.logs import add_request_id, request_id_var
from app.kit.telemetry import add_trace_id
from tests.jobs.fixtures import pick, waiting

TRACE = trace.SpanContext(0xABC, 0xDEF, is_remote=True)


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


async def recorded(session: AsyncSession) -> list[Any]:
    return list(await session.scalars(text("SELECT number FROM ledger ORDER BY number")))


async def run(app: FastAPI, job: Job[Any], row: Row) -> None:
    # A worker runs each job in a task, which has context variables of its own.
    await asyncio.create_task(run_job(job, app.state.session_factory, app.state.settings, row))


class TestAttempt:
    async def test_success(self, app: FastAPI, session: AsyncSession) -> None:
        await record.enqueue(session, 1)

        await run(app, record, await pick(session))

        assert await recorded(session) == [1]
        assert await waiting(session) == []

    async def test_error(self, app: FastAPI, session: AsyncSession) -> None:
        await fail.enqueue(session)

        with capture_logs() as logs, pytest.raises(RetryRequested) as caught:
            await run(app, fail, await pick(session))

        assert isinstance(caught.value.__cause__, ZeroDivisionError)

        assert [entry["event"] for entry in logs] == ["job failed"]
        assert await recorded(session) == []
        assert len(await waiting(session)) == 1

    async def test_values_are_not_logged(self, app: FastAPI, session: AsyncSession) -> None:
        @job(retries=0)
        async def repeat(context: JobContext) -> None:
            await context.session.execute(text("CREATE TABLE secrets (name text CHECK (false))"))
            secret = {"name": "-".join(["a", "secret"])}
            await context.session.execute(text("INSERT INTO secrets VALUES (:name)"), secret)

        await repeat.enqueue(session)
        with pytest.raises(IntegrityError) as caught:
            await run(app, repeat, await pick(session))

        assert "a-secret" not in "".join(format_exception(caught.value))

    async def test_last_attempt(self, app: FastAPI, session: AsyncSession) -> None:
        await fail.enqueue(session)
        row = (await pick(session)).model_copy(update={"attempts": fail.retries})

        with pytest.raises(ZeroDivisionError):
            await run(app, fail, row)

    async def test_many_retries(self, app: FastAPI, session: AsyncSession) -> None:
        @job(retries=2_000)
        async def fail_often(context: JobContext) -> None:
            raise ZeroDivisionError

        await fail_often.enqueue(session)
        row = (await pick(session)).model_copy(update={"attempts": 1_999})

        with pytest.raises(RetryRequested) as caught:
            await run(app, fail_often, row)
        assert caught.value.delay == LAST_RETRY

    async def test_exit_does_not_end_the_worker(self, app: FastAPI, session: AsyncSession) -> None:
        @job(retries=0)
        async def leave(context: JobContext) -> None:
            sys.exit(1)

        await leave.enqueue(session)

        with pytest.raises(RuntimeError, match="exit"):
            await run(app, leave, await pick(session))

    async def test_timeout(self, app: FastAPI, session: AsyncSession) -> None:
        await wait.enqueue(session)

        with pytest.raises(RetryRequested) as caught:
            await run(app, wait, await pick(session))

        assert isinstance(caught.value.__cause__, TimeoutError)

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
            await run(app, record, row.model_copy(update={"attempts": record.retries}))

    async def test_waits_for_something_cancelled(self, app: FastAPI, session: AsyncSession) -> None:
        @job(retries=0)
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
        with pytest.raises((RetryRequested, ZeroDivisionError)):
            await run(app, fail, row)

        assert [each["messaging.destination.name"] for each in measured] == ["record", "fail"]
        assert [each["job.outcome"] for each in measured] == ["done", outcome]
        assert measured[1]["error.type"] == "ZeroDivisionError"

    async def test_same_id(self, app: FastAPI, session: AsyncSession) -> None:
        # After a restored backup, the queue gives a new job the ID of one that is running.
        await record.enqueue(session, 1)
        row = await pick(session)
        await session.execute(text("UPDATE pgqueuer SET created = created - interval '1 day'"))

        with pytest.raises(Abandoned):
            await run(app, record, row)
        assert len(await waiting(session)) == 1
