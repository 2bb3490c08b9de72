"""Fixtures for all tests, and the queue of jobs."""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from uuid import uuid4

import pytest
from fastapi import FastAPI
from pgqueuer.models import Job as Row
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.jobs import find_jobs
from app.kit import job_telemetry
from app.kit.jobs import JobContext, queue_of

RunJobs = Callable[[], Awaitable[list[str]]]


@pytest.fixture
def run_jobs(app: FastAPI) -> RunJobs:
    """Return a function that runs the jobs in the queue, also delayed ones, and returns their names.

    An error of a job is raised.
    """
    jobs = {job.name: job for job in find_jobs()}

    async def run() -> list[str]:
        done: list[str] = []
        async with app.state.session_factory() as session:
            while rows := await queue_of(session).browse_queue(1, statuses=["queued"]):
                (row,) = rows
                await jobs[row.entrypoint].run(
                    JobContext(session, app.state.settings, str(row.id)), row.payload
                )
                await queue_of(session).log_jobs([(row, "successful", None)])
                await session.commit()
                done.append(row.entrypoint)
        return done

    return run


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Return the attributes of the durations that are recorded."""
    found: list[dict[str, str]] = []
    histogram = SimpleNamespace(record=lambda _, attributes: found.append(attributes))
    monkeypatch.setattr(job_telemetry, "duration", histogram)
    return found


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
