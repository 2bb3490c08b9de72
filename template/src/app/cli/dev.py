"""`dev`: all that development needs, in one command."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from app.cli.console import console, fail, load_settings
from app.cli.env_file import ensure_env_file

STATE = Path(".dev")
"""What development leaves in the project's folder; git ignores it."""

STOPPING = (signal.SIGINT, signal.SIGTERM)

services: list[Callable[[], AbstractContextManager[str]]] = []
"""What is started before the application, and stopped after it; each says in a line what it is."""

before_start: list[Callable[[], None]] = []
"""What is done before each start of the application, in its process; an error keeps it from starting."""

unwatched: list[Path] = []
"""Folders of the source where a change is no reason to start anew."""


def dev(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
) -> None:
    """Start everything, and restart the application when its code changes.

    Example: dev --port 8001
    """
    # Some editors and supervisors end programs with SIGTERM: clean up as for Ctrl-C.
    for wanted in STOPPING:
        signal.signal(wanted, _interrupt)
    os.environ["APP_ENVIRONMENT"] = "development"
    first_start = ensure_env_file()
    with only_one(f"http://{host}:{port}"), ExitStack() as stack:
        require_free_port(host, port)
        if first_start:
            # Nothing is compiled yet. Another core can do that while the services start.
            importing = [sys.executable, "-c", "import app.main"]
            compiling = subprocess.Popen(importing, stderr=subprocess.DEVNULL)
            stack.callback(compiling.wait)
        from app.cli import reload  # noqa: PLC0415

        load_settings()
        try:
            for service in services:
                console.print(stack.enter_context(service()))
            console.print(f"API    http://{host}:{port}/docs\nStop   Ctrl-C", style="green")
            reload.serve(host, port, before_start)
        except KeyboardInterrupt:
            pass
    console.print("Stopped.")


@contextmanager
def only_one(url: str) -> Iterator[None]:
    """Hold the place of the one `dev` in this folder.

    Args:
        url: Where this one serves, for the next who tries.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415  development only

    STATE.mkdir(exist_ok=True)
    where = STATE / "dev.txt"
    lock = FileLock(STATE / "dev.lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        other = where.read_text() if where.exists() else ""
        fail(f"dev already runs in this folder{other}. Stop that one first, with Ctrl-C.")
    try:
        where.write_text(f" (process {os.getpid()}, {url})")
        yield
    finally:
        where.unlink(missing_ok=True)
        lock.release()


def require_free_port(host: str, port: int) -> None:
    """Give up in words when the port is taken.

    Args:
        host: Address to listen on.
        port: Port to listen on.
    """
    try:
        try_port(host, port)
    except OSError as error:
        fail(
            f"Cannot listen on {host}:{port}: {error.strerror}. "
            f"Free port {port}, or choose another: --port {port + 1}"
        )


def try_port(host: str, port: int) -> None:
    """Take a port and let go of it again.

    Raises:
        OSError: Somebody has it, or the address is not of this machine.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # Past connections that are not yet forgotten are no reason; on Windows it means another thing.
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    # uv passes Ctrl-C on, so that it comes twice: the second one must not interrupt the cleaning up.
    for wanted in STOPPING:
        signal.signal(wanted, signal.SIG_IGN)
    raise KeyboardInterrupt
