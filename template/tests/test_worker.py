import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from app import worker
from app.config import Settings
from app.database import SessionFactory
from app.jobs import find_jobs
from app.kit import job_queue
from app.kit.jobs import JobContext, job, queue_of
from app.worker import running

DONE: asyncio.Queue[int] = asyncio.Queue()
RUNNING: list[int] = []


@job(retries=1)
async def succeed_later(context: JobContext, number: int, failures: int) -> None:
    attempts = await context.session.scalar(text("SELECT attempts FROM pgqueuer"))
    if attempts < failures:
        raise ZeroDivisionError
    DONE.put_nowait(number)


@job(cron="0 * * * *")
async def tick(context: JobContext) -> None:
    DONE.put_nowait(-1)


@job(concurrency=1)
async def alone(context: JobContext, number: int) -> None:
    RUNNING.append(number)
    await asyncio.sleep(0.05)
    DONE.put_nowait(len(RUNNING))
    RUNNING.remove(number)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "find_jobs", lambda: [succeed_later, tick, alone])
    monkeypatch.setattr(job_queue, "FIRST_RETRY", timedelta(0))
    monkeypatch.setattr(worker, "POLL", timedelta(milliseconds=20))


@pytest.fixture(autouse=True)
async def empty_queue(session_factory: SessionFactory) -> AsyncIterator[None]:
    yield
    async with session_factory.begin() as session:
        await session.execute(text("TRUNCATE pgqueuer, pgqueuer_schedules, pgqueuer_log"))


async def statuses(factory: SessionFactory) -> list[str]:
    async with factory() as session:
        return [row.status for row in await queue_of(session).browse_queue()]


@pytest.mark.parametrize("failures", [0, 1])
async def test_runs_and_retries(
    settings: Settings, session_factory: SessionFactory, failures: int
) -> None:
    async with asyncio.timeout(10), running(settings) as check:
        async with session_factory.begin() as session:
            await succeed_later.enqueue(session, 7, failures)
        assert await DONE.get() == 7
        await check()

    assert await statuses(session_factory) == []


async def test_concurrency(settings: Settings, session_factory: SessionFactory) -> None:
    async with session_factory.begin() as session:
        for number in range(3):
            await alone.enqueue(session, number)

    async with asyncio.timeout(10), running(settings):
        assert [await DONE.get() for _ in range(3)] == [1, 1, 1]
        while await statuses(session_factory):
            pass


async def test_unknown_jobs(settings: Settings, session_factory: SessionFactory) -> None:
    async with session_factory.begin() as session:
        await queue_of(session).enqueue("removed", b"{}")

    with capture_logs() as logs:
        async with asyncio.timeout(10), running(settings):
            while not logs:  # noqa: ASYNC110  there is no event to wait for
                await asyncio.sleep(0.01)

    assert [(entry["event"], entry["jobs"]) for entry in logs] == [
        ("unknown jobs are waiting", ["removed"])
    ]


async def test_not_ready_without_the_queue(settings: Settings) -> None:
    async with running(settings) as check:
        with pytest.raises(RuntimeError, match="not connected"):
            await check()


async def test_failed_job_is_kept(settings: Settings, session_factory: SessionFactory) -> None:
    async with session_factory.begin() as session:
        await succeed_later.enqueue(session, 7, 2)

    async with asyncio.timeout(10), running(settings):
        while await statuses(session_factory) != ["failed"]:
            pass
        async with session_factory.begin() as session:
            (row,) = await queue_of(session).list_failed_jobs()
            # Pretend that the cause is corrected: the third attempt succeeds.
            payload = succeed_later.dump(7, 0)
            await session.execute(text("UPDATE pgqueuer SET payload = :new"), {"new": payload})
            await queue_of(session).requeue_jobs([row.id])
        assert await DONE.get() == 7


async def test_schedule(settings: Settings, session_factory: SessionFactory) -> None:
    async with asyncio.timeout(10):
        async with running(settings):
            while True:
                async with session_factory() as session:
                    if await queue_of(session).driver.fetch("SELECT 1 FROM pgqueuer_schedules"):
                        break
        # The hour has passed while no worker was running.
        async with session_factory.begin() as session:
            await session.execute(text("UPDATE pgqueuer_schedules SET next_run = now()"))
        async with running(settings), running(settings):
            assert await DONE.get() == -1

    assert DONE.empty()
    assert await statuses(session_factory) == []


def test_jobs_have_different_names() -> None:
    names = [job.name for job in find_jobs()]

    assert len(names) == len(set(names))
