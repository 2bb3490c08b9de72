"""Fixture for all tests: the queue of jobs."""

from collections.abc import Awaitable, Callable

import pytest
from fastapi import FastAPI

from app.jobs import find_jobs
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
