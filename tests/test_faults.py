"""Faults of the servers that a running application depends on, with real processes and signals."""

import contextlib
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread

import httpx2
import pytest

from tests.benchmarks.load import (
    children,
    database,
    main_process,
    memory_mb,
    processes,
    serving,
    worker_processes,
)
from tests.project import Project
from tests.report import FAULT
from tests.running import ACCOUNTS, Application, redis_server
from tests.test_running import ITEMS
from tests.variants import FULL

LIMITS = {
    "APP_REQUEST_TIMEOUT": "6",
    "DATABASE_CONNECT_TIMEOUT": "2",
    "DATABASE_LOCK_TIMEOUT": "1",
    "DATABASE_POOL_TIMEOUT": "2",
    "DATABASE_STATEMENT_TIMEOUT": "2",
}
LONGEST_WAIT = 6 + 4  # the limit of a request, and patience for a busy machine
FAULT_SECONDS = 8
CLUSTER = "from fastship_tooling.database.postgres import find_cluster; cluster = find_cluster();"
RESTART = (
    f"{CLUSTER} cluster.run('pg_ctl', 'restart', '-D', str(cluster.data), '-m', 'immediate', '-w')"
)
QUERY = """
import asyncio, os, sys, asyncpg
async def main():
    connection = await asyncpg.connect(os.environ["URL"])
    for row in await connection.fetch(sys.argv[1]):
        print(row[0])
asyncio.run(main())
"""
HOLD_LOCK = """
import asyncio, os, sys, asyncpg
async def main():
    connection = await asyncpg.connect(os.environ["URL"])
    async with connection.transaction():
        await connection.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        await asyncio.sleep(float(sys.argv[1]))
asyncio.run(main())
"""
TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'acme-orders'"
)
HOLD_CONNECTIONS = """
import asyncio, os, sys, asyncpg
async def main():
    admin, held = await asyncpg.connect(os.environ["URL"]), []
    end = asyncio.get_running_loop().time() + float(sys.argv[1])
    while asyncio.get_running_loop().time() < end:
        try:
            held.append(await asyncpg.connect(os.environ["URL"]))
        except asyncpg.TooManyConnectionsError:
            await admin.execute(sys.argv[2])
            await asyncio.sleep(0.01)
asyncio.run(main())
"""


@dataclass
class Load:
    """Clients that write and read until they are stopped.

    Args:
        app: The application.
        signed_in: Provides the Authorization header.
    """

    app: Application
    signed_in: httpx2.Client
    codes: Counter[str] = field(default_factory=Counter)
    created: set[str] = field(default_factory=set)
    longest: float = 0.0
    last_failure: float = 0.0
    lock: Lock = field(default_factory=Lock)
    over: Event = field(default_factory=Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the clients."""
        threads = [Thread(target=self._work) for _ in range(6)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join()

    def _work(self) -> None:
        headers = {"authorization": self.signed_in.headers["authorization"]}
        with httpx2.Client(base_url=self.app.url, timeout=60, headers=headers) as client:
            while not self.over.is_set():
                self._send(client, "POST", {"title": "Buy milk"})
                self._send(client, "GET", None)
                time.sleep(0.02)

    def _send(self, client: httpx2.Client, method: str, body: object) -> None:
        start = time.monotonic()
        try:
            response = client.request(method, ITEMS, json=body)
            code = str(response.status_code)
        except httpx2.HTTPError as error:
            response, code = None, type(error).__name__
        end = time.monotonic()
        with self.lock:
            self.codes[code] += 1
            self.longest = max(self.longest, end - start)
            if response is None or not response.is_success:
                self.last_failure = end
            elif method == "POST":
                self.created.add(response.json()["id"])


@dataclass
class Server:
    """A running production server with two workers.

    Args:
        project: The project.
        app: Its URL.
        session: ID of the session of its processes.
        database_url: URL of its database.
        redis: ID of the process of its Redis.
    """

    project: Project
    app: Application
    session: int
    database_url: str
    redis: int

    def python(self, script: str, *arguments: str) -> str:
        return self.project.uv_run("python", "-c", script, *arguments, URL=self.database_url)

    def postgres(self) -> list[int]:
        """Return the processes of PostgreSQL."""
        folder = self.python(QUERY, "SHOW data_directory").strip()
        main = int((Path(folder) / "postmaster.pid").read_text().splitlines()[0])
        return [main, *children(main)]


@pytest.fixture(scope="module")
def server(
    render: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Run the full variant as in production."""
    rendered = render(FULL)
    project = Project(rendered.path, rendered.environment)
    project.run("uv", "sync", "--quiet")
    folder = tmp_path_factory.mktemp("redis")
    with database(project) as url, redis_server(folder) as redis_url:
        port = redis_url.rpartition(":")[2].partition("/")[0]
        variables = (
            ACCOUNTS
            | LIMITS
            | {
                "APP_ENVIRONMENT": "production",
                "APP_TRUSTED_HOSTS": "*",
                "DATABASE_URL": url,
                "REDIS_URL": redis_url,
            }
        )
        command = ["acme-orders", "serve", "--workers", "2", "--port", "{port}"]
        with serving(project, *command, **variables) as (address, session):
            app = Application(address)
            with app.clients:
                server = Server(project, app, session, url, listener(int(port)))
                # As in production. In development, a crash may lose the latest transactions.
                server.python(QUERY, "ALTER DATABASE app SET synchronous_commit = on")
                kill_connections(server)
                yield server
    project.remove_database()


def listener(port: int) -> int:
    """Return the process of the Redis server that listens on a port."""
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (path / "cmdline").read_text()
            if "redis-server" in command and str(port) in command:
                return int(path.name)
    raise AssertionError(port)


def frozen(pids: list[int], seconds: float) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def freeze_postgres(server: Server) -> None:
    frozen(server.postgres(), FAULT_SECONDS)


def restart_postgres(server: Server) -> None:
    server.python(RESTART)


def kill_connections(server: Server) -> None:
    for _ in range(5):
        server.python(QUERY, TERMINATE)


def lock_table(server: Server) -> None:
    server.python(HOLD_LOCK, str(FAULT_SECONDS))


def exhaust_connections(server: Server) -> None:
    server.python(HOLD_CONNECTIONS, str(FAULT_SECONDS), TERMINATE)


def freeze_redis(server: Server) -> None:
    frozen([server.redis], FAULT_SECONDS)


def kill_worker(server: Server) -> None:
    os.kill(worker_processes(server.session)[0], signal.SIGKILL)
    time.sleep(2)


def disconnect_clients(server: Server) -> None:
    host, port = server.app.url.removeprefix("http://").split(":")
    for number in range(200):
        with socket.create_connection((host, int(port))) as connection:
            head = f"POST {ITEMS} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nX: {number}\r\n\r\n"
            connection.sendall(head.encode() + b'{"title": ')


def report(
    record_property: Callable[[str, object], None],
    fault: str,
    load: Load,
    recovery: str,
    missing: set[str],
) -> None:
    """Add a row to the table of faults."""
    row = {
        "codes": ", ".join(f"{code}: {count}" for code, count in sorted(load.codes.items())),
        "longest": f"{load.longest:.1f} s",
        "recovery": recovery,
        "missing": len(missing),
    }
    for column, value in row.items():
        record_property(f"{FAULT}{fault}: {column}", value)


def test_memory_of_password_hashes_is_returned(server: Server) -> None:
    before = memory_mb(server.session)
    for _ in range(8):
        with pytest.raises(httpx2.HTTPStatusError, match="401"):
            server.app.signed_in("nobody@example.com", register=False)

    # A hash needs 19 MB.
    assert memory_mb(server.session) < before + 10


CONNECTION_ERRORS = {"ReadError", "RemoteProtocolError", "ConnectError", "WriteError"}


@pytest.mark.parametrize(
    ("name", "inject", "allowed"),
    [
        ("PostgreSQL frozen", freeze_postgres, {"503"}),
        ("PostgreSQL restarted", restart_postgres, {"503"}),
        ("PostgreSQL connections killed", kill_connections, {"503"}),
        ("PostgreSQL out of connections", exhaust_connections, {"503"}),
        ("table locked", lock_table, {"503"}),
        ("Redis frozen", freeze_redis, {"503"}),
        ("worker killed", kill_worker, {"503", *CONNECTION_ERRORS}),
        ("clients disconnected", disconnect_clients, set()),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_fault(
    server: Server,
    name: str,
    inject: Callable[[Server], None],
    allowed: set[str],
    record_property: Callable[[str, object], None],
) -> None:
    email = f"{name.replace(' ', '-')}@example.com".lower()
    load = Load(server.app, server.app.signed_in(email, register=True))
    with load.running():
        time.sleep(1)
        before = load.codes.total()
        inject(server)
        restored = time.monotonic()
        time.sleep(4)
    stored = set(server.python(QUERY, "SELECT id FROM items").split())
    recovery = max(0.0, load.last_failure - restored)

    missing = load.created - stored
    report(record_property, name, load, f"{recovery:.1f} s", missing)
    assert before > 10
    assert set(load.codes) <= {"200", "201"} | allowed, load.codes
    assert load.longest <= LONGEST_WAIT
    assert recovery < 4, "it has not recovered"
    assert missing == set()


def test_shutdown_under_load(
    server: Server, record_property: Callable[[str, object], None]
) -> None:
    load = Load(server.app, server.app.signed_in("shutdown@example.com", register=True))
    with load.running():
        time.sleep(1)
        start = time.monotonic()
        os.kill(main_process(server.session), signal.SIGTERM)
        while processes(server.session) and time.monotonic() - start < 60:
            time.sleep(0.1)
        seconds = time.monotonic() - start
    stored = set(server.python(QUERY, "SELECT id FROM items").split())

    missing = load.created - stored
    report(record_property, "SIGTERM under load", load, f"exits after {seconds:.1f} s", missing)
    # New connections are refused. Requests that were accepted are answered.
    assert set(load.codes) <= {"200", "201", "503", *CONNECTION_ERRORS}
    assert seconds < 30
    assert load.created <= stored
