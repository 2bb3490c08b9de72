"""Background jobs with real workers, which are killed, stopped and cut off from their servers."""

import contextlib
import os
import shutil
import signal
import socketserver
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.benchmarks.load import database, processes
from tests.project import Project
from tests.running import free_port, wait_until_live
from tests.test_faults import QUERY, RESTART
from tests.variants import FULL

JOBS = 10_000
WAIT_SECONDS = 90

SETUP = (
    "CREATE TABLE ledger (name text, number int)",
    "ALTER DATABASE app SET synchronous_commit = on",
    # The privileges on a server.
    "CREATE ROLE app LOGIN",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app",
    "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO app",
)
MODULE = '''
import asyncio
import os
import signal
from pathlib import Path

from sqlalchemy import text

from app.kit.jobs import JobContext, job

ENTER = text("INSERT INTO ledger (name, number) VALUES (:name, :number)")


@job()
async def note(context: JobContext, name: str, number: int, seconds: float = 0) -> None:
    """Write to the ledger, and to the file of attempts, which is not rolled back."""
    with Path(os.environ["ATTEMPTS"]).open("a") as file:
        file.write(f"{name}-{number}\\n")
    await context.session.execute(ENTER, {"name": name, "number": number})
    await asyncio.sleep(seconds)


@job()
async def idle(context: JobContext, name: str, number: int, seconds: float = 0) -> None:
    """Wait, without the database."""
    with Path(os.environ["ATTEMPTS"]).open("a") as file:
        file.write(f"{name}-{number}\\n")
    await asyncio.sleep(seconds)


@job(retries=0)
async def kill(context: JobContext, name: str, number: int, seconds: float = 0) -> None:
    """Kill the worker."""
    os.kill(os.getpid(), signal.SIGKILL)


@job(cron="* * * * * */4")
async def tick(context: JobContext) -> None:
    """Write the time of the tick."""
    await context.session.execute(
        text("INSERT INTO ledger SELECT 'tick', extract(epoch FROM now())::int")
    )
'''
ENQUEUE = """
import asyncio, os, sys, time
from app.config import Settings
from app.database import create_engine, create_session_factory
from app.jobs import ledger

name, count, batch, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])

async def main():
    job = getattr(ledger, name, ledger.note)
    factory = create_session_factory(create_engine(Settings.load().database))
    for start in range(0, count, batch):
        try:
            async with factory.begin() as session:
                for number in range(start, min(start + batch, count)):
                    await job.enqueue(session, name, number, seconds)
        except Exception as error:
            await asyncio.sleep(0.2)
        else:
            print(start, flush=True)
asyncio.run(main())
"""
ENQUEUE_MANY = """
import asyncio, sys
from app.config import Settings
from app.database import create_engine, create_session_factory
from app.jobs.ledger import note
from app.kit.jobs import queue_of

count = int(sys.argv[1])

async def main():
    factory = create_session_factory(create_engine(Settings.load().database))
    async with factory.begin() as session:
        payloads = [note.dump("many", number) for number in range(count)]
        await queue_of(session).enqueue([note.name] * count, payloads, [0] * count)
asyncio.run(main())
"""
REGISTER = """
import asyncio
from app.config import Settings
from app.database import create_engine, create_session_factory
from app.jobs.mails import send_already_registered

async def main():
    factory = create_session_factory(create_engine(Settings.load().database))
    async with factory.begin() as session:
        for number in range(20):
            await send_already_registered.enqueue(session, f"user-{number}@example.com")
asyncio.run(main())
"""


@dataclass
class Queue:
    """A project with a queue, and its workers.

    Args:
        project: The project.
        url: Database URL.
        attempts: File with a line for each attempt of a job.
    """

    project: Project
    url: str
    attempts: Path

    @property
    def variables(self) -> dict[str, Any]:
        """Environment of the commands."""
        return {
            "APP_ENVIRONMENT": "development",
            "ATTEMPTS": str(self.attempts),
            "DATABASE_URL": self.url,
            "URL": self.url,
        }

    def python(self, script: str, *arguments: str) -> str:
        """Run Python code in the project."""
        return self.project.uv_run("python", "-c", script, *arguments, **self.variables)

    def query(self, statement: str) -> list[str]:
        """Return the first column of the rows."""
        return self.python(QUERY, statement).split()

    def enqueue(self, name: str, count: int, *, batch: int = 100, seconds: float = 0) -> None:
        """Enqueue jobs."""
        self.python(ENQUEUE, name, str(count), str(batch), str(seconds))

    def entries(self, name: str) -> list[str]:
        """Return the numbers in the ledger."""
        rows = self.query("SELECT name || '-' || number FROM ledger ORDER BY number")
        return [row.removeprefix(f"{name}-") for row in rows if row.startswith(f"{name}-")]

    def attempted(self, name: str) -> int:
        """Return the number of attempts."""
        text = self.attempts.read_text() if self.attempts.exists() else ""
        return sum(line.startswith(f"{name}-") for line in text.splitlines())

    @contextlib.contextmanager
    def worker(self, **extra: str) -> Iterator[int]:
        """Run a worker, and return the ID of its process. It is killed at the end, if it is still running."""
        port = free_port()
        with (self.project.path / "worker.log").open("a") as log:
            process = subprocess.Popen(
                ["uv", "run", "--quiet", "acme-orders", "worker", "--port", str(port)],
                cwd=self.project.path, env=self.project.env | self.variables | extra,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            wait_until_live(f"http://127.0.0.1:{port}", process)
            [path] = processes(process.pid)
            yield int(path.name)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait(condition: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def stopped(pid: int) -> bool:
    return not Path(f"/proc/{pid}/cwd").exists() or not os.listdir(f"/proc/{pid}/fd")


@pytest.fixture(scope="module")
def queue(
    render: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Queue]:
    rendered = render(FULL)
    folder = tmp_path_factory.mktemp("jobs") / "acme-orders"
    generated = shutil.ignore_patterns(".venv", ".env", ".dev", ".git", "*cache*", "uv.lock")
    shutil.copytree(rendered.path, folder, ignore=generated)
    project = Project(folder, rendered.environment | {"UV_PROJECT_ENVIRONMENT": f"{folder}/.venv"})
    (folder / "src/app/jobs/ledger.py").write_text(MODULE)
    project.run("uv", "sync", "--quiet")
    with database(project) as url:
        for statement in SETUP:
            project.uv_run("python", "-c", QUERY, statement, URL=url)
        yield Queue(project, url.replace("postgres@", "app@"), folder / "attempts.txt")
    project.remove_database()


def test_each_job_runs_once(queue: Queue) -> None:
    queue.python(ENQUEUE_MANY, str(JOBS))
    with queue.worker(), queue.worker():
        wait(lambda: queue.attempted("many") >= JOBS, seconds=180)
        wait(lambda: queue.query("SELECT count(*) FROM pgqueuer") == ["0"])

    assert queue.entries("many") == [str(number) for number in range(JOBS)]
    assert queue.attempted("many") == JOBS


def test_killed_worker(queue: Queue) -> None:
    queue.enqueue("killed", 1, seconds=10)
    with queue.worker() as pid:
        wait(lambda: queue.attempted("killed") == 1)
        queue.enqueue("kill", 1)
        wait(lambda: stopped(pid))
    with queue.worker():
        wait(lambda: queue.entries("killed") == ["0"])
        # A job that kills its worker does not do so forever.
        left = "SELECT status FROM pgqueuer WHERE entrypoint = 'kill'"
        wait(lambda: queue.query(left) == ["failed"])
        queue.query("DELETE FROM pgqueuer")

    # The first attempt is rolled back.
    assert queue.attempted("killed") == 2


def test_sigterm(queue: Queue) -> None:
    queue.enqueue("stopped", 30, seconds=2)
    with queue.worker() as pid:
        wait(lambda: queue.attempted("stopped") > 0)
        os.kill(pid, signal.SIGTERM)
        wait(lambda: stopped(pid))
        done = queue.entries("stopped")
        # Those in progress are finished, no other one is started.
        assert 0 < len(done) == queue.attempted("stopped") < 30
    with queue.worker():
        wait(lambda: len(queue.entries("stopped")) == 30)

    assert queue.attempted("stopped") == 30


def test_schedule(queue: Queue) -> None:
    queue.query("DELETE FROM ledger WHERE name = 'tick'")
    with queue.worker(), queue.worker(), queue.worker():
        wait(lambda: len(queue.entries("tick")) >= 6)

    ticks = [int(second) for second in queue.entries("tick")]
    # Every four seconds, although there are three workers. On a busy machine, the first one is late.
    assert len(ticks) <= (ticks[-1] - ticks[0]) / 4 + 2


def test_database_restart_under_load(queue: Queue) -> None:
    command = ["uv", "run", "--quiet", "python", "-c", ENQUEUE, "restarted", "400", "1", "0"]
    with queue.worker(), queue.worker():
        enqueuing = subprocess.Popen(
            command, cwd=queue.project.path, env=queue.project.env | queue.variables,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        wait(lambda: queue.attempted("restarted") > 50)
        queue.python(RESTART)
        acknowledged = enqueuing.communicate()[0].split()
        wait(lambda: queue.query("SELECT count(*) FROM pgqueuer") == ["0"])

    entries = queue.entries("restarted")
    assert len(acknowledged) > 100
    # A commit whose answer is lost may have enqueued a job.
    assert set(acknowledged) <= set(entries)
    assert len(entries) == len(set(entries))


def test_database_restart_during_a_long_job(queue: Queue) -> None:
    queue.enqueue("idle", 1, seconds=90)
    with queue.worker():
        wait(lambda: queue.attempted("idle") == 1)
        queue.python(RESTART)
        queue.enqueue("after", 1)
        # It does not wait for the long job.
        wait(lambda: queue.entries("after") == ["0"], seconds=60)
        assert queue.query("SELECT status FROM pgqueuer WHERE entrypoint = 'idle'") == ["picked"]
    queue.query("DELETE FROM pgqueuer")


class MailServer(socketserver.StreamRequestHandler):
    """A mail server that stores the recipients."""

    received: list[str] = []  # noqa: RUF012

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        for line in self.rfile:
            command = line[:4].upper()
            if command == b"RCPT":
                self.received.append(line.decode().partition("<")[2].partition(">")[0])
            if command == b"DATA":
                self.wfile.write(b"354 start\r\n")
                while self.rfile.readline() != b".\r\n":
                    pass
            self.wfile.write(b"221 bye\r\n" if command == b"QUIT" else b"250 ok\r\n")


def test_mail_server_is_down(queue: Queue) -> None:
    port = free_port()
    with queue.worker(MAIL_SMTP_URL=f"smtp://127.0.0.1:{port}"):
        queue.python(REGISTER)
        wait(lambda: queue.query("SELECT min(attempts) FROM pgqueuer") == ["1"])
        with socketserver.ThreadingTCPServer(("127.0.0.1", port), MailServer) as server:
            Thread(target=server.serve_forever).start()
            try:
                wait(lambda: queue.query("SELECT count(*) FROM pgqueuer") == ["0"])
            finally:
                server.shutdown()

    assert sorted(MailServer.received) == sorted(f"user-{n}@example.com" for n in range(20))
