"""The development server: when the code changes, a new application takes over from the old one.

Both listen on the same socket. The old one goes when the new one is ready; a new one that fails shows
its error, and the old one goes on.
"""

import multiprocessing
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import uvicorn
from watchfiles import PythonFilter, watch

from app.cli.console import ROOT, PlainError, console, errors
from app.cli.dev import unwatched
from app.kit.settings import SettingsError

SOURCE = Path("src")
PACKAGE = ROOT / SOURCE / "app"
LOOK_MILLISECONDS = 50
LEAVE_SECONDS = 5

spawn = multiprocessing.get_context("spawn")


class Application:
    """A process that serves, or is about to.

    Args:
        listener: Where to listen; bound.
        prepare: What is done before the application is made.
    """

    def __init__(self, listener: socket.socket, prepare: list[Callable[[], None]]) -> None:
        self.ready: Event = spawn.Event()
        self.process: SpawnProcess = spawn.Process(
            target=_serve, args=(listener, prepare, self.ready)
        )
        self.process.start()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.is_alive()

    def leave(self) -> None:
        """Ask it to answer what it has begun, and to end."""
        self.process.terminate()

    def end(self) -> None:
        """Wait until it has ended, and insist if that takes long."""
        self.process.join(LEAVE_SECONDS)
        if self.alive:
            self.process.kill()
            self.process.join()


def serve(host: str, port: int, prepare: list[Callable[[], None]]) -> None:
    """Serve until interrupted.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        prepare: What each new application does first, in its own process; an error keeps it out.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        if sys.platform != "win32":  # there it means another thing
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        _supervise(lambda: Application(listener, prepare))


def _supervise(start: Callable[[], Application]) -> None:
    serving: Application | None = None
    coming: Application | None = start()
    leaving: list[Application] = []
    try:
        for changes in watch(
            SOURCE,
            watch_filter=PythonFilter(ignore_paths=[path.resolve() for path in unwatched]),
            rust_timeout=LOOK_MILLISECONDS,
            yield_on_timeout=True,
            raise_interrupt=True,
        ):
            leaving = [old for old in leaving if old.alive]
            if coming and coming.ready.is_set():
                if serving:
                    serving.leave()
                    leaving.append(serving)
                serving, coming = coming, None
            elif coming and not coming.alive:
                coming = None
                what = "The old code goes on" if serving else "Nothing is served"
                errors.print(f"{what} until the next change.", style="yellow")
            if serving and not serving.alive:
                code = serving.process.exitcode
                serving = None
                errors.print(f"The application has ended ({code}). Change something to start it.")
            if changes:
                names = sorted({_display(Path(path)) for _, path in changes})
                console.print(f"Changed: {', '.join(names)}", style="cyan", markup=False)
                if coming:
                    coming.leave()
                    leaving.append(coming)
                coming = start()
    finally:
        for application in filter(None, (coming, serving, *leaving)):
            application.leave()
        for application in filter(None, (coming, serving, *leaving)):
            application.end()


def _display(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


class _Server(uvicorn.Server):
    """A server that tells when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Event) -> None:
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


def _serve(listener: socket.socket, prepare: list[Callable[[], None]], ready: Event) -> None:
    # Ctrl-C goes to all of the terminal's processes: the first one sees to the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Until there is a server that can end in order, there is nothing to end in order.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        for step in prepare:
            step()
        from app.main import create_app  # noqa: PLC0415  what may be broken

        app: Any = create_app()
    except (PlainError, SettingsError) as error:
        errors.print(str(error), style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    except Exception as error:
        show(error)
        sys.exit(1)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, timeout_graceful_shutdown=LEAVE_SECONDS - 1
    )
    _Server(config, ready).run(sockets=[listener])


def show(error: BaseException) -> None:
    """Print an error with those lines of its traceback that are the project's own.

    Args:
        error: What was raised.
    """
    told = traceback.TracebackException.from_exception(error)
    told.stack = traceback.StackSummary.extract(
        (frame, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if (file := Path(frame.f_code.co_filename)).is_relative_to(PACKAGE)
        and not file.is_relative_to(PACKAGE / "cli")
        and "__tracebackhide__" not in frame.f_globals
    )
    told.__cause__ = told.__context__ = None
    errors.print("".join(told.format()).rstrip(), style="red", markup=False, soft_wrap=True)
