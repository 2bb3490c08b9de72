import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from traceback import format_exception
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from pgqueuer import RetryRequested
from pgqueuer.models import Job as Row
from pydantic import BaseModel, ValidationError
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from app.kit.jobs import (
    Abandoned,
    Job,
    JobContext,
    SessionDriver,
    WorkerQueries,
    attempt,
    job,
    queue_of,
)
from app.kit.logs import request_id_var

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Line(BaseModel):
    price: Decimal


@job()
async def record(context: JobContext, number: int, *, lines: list[Line], at: datetime = AT) -> None:
    await context.session.execute(
        text("INSERT INTO ledger VALUES (:number, :price)"),
        {"number": number + (at - AT).days, "price": lines[0].price},
    )


@job()
async def fail(context: JobContext) -> None:
    await context.session.execute(text("INSERT INTO ledger VALUES (1, 1)"))
    raise ZeroDivisionError


@job(timeout=timedelta(milliseconds=1))
async def wait(context: JobContext) -> None:
    await asyncio.sleep(60)


@pytest.fixture(autouse=True)
async def ledger(session: AsyncSession) -> None:
    await session.execute(text("CREATE TABLE ledger (number int, price numeric)"))


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


class TestEnqueue:
    async def test_rollback(self, session: AsyncSession) -> None:
        async with session.begin_nested() as savepoint:
            await fail.enqueue(session)
            before = await waiting(session)
            await savepoint.rollback()

        assert len(before) == 1
        assert await waiting(session) == []

    async def test_arguments_are_validated(self, session: AsyncSession) -> None:
        with pytest.raises(ValidationError):
            await record.enqueue(session, "x", lines=[])  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await record.enqueue(session)  # type: ignore[call-arg]

    async def test_invalid_arguments_are_not_repeated(self, session: AsyncSession) -> None:
        with pytest.raises(ValidationError) as caught:
            await record.enqueue(session, "ada@example.com", lines=[])  # type: ignore[arg-type]

        assert "ada@example.com" not in str(caught.value)

    async def test_key(self, session: AsyncSession) -> None:
        for key in ("a", "a", "b", None, None):
            await fail.options(key=key).enqueue(session)

        assert len(await waiting(session)) == 4

    async def test_delay_and_priority(self, session: AsyncSession) -> None:
        await fail.enqueue(session)
        await fail.options(delay=timedelta(hours=1), priority=1).enqueue(session)

        first, second = await waiting(session)
        assert first.priority == 1
        assert first.execute_after - second.execute_after == timedelta(hours=1)


class TestAttempt:
    async def test_success(self, app: FastAPI, session: AsyncSession) -> None:
        await record.enqueue(session, 1, lines=[Line(price=Decimal("0.10"))], at=AT)

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
        await record.enqueue(session, 1, lines=[Line(price=Decimal(1))])
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

        await record.enqueue(session, 1, lines=[Line(price=Decimal(1))])
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

    async def test_retry_of_a_job_of_another_worker(self, session: AsyncSession) -> None:
        await fail.enqueue(session)
        lost = await pick(session)
        await pick(session)

        with pytest.raises(Abandoned):
            await WorkerQueries(SessionDriver(session)).retry_job(lost, timedelta(0), None)

    async def test_request_id(self, app: FastAPI, session: AsyncSession) -> None:
        request_id_var.set("req-1")
        await record.enqueue(session, 1, lines=[Line(price=Decimal(1))])
        request_id_var.set(None)
        found: list[str | None] = []

        @job()
        async def note(context: JobContext, number: int, lines: list[Line], at: datetime) -> None:
            found.append(request_id_var.get())

        with capture_logs() as logs:
            await run(app, note, await pick(session))

        assert found == ["req-1"]
        assert [entry["event"] for entry in logs] == ["job done"]
