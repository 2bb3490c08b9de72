"""The development server: when the code changes, a new process takes over from the old one.

Both listen on the same socket. The old process stops when the new one is ready. If the new one fails,
its error is shown and the old one keeps serving.
"""

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import uvicorn
from dotenv import dotenv_values
from filelock import FileLock, Timeout
from watchfiles import PythonFilter, watch

from app.cli.console import ROOT, CLIError, console, errors
from fastship_tooling.dev.env_file import ENV_FILE
from fastship_tooling.dev.processes import processes
from fastship_tooling.errors import print_error
from fastship_tooling.git import wait_for_checkout
from fastship_tooling.project import CHANGES_LOCK, HAS_DATABASE, HAS_REDIS, STATE
from fastship_tooling.settings import load_settings

SOURCE = Path("src")
# `dev` applies the migrations that it writes. Others are applied by `db upgrade`.
VERSIONS = SOURCE / "app/migrations/versions"
POLL_MILLISECONDS = 50
# Seconds to wait for a command that changes the code, before and after a message.
SHORT_WAIT, LONG_WAIT = 2, 60
# Settings that `dev` reads once.
READ_ONCE = ("APP_PORT", "DATABASE_URL", "MAIL_LINKS_TO")
STOP_SECONDS = 5
# Jobs that take longer are interrupted, and the next process starts them again.
DRAIN_SECONDS = 2


class EnvFile:
    """Notices changes of `.env`. It cannot be watched: an editor may replace it, which ends the watch."""

    def __init__(self) -> None:
        self.modified = self._modified()
        self.values = self._read()

    def _read(self) -> dict[str, str | None]:
        # The application reports a file that cannot be read.
        with suppress(OSError, UnicodeDecodeError):
            return dotenv_values(ENV_FILE)
        return {}

    def _modified(self) -> int:
        with suppress(FileNotFoundError):
            return ENV_FILE.stat().st_mtime_ns
        return 0

    def changes(self) -> list[str]:
        """Return the name of the file if it has changed, and print what needs another `dev`."""
        if self.modified == (modified := self._modified()):
            return []
        self.modified, before = modified, self.values
        self.values = self._read()
        if once := [name for name in READ_ONCE if before.get(name) != self.values.get(name)]:
            errors.print(f"Restart dev to apply {', '.join(once)}.", style="yellow")
        return [ENV_FILE.as_posix()]


class Application:
    """A process that runs the application.

    Args:
        listener: Bound socket.
    """

    def __init__(self, listener: socket.socket) -> None:
        self.since = time.monotonic()
        self.ready: Event = processes.Event()
        # The copied process has the environment of an earlier time.
        arguments = (listener, self.ready, dict(os.environ))
        self.process: BaseProcess = processes.Process(target=_serve, args=arguments)  # type: ignore[attr-defined]
        self.process.start()

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self.process.is_alive()

    def stop(self) -> None:
        """Start a graceful shutdown."""
        self.process.terminate()

    def wait(self) -> None:
        """Wait until the process has exited, and kill it if that takes too long."""
        self.process.join(STOP_SECONDS)
        if self.alive:
            self.process.kill()
            self.process.join()


def serve(host: str, port: int, is_interrupted: Callable[[], bool]) -> None:
    """Serve until interrupted.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        is_interrupted: Whether to stop.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        if sys.platform != "win32":  # the option has another meaning there
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        _supervise(lambda: Application(listener), is_interrupted)


def _supervise(start: Callable[[], Application], is_interrupted: Callable[[], bool]) -> None:
    serving: Application | None = None
    starting: Application | None = start()
    stopping: list[Application] = []
    failed: dict[Path, int] | None = None  # the migrations at that time
    environment = EnvFile()
    try:
        for changes in watch(
            SOURCE,
            watch_filter=PythonFilter(ignore_paths=[VERSIONS.resolve()]),
            rust_timeout=POLL_MILLISECONDS,
            yield_on_timeout=True,
            raise_interrupt=True,
        ):
            if is_interrupted():
                raise KeyboardInterrupt
            stopping = [old for old in stopping if old.alive]
            if starting and starting.ready.is_set():
                if serving:
                    serving.stop()
                    stopping.append(serving)
                seconds = time.monotonic() - starting.since
                console.print(f"Ready in {seconds:.1f} s.", style="green")
                serving, starting = starting, None
            elif starting and not starting.alive:
                starting, failed = None, _migrations()
                state = "The previous code keeps running" if serving else "Nothing is running"
                errors.print(f"{state} until the next change.", style="yellow")
            if serving and not serving.alive:
                code = serving.process.exitcode
                serving = None
                errors.print(f"The application exited with code {code}. Change a file to restart.")
            names = sorted({_display(Path(path)) for _, path in changes})
            # After an error, another set of migrations may be the correction.
            if failed is not None and failed != _migrations():
                names.append(VERSIONS.as_posix())
            names += environment.changes()
            if names:
                failed = None
                console.print(f"Changed: {', '.join(names)}", style="cyan", markup=False)
                if starting:
                    starting.stop()
                    stopping.append(starting)
                starting = start()
    finally:
        for application in filter(None, (starting, serving, *stopping)):
            application.stop()
        for application in filter(None, (starting, serving, *stopping)):
            application.wait()


def _migrations() -> dict[Path, int]:
    with suppress(FileNotFoundError):  # one is being replaced
        return {path: path.stat().st_mtime_ns for path in VERSIONS.glob("*.py")}
    return {}


def _display(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


class _Server(uvicorn.Server):
    """A server that reports when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Event) -> None:
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


def _serve(listener: socket.socket, ready: Event, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    # The terminal sends Ctrl-C to all processes. The supervisor stops this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Until the server has started, SIGTERM ends the process at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        app = _create_app()
    except CLIError as error:
        errors.print(str(error), style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    except Exception as error:
        print_error(error)
        sys.exit(1)
    # uvicorn would log four lines for each change. `_supervise` prints one.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        # The other event loop of Windows cannot share the socket with the previous process.
        loop="asyncio:SelectorEventLoop" if sys.platform == "win32" else "auto",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=STOP_SECONDS - 1,
    )
    _Server(config, ready).run(sockets=[listener])


def _create_app() -> Any:
    """Update the database schema, and create the application."""
    wait_for_checkout()
    _wait_for_command()
    settings = load_settings()
    if HAS_DATABASE:
        from app.cli.db import require_url
        from fastship_tooling.schema_sync.sync import sync

        with suppress(CLIError):  # PostgreSQL is not installed here, and not needed
            restart_if_stopped(require_url(settings))
        sync(require_url(settings))
    from app.main import create_app

    if HAS_REDIS and settings.redis.url is None:
        from fakeredis import FakeAsyncRedis

        app = create_app(settings, redis=FakeAsyncRedis(decode_responses=True))
    else:
        app = create_app(settings)
    if HAS_DATABASE:
        _add_worker(app, settings)
    from fastship_tooling.dev.pages.middleware import DevelopmentPages

    app.add_middleware(DevelopmentPages)
    return app


def restart_if_stopped(url: str) -> None:
    """Start the PostgreSQL of the project again if a URL is that of it, and something has stopped it.

    Args:
        url: Database URL, with any driver.

    Raises:
        PostgresError: PostgreSQL cannot be started.
    """
    from fastship_tooling.database import postgres

    cluster = postgres.find_cluster()
    # While it is running, its port is not free. That is faster than to ask the server.
    if f"@127.0.0.1:{postgres.free_port(cluster.data)}/" in url and not cluster.running_port():
        cluster.start()


def _wait_for_command() -> None:
    """Wait while a command changes the code, but not forever: it may have been stopped with Ctrl-Z."""
    STATE.mkdir(exist_ok=True)
    lock = FileLock(CHANGES_LOCK)
    with suppress(Timeout):
        try:
            lock.acquire(timeout=SHORT_WAIT)
        except Timeout:
            console.print("Waiting for the command that changes the code ...")
            lock.acquire(timeout=LONG_WAIT)
    lock.release()


def _add_worker(app: Any, settings: Any) -> None:
    """Run the jobs in the process of the application. In production, a worker has its own."""
    from app.worker import running

    lifespan = app.router.lifespan_context

    @asynccontextmanager
    async def with_worker(app: Any) -> AsyncIterator[None]:
        async with lifespan(app), running(settings, drain_seconds=DRAIN_SECONDS):
            yield

    app.router.lifespan_context = with_worker
