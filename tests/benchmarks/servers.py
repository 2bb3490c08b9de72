"""The production servers, side by side on the rendered project: throughput, memory, a stop, a lost worker."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import httpx2

from tests.project import Project
from tests.running import Application, free_port, listens

SECONDS = 8
CONNECTIONS = 16
ROWS = 20
SLUG = "acme-orders"

HOLD = """
import sys
from app import migrations
from app.cli.database import database_url
with database_url() as url:
    migrations.upgrade(url)
    print(url.replace("+asyncpg", ""), flush=True)
    sys.stdin.read()
"""
SLOW = '''

@router.get("/slow")
async def slow() -> str:
    """Take a while."""
    await asyncio.sleep(2)
    return "done"
'''


def commands(port: int, workers: int) -> dict[str, list[str]]:
    """Give what starts each server, without a line of its own for each request."""
    return {
        "uvicorn (`serve`)": [SLUG, "serve", "--port", str(port), "--workers", str(workers)],
        "granian": [
            *["granian", "--interface", "asgi", "--factory", "app.main:create_app"],
            *["--port", str(port), "--workers", str(workers), "--loop", "uvloop"],
            *["--no-access-log", "--respawn-failed-workers"],
        ],
        "gunicorn, `asgi` worker": [
            *["gunicorn", "--worker-class", "asgi", "app.main:create_app()"],
            *["--bind", f"127.0.0.1:{port}", "--workers", str(workers)],
        ],
    }


@contextmanager
def database(project: Project) -> Iterator[str]:
    """Have the project's PostgreSQL run, migrated."""
    with subprocess.Popen(
        ["uv", "run", "--quiet", "python", "-c", HOLD],
        cwd=project.path, env=project.env | {"APP_ENVIRONMENT": "development"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holding:  # fmt: skip
        assert holding.stdout
        lines = (line.strip() for line in holding.stdout)
        yield next(line for line in lines if line.startswith("postgresql://"))
        holding.communicate("")


@contextmanager
def serving(project: Project, url: str, name: str, workers: int) -> Iterator[tuple[str, int]]:
    """Have a server run in a session of its own; gives its address and the session."""
    port = free_port()
    command = ["uv", "run", "--quiet", "--with", "granian", "--with", "gunicorn"]
    process = subprocess.Popen(
        [*command, *commands(port, workers)[name]],
        cwd=project.path,
        env=project.env | {"APP_ENVIRONMENT": "development", "DATABASE_URL": url},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        while not listens(port):
            assert process.poll() is None, name
            time.sleep(0.1)
        time.sleep(3)  # all workers
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def processes(session: int) -> list[Path]:
    """List what runs in a session, but uv."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            # Z: has ended, and nobody has asked how.
            ours = int(fields[3]) == session and fields[0] != "Z"
            if ours and (path / "comm").read_text().strip() != "uv":
                found.append(path)
    return found


def cpu_seconds(session: int) -> float:
    ticks = 0
    for path in processes(session):
        fields = (path / "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(session: int) -> float:
    """Give what the session holds, its shared pages divided among those who share them."""
    pages = re.compile(r"^Pss: +(\d+)", re.MULTILINE)
    found = [pages.search((path / "smaps_rollup").read_text()) for path in processes(session)]
    return sum(int(match[1]) for match in found if match) / 1024


def rate(session: int, url: str, *headers: str) -> tuple[float, float]:
    """Give requests a second, and requests a second of CPU."""
    options = [part for header in headers for part in ("-H", header)]
    wrk = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", *options, url]
    subprocess.run([*wrk[:3], "-d2s", *wrk[4:]], check=True, capture_output=True)
    before = cpu_seconds(session)
    output = subprocess.run(wrk, check=True, capture_output=True, text=True).stdout
    used = cpu_seconds(session) - before
    assert "Non-2xx" not in output, output
    count = int(re.search(r"(\d+) requests in", output)[1])  # type: ignore[index]
    return count / SECONDS, count / used


def stop(session: int, url: str) -> str:
    """Ask it to stop while it works on a request."""
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
    main = min(int(path.name) for path in processes(session))
    os.kill(main, signal.SIGTERM)
    asking.join()
    while processes(session) and time.perf_counter() - start < 30:
        time.sleep(0.05)
    return f"{answers[0]}, ended after {time.perf_counter() - start:.1f} s"


def lose_a_worker(session: int, url: str) -> str:
    """Kill one of two workers under load; tell how many requests failed, and when there were two again."""
    # A worker has most of the threads or was started last; the resource tracker of Python has one.
    workers = sorted(processes(session), key=lambda path: int(path.name))
    before = len(workers)
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
    os.kill(int(workers[-1].name), signal.SIGKILL)
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
    if shutil.which("wrk") is None:
        sys.exit("This needs wrk: apt install wrk, or brew install wrk")
    router = project.path / "src/app/health/router.py"
    router.write_text(router.read_text() + SLOW)
    project.run("uv", "sync", "--quiet")
    print("| server | live, of CPU | 20 items, of CPU | memory, idle | SIGTERM | worker killed |")
    print("| --- | --- | --- | --- | --- | --- |")
    with database(project) as database_url:
        token = None
        for name in commands(0, 0):
            with serving(project, database_url, name, 1) as (url, session):
                memory = memory_mb(session)
                if token is None:
                    app = Application(url)
                    with app.clients:
                        client = app.signed_in("ada@example.com", register=True)
                        for number in range(ROWS):
                            client.post("/api/v1/items", json={"title": f"Item {number}"})
                        token = client.headers["authorization"]
                live, live_cpu = rate(session, f"{url}/health/live")
                items, items_cpu = rate(session, f"{url}/api/v1/items", f"Authorization: {token}")
                stopped = stop(session, url)
            with serving(project, database_url, name, 2) as (url, session):
                lost = lose_a_worker(session, url)
            print(
                f"| {name} | {live:.0f}/s, {live_cpu:.0f} | {items:.0f}/s, {items_cpu:.0f} "
                f"| {memory:.0f} MB | {stopped} | {lost} |",
                flush=True,
            )
    project.remove_database()
