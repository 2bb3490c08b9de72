"""Background jobs: throughput and latency of a worker, compared with bare pgqueuer, and the cost of enqueuing."""

import re
from typing import Any

from tests.benchmarks.load import database, serving
from tests.project import Project
from tests.test_faults import QUERY

JOBS = 5_000
CLAIM = "14,100 (its docs/development/benchmark.md: five consumers, batches of 10, another machine)"

MODULE = '''
import time

from sqlalchemy import text

from app.kit.jobs import JobContext, job

START = text("INSERT INTO starts (number, at) VALUES (:number, :at)")


@job()
async def nothing(context: JobContext, number: int) -> None:
    """Do nothing."""


@job()
async def start(context: JobContext, number: int) -> None:
    """Store the time of the start."""
    await context.session.execute(START, {"number": number, "at": time.time()})
'''
PREPARE = """
import asyncio
import sys

from app.config import Settings
from app.database import create_engine, create_session_factory
from app.jobs.measured import nothing, start

factory = create_session_factory(create_engine(Settings.load().database))
count = int(sys.argv[1])
"""
ENQUEUE = """
async def main():
    for first in range(0, count, 100):
        async with factory.begin() as session:
            for number in range(first, first + 100):
                await nothing.enqueue(session, number)

asyncio.run(main())
"""
WAIT = """
from sqlalchemy import text

async def main():
    async with factory() as session:
        while await session.scalar(text("SELECT EXISTS (SELECT FROM pgqueuer)")):
            await asyncio.sleep(0.5)

asyncio.run(main())
"""
LATENCY = """
import time
import statistics

from sqlalchemy import text

FIND = text("SELECT at FROM starts WHERE number = :number")

async def main():
    latencies = []
    for number in range(count):
        async with factory() as session:
            await start.enqueue(session, number)
            committed = time.time()
            await session.commit()
        started = None
        while started is None:
            await asyncio.sleep(0.02)
            async with factory() as session:
                started = await session.scalar(FIND, {"number": number})
        latencies.append(1000 * (started - committed))
    percentiles = statistics.quantiles(latencies, n=100)
    print(f"p50 {percentiles[49]:.1f} ms, p99 {percentiles[98]:.1f} ms")

asyncio.run(main())
"""
COST = """
import statistics
import time

from sqlalchemy import text

INSERT = text("INSERT INTO starts (number, at) VALUES (-1, 0)")

async def change(enqueue):
    start, cpu = time.perf_counter(), time.process_time()
    async with factory.begin() as session:
        await session.execute(INSERT)
        if enqueue:
            await nothing.enqueue(session, 1)
    return 1000 * (time.perf_counter() - start), 1000 * (time.process_time() - cpu)

async def main():
    for _ in range(50):
        await change(True)
    # They take turns, so that other work on the machine affects both.
    pairs = [(await change(False), await change(True)) for _ in range(count)]
    without, with_job = (
        [statistics.median(pair[side][kind] for pair in pairs) for kind in (0, 1)] for side in (0, 1)
    )
    print(
        f"{with_job[0] - without[0]:.2f} ms, {with_job[1] - without[1]:.2f} ms of CPU "
        f"(a transaction with one INSERT takes {without[0]:.2f} ms)"
    )

asyncio.run(main())
"""
BARE = """
import asyncio
import os
import sys
import time

import asyncpg
import uvloop
from pgqueuer import AsyncpgPoolDriver, PgQueuer, Queries
from pgqueuer.models import Job
from pgqueuer.types import QueueExecutionMode

count, batch, concurrency = map(int, sys.argv[1:])

async def main():
    async with asyncpg.create_pool(os.environ["URL"], min_size=4) as pool:
        queue = PgQueuer(AsyncpgPoolDriver(pool))
        await Queries(AsyncpgPoolDriver(pool)).enqueue(["bare"] * count, [None] * count, [0] * count)

        @queue.entrypoint("bare")
        async def bare(job: Job) -> None: ...

        started = time.perf_counter()
        await queue.qm.run(
            batch_size=batch, max_concurrent_tasks=concurrency or None, mode=QueueExecutionMode.drain
        )
        print(f"{count / (time.perf_counter() - started):.0f}")

uvloop.run(main())
"""
RATE = """
SELECT round(count(*) / extract(epoch FROM max(created) - min(created)))
FROM pgqueuer_log WHERE status = 'successful'
"""


def jobs(project: Project) -> None:
    """Print the figures.

    Args:
        project: The full variant.
    """
    (project.path / "src/app/jobs/measured.py").write_text(MODULE)
    project.run("uv", "sync", "--quiet")
    with database(project) as url:
        variables: dict[str, Any] = {
            "APP_ENVIRONMENT": "development",
            "DATABASE_URL": url,
            "URL": url,
        }

        def python(script: str, *arguments: object) -> str:
            return project.uv_run("python", "-c", script, *map(str, arguments), **variables).strip()

        python(QUERY, "CREATE TABLE starts (number int, at double precision)")
        python(QUERY, "ALTER DATABASE app SET synchronous_commit = on")
        print(f"enqueuing a job costs a request: {python(PREPARE + COST, 500)}")
        python(QUERY, "TRUNCATE pgqueuer, pgqueuer_log")
        python(PREPARE + ENQUEUE, JOBS)
        with serving(project, "acme-orders", "worker", "--port", "{port}", **variables):
            python(PREPARE + WAIT, 0)
            print(f"one worker: {python(QUERY, RATE)} jobs a second")
            print(f"from commit to start: {python(PREPARE + LATENCY, 300)}")
        for name, batch, concurrency in (("as here", 5, 10), ("its defaults", 10, 0)):
            done = re.search(r"\d+", python(BARE, JOBS, batch, concurrency))
            print(f"bare pgqueuer, {name}: {done[0] if done else '-'} jobs a second", flush=True)
        print(f"its own claim: {CLAIM}")
    project.remove_database()
