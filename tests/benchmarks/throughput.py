"""CPU time of requests to one worker, compared with a minimal application."""

import statistics
import sys
from typing import NamedTuple

from tests.benchmarks.load import database, fill, memory_mb, production, rate, serving
from tests.project import Project
from tests.running import redis_server

BARE = """
import os
from contextlib import asynccontextmanager

import asyncpg
import orjson
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@asynccontextmanager
async def lifespan(app):
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=10) as app.state.pool:
        yield


async def live(request):
    return JSONResponse({"status": "ok"})


async def rows(request):
    async with request.app.state.pool.acquire() as connection:
        found = await connection.fetch("SELECT * FROM items ORDER BY created_at DESC LIMIT 20")
    return Response(
        orjson.dumps([dict(row) for row in found], default=str), media_type="application/json"
    )


async def me(request):
    async with request.app.state.pool.acquire() as connection:
        found = await connection.fetchrow("SELECT * FROM users LIMIT 1")
    return Response(orjson.dumps(dict(found), default=str), media_type="application/json")


app = Starlette(
    routes=[Route("/health/live", live), Route("/api/v1/items", rows), Route("/api/v1/auth/me", me)],
    lifespan=lifespan,
)
"""
UVICORN = ["uvicorn", "--port", "{port}", "--no-access-log", "--log-level", "warning", "bare:app"]
ROUNDS = 5
SECONDS = 3
MANY = 200
"""Clients at once, for the last table."""


class Bound(NamedTuple):
    """Shares of the rate of the minimal application."""

    goal: float
    least: float
    """Less is a regression."""


PATHS = {
    "/health/live": Bound(0.45, 0.30),
    "/api/v1/items": Bound(0.30, 0.17),
    "/api/v1/auth/me": Bound(0.30, 0.22),
}


def throughput(project: Project) -> None:
    """Print the tables, and exit with 1 after a regression.

    The servers take turns, so that other work on the machine affects both.

    Args:
        project: The full variant.
    """
    (project.path / "bare.py").write_text(BARE)
    project.run("uv", "sync", "--quiet")
    with database(project) as url, redis_server(project.path) as redis_url:
        variables = production(url, redis_url) | {"PYTHONPATH": str(project.path)}
        serve = ["acme-orders", "serve", "--workers", "1", "--port", "{port}"]
        with (
            serving(project, *serve, **variables) as (ours, our_session),
            serving(project, *UVICORN, **variables) as (theirs, their_session),
        ):
            memory = memory_mb(our_session)
            token = f"Authorization: {fill(ours)}"
            print("| path | per second of CPU | minimal | share | goal | p50 | p99 |")
            print("| --- | --- | --- | --- | --- | --- | --- |")
            worse = [
                path
                for path in PATHS
                if not compare(path, (ours, our_session), (theirs, their_session), token)
            ]
            many = {
                path: rate(our_session, f"{ours}{path}", token, connections=MANY) for path in PATHS
            }
    print(
        f"\n{MANY} clients at once: p99 "
        + ", ".join(
            f"{each.p99:.0f} ms, {each.failed} refused ({path})" for path, each in many.items()
        )
    )
    print(f"Memory of a worker before the first request: {memory:.0f} MB")
    project.remove_database()
    if worse:
        sys.exit(f"Slower than before: {', '.join(worse)}")


def compare(path: str, ours: tuple[str, int], theirs: tuple[str, int], token: str) -> bool:
    """Print the line of a path. Return whether the share is not too small."""
    rates = [
        [rate(session, f"{url}{path}", token, seconds=SECONDS) for url, session in (ours, theirs)]
        for _ in range(ROUNDS)
    ]
    assert not any(each.failed for pair in rates for each in pair)
    mine, minimal = (statistics.median(pair[side].of_cpu for pair in rates) for side in (0, 1))
    share = statistics.median(pair[0].of_cpu / pair[1].of_cpu for pair in rates)
    p50, p99 = (
        statistics.median(getattr(pair[0], name) for pair in rates) for name in ("p50", "p99")
    )
    print(
        f"| {path} | {mine:.0f} | {minimal:.0f} | {share:.2f} | {PATHS[path].goal:.2f} "
        f"| {p50:.1f} ms | {p99:.1f} ms |",
        flush=True,
    )
    return share >= PATHS[path].least
