"""Load for a server, and measurements of its CPU time and memory."""

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
from typing import NamedTuple

from tests.project import Project
from tests.running import ACCOUNTS, Application, free_port, listens

SECONDS = 8
CONNECTIONS = 16
ROWS = 20
# Fields of `stat`.
PARENT, SESSION = 1, 3
EXTRA = ("granian", "gunicorn", "orjson")

HOLD = """
import sys
from app import migrations
from app.cli.db import database_url
with database_url() as url:
    migrations.upgrade(url)
    print(url.replace("+asyncpg", ""), flush=True)
    sys.stdin.read()
"""


@contextmanager
def database(project: Project) -> Iterator[str]:
    """Run PostgreSQL with all migrations, and return its URL."""
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
def serving(project: Project, *command: str, **variables: str) -> Iterator[tuple[str, int]]:
    """Run a server in a new session. Return its URL and the ID of the session.

    Args:
        project: The server runs in its environment, in which the servers to compare are installed too.
        command: Command of the server. `{port}` is replaced.
        variables: Environment variables.
    """
    port = free_port()
    extra = [part for name in EXTRA for part in ("--with", name)]
    process = subprocess.Popen(
        ["uv", "run", "--quiet", *extra, *(part.format(port=port) for part in command)],
        cwd=project.path, env=project.env | variables,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        while not listens(port):
            assert process.poll() is None, command
            time.sleep(0.1)
        time.sleep(3)  # all workers
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def production(database_url: str, redis_url: str) -> dict[str, str]:
    """Return environment variables for a server in production, without rate limits."""
    return ACCOUNTS | {
        "APP_ENVIRONMENT": "production",
        "APP_TRUSTED_HOSTS": "*",
        "AUTH_RATE_LIMITS": "false",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
    }


def stat(path: Path) -> list[str]:
    """Return the fields of a process after its name. Field 0 is its state."""
    return (path / "stat").read_text().rpartition(")")[2].split()


def running(field: int, value: int) -> list[Path]:
    """Return the processes with a value in a field of `stat`, except for uv."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = stat(path)
            # Z: a zombie process
            ours = int(fields[field]) == value and fields[0] != "Z"
            if ours and (path / "comm").read_text().strip() != "uv":
                found.append(path)
    return found


def processes(session: int) -> list[Path]:
    return running(SESSION, session)


def children(parent: int) -> list[int]:
    return [int(path.name) for path in running(PARENT, parent)]


def main_process(session: int) -> int:
    """Return the process that uv started. IDs are reused, so it need not be the lowest one."""
    [main] = children(session)
    return main


def worker_processes(session: int) -> list[int]:
    """Return the worker processes of a server: its children without the resource tracker of Python."""
    return [
        process
        for process in children(main_process(session))
        if "resource_tracker" not in Path(f"/proc/{process}/cmdline").read_text()
    ]


def cpu_seconds(session: int) -> float:
    ticks = 0
    for path in processes(session):
        fields = stat(path)
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(session: int) -> float:
    """Return the memory of a session in MB. Shared pages are divided among the processes."""
    pages = re.compile(r"^Pss: +(\d+)", re.MULTILINE)
    found = [pages.search((path / "smaps_rollup").read_text()) for path in processes(session)]
    return sum(int(match[1]) for match in found if match) / 1024


class Rate(NamedTuple):
    """What a server did under load."""

    per_second: float
    of_cpu: float
    """Requests per second of CPU time."""
    p50: float
    """Median of the response times in milliseconds."""
    p99: float
    failed: int
    """Responses with other codes than 2xx and 3xx."""


def rate(
    session: int, url: str, *headers: str, connections: int = CONNECTIONS, seconds: int = SECONDS
) -> Rate:
    """Send requests for some seconds, after two seconds that do not count."""
    if shutil.which("wrk") is None:
        sys.exit("This needs wrk: apt install wrk, or brew install wrk")
    options = [part for header in headers for part in ("-H", header)]
    wrk = ["wrk", "-t1", f"-c{connections}", "--latency", *options, url]
    subprocess.run([*wrk, "-d2s"], check=True, capture_output=True)
    before = cpu_seconds(session)
    output = subprocess.run(
        [*wrk, f"-d{seconds}s"], check=True, capture_output=True, text=True
    ).stdout
    used = cpu_seconds(session) - before
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    count = int(re.search(r"(\d+) requests in", output)[1])  # type: ignore[index]
    p50, p99 = (milliseconds(output, percent) for percent in (50, 99))
    return Rate(count / seconds, count / used, p50, p99, int(refused[1]) if refused else 0)


def milliseconds(output: str, percent: int) -> float:
    found = re.search(rf"{percent}% +([\d.]+)(us|ms|s)\b", output)
    assert found, output
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]]


def fill(url: str) -> str:
    """Create an account with ROWS items. Return the value of its Authorization header."""
    app = Application(url)
    with app.clients:
        client = app.signed_in("ada@example.com", register=True)
        for number in range(ROWS):
            client.post("/api/v1/items", json={"title": f"Item {number}"})
        return client.headers["authorization"]
