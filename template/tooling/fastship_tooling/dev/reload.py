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
from filelock import FileLock
from watchfiles import PythonFilter, watch

from app.cli.console import ROOT, CLIError, console, errors
from app.kit.settings import ENV_FILE, SettingsError
from fastship_tooling.dev.processes import processes
from fastship_tooling.errors import print_error
from fastship_tooling.git import wait_for_checkout
from fastship_tooling.project import CHANGES_LOCK, HAS_DATABASE, HAS_REDIS, STATE

SOURCE = Path("src")
# `dev` applies the migrations that it writes. Others are applied by `db upgrade`.
VERSIONS = SOURCE / "app/migrations/versions"
POLL_MILLISECONDS = 50
STOP_SECONDS = 5
# Jobs that take longer are interrupted, and the next process starts them again.
DRAIN_SECONDS = 2


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


def serve(host: str, port: int) -> None:
    """Serve until interrupted.

    Args:
        host: Address to listen on.
        port: Port to listen on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        if sys.platform != "win32":  # the option has another meaning there
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        _supervise(lambda: Application(listener))


def _supervise(start: Callable[[], Application]) -> None:
    serving: Application | None = None
    starting: Application | None = start()
    stopping: list[Application] = []
    failed: dict[Path, int] | None = None  # the migrations at that time
    environment = _modified(ENV_FILE)
    try:
        for changes in watch(
            SOURCE,
            watch_filter=PythonFilter(ignore_paths=[VERSIONS.resolve()]),
            rust_timeout=POLL_MILLISECONDS,
            yield_on_timeout=True,
            raise_interrupt=True,
        ):
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
            if environment != (environment := _modified(ENV_FILE)):
                names.append(ENV_FILE.as_posix())
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


def _modified(path: Path) -> int:
    # Not watched: an editor may replace the file, which ends the watch.
    with suppress(FileNotFoundError):
        return path.stat().st_mtime_ns
    return 0


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
    except (CLIError, SettingsError) as error:
        errors.print(str(error), style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    except Exception as error:
        print_error(error)
        sys.exit(1)
    # uvicorn would log four lines for each change. `_supervise` prints one.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, timeout_graceful_shutdown=STOP_SECONDS - 1
    )
    _Server(config, ready).run(sockets=[listener])


def _create_app() -> Any:
    """Update the database schema, and create the application."""
    wait_for_checkout()
    STATE.mkdir(exist_ok=True)
    with FileLock(CHANGES_LOCK):
        pass  # no command changes the code any more
    from app.config import Settings

    settings = Settings.load()
    if HAS_DATABASE:
        from app.cli.db import require_url
        from fastship_tooling.schema_sync.sync import sync

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


def _add_worker(app: Any, settings: Any) -> None:
    """Run the jobs in the process of the application. In production, a worker has its own."""
    from app.worker import running

    lifespan = app.router.lifespan_context

    @asynccontextmanager
    async def with_worker(app: Any) -> AsyncIterator[None]:
        async with lifespan(app), running(settings, drain_seconds=DRAIN_SECONDS):
            yield

    app.router.lifespan_context = with_worker
