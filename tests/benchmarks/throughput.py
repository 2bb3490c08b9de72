"""CPU time of requests to one worker, compared with a minimal application."""

from tests.benchmarks.load import database, fill, rate, serving
from tests.project import Project
from tests.running import ACCOUNTS, redis_server

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
PATHS = {"/health/live": 0.45, "/api/v1/items": 0.30, "/api/v1/auth/me": 0.30}
"""Goal for each path: its rate as a share of the rate of the minimal application."""


def throughput(project: Project) -> None:
    """Print the table.

    Args:
        project: The full variant.
    """
    (project.path / "bare.py").write_text(BARE)
    project.run("uv", "sync", "--quiet")
    with database(project) as url, redis_server(project.path) as redis_url:
        variables = ACCOUNTS | {
            "APP_ENVIRONMENT": "production",
            "APP_TRUSTED_HOSTS": "*",
            "AUTH_RATE_LIMITS": "false",
            "DATABASE_URL": url,
            "REDIS_URL": redis_url,
            "PYTHONPATH": str(project.path),
        }
        serve = ["acme-orders", "serve", "--workers", "1", "--port", "{port}"]
        found: dict[str, list[tuple[float, float]]] = {path: [] for path in PATHS}
        token = ""
        for command in (serve, UVICORN):
            with serving(project, *command, **variables) as (address, session):
                token = token or fill(address)
                for path, rates in found.items():
                    rates.append(rate(session, f"{address}{path}", f"Authorization: {token}"))
    print("| path | per second | per second of CPU | minimal | share | goal |")
    print("| --- | --- | --- | --- | --- | --- |")
    for path, ((per_second, of_cpu), (_, bare)) in found.items():
        print(
            f"| {path} | {per_second:.0f} | {of_cpu:.0f} | {bare:.0f} "
            f"| {of_cpu / bare:.2f} | {PATHS[path]:.2f} |"
        )
    project.remove_database()
