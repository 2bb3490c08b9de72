"""Comparison of production servers: throughput, memory, shutdown, loss of a worker."""

import os
import signal
import time
from threading import Event, Thread

import httpx2

from tests.benchmarks.load import (
    database,
    fill,
    main_process,
    memory_mb,
    processes,
    production,
    rate,
    serving,
    worker_processes,
)
from tests.project import Project
from tests.running import redis_server

SLOW = '''

@router.get("/slow")
async def slow() -> str:
    """Sleep for two seconds."""
    await asyncio.sleep(2)
    return "done"
'''

COMMANDS = {
    "uvicorn (`serve`)": ["acme-orders", "serve", "--port", "{port}", "--workers"],
    "granian": [
        *["granian", "--interface", "asgi", "--factory", "app.main:create_app"],
        *["--port", "{port}", "--loop", "uvloop"],
        *["--no-access-log", "--respawn-failed-workers", "--workers"],
    ],
    "gunicorn, `asgi` worker": [
        *["gunicorn", "--worker-class", "asgi", "app.main:create_app()"],
        *["--bind", "127.0.0.1:{port}", "--workers"],
    ],
}
"""Command of each server, without access log. The number of workers follows."""


def stop(session: int, url: str) -> str:
    """Stop a server during a request."""
    answers: list[str] = []

    def ask() -> None:
        try:
            answers.append(str(httpx2.get(f"{url}/health/slow", timeout=20).status_code))
        except httpx2.HTTPError as error:
            answers.append(type(error).__name__)

    asking = Thread(target=ask)
    asking.start()
    time.sleep(0.5)
    start = time.perf_counter()
    os.kill(main_process(session), signal.SIGTERM)
    asking.join()
    while processes(session) and time.perf_counter() - start < 30:
        time.sleep(0.05)
    return f"{answers[0]}, ended after {time.perf_counter() - start:.1f} s"


def lose_a_worker(session: int, url: str) -> str:
    """Kill one of two workers under load. Return how many requests failed, and the time until two run again."""
    before = len(processes(session))
    failed: list[str] = []
    over = Event()

    def load() -> None:
        while not over.is_set():
            try:
                httpx2.get(f"{url}/health/live", timeout=10)
            except httpx2.HTTPError as error:
                failed.append(type(error).__name__)

    threads = [Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    start = time.perf_counter()
    os.kill(worker_processes(session)[0], signal.SIGKILL)
    time.sleep(0.1)
    while len(processes(session)) < before and time.perf_counter() - start < 15:
        time.sleep(0.05)
    again = time.perf_counter() - start
    over.set()
    for thread in threads:
        thread.join()
    back = f"back after {again:.1f} s" if again < 15 else "never came back"
    return f"{back}, {len(failed)} requests failed"


def servers(project: Project) -> None:
    """Print the table.

    Args:
        project: The full variant.
    """
    router = project.path / "src/app/health/router.py"
    router.write_text(router.read_text() + SLOW)
    project.run("uv", "sync", "--quiet")
    print("| server | live, of CPU | 20 items, of CPU | memory, idle | SIGTERM | worker killed |")
    print("| --- | --- | --- | --- | --- | --- |")
    with database(project) as database_url, redis_server(project.path) as redis_url:
        variables = production(database_url, redis_url)
        token = None
        for name, command in COMMANDS.items():
            with serving(project, *command, "1", **variables) as (url, session):
                memory = memory_mb(session)
                if token is None:
                    token = fill(url)
                live = rate(session, f"{url}/health/live")
                items = rate(session, f"{url}/api/v1/items", f"Authorization: {token}")
                stopped = stop(session, url)
            with serving(project, *command, "2", **variables) as (url, session):
                lost = lose_a_worker(session, url)
            print(
                f"| {name} | {live.per_second:.0f}/s, {live.of_cpu:.0f} "
                f"| {items.per_second:.0f}/s, {items.of_cpu:.0f} "
                f"| {memory:.0f} MB | {stopped} | {lost} |",
                flush=True,
            )
    project.remove_database()
