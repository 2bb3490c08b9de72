"""The command `dev`."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Annotated, NoReturn

import typer

from app.cli.console import console, fail
from fastship_tooling.dev.env_file import ensure_env_file
from fastship_tooling.ports import require_free_port
from fastship_tooling.project import HAS_DATABASE, HAS_REDIS, RUNNING, STATE
from fastship_tooling.settings import load_settings

# SIGHUP: the terminal was closed. Windows does not have it.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
interrupted = threading.Event()


def dev(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(help="Port to listen on. Default: APP_PORT, or 8000.", min=1, max=65535),
    ] = None,
) -> None:
    """Start the application and its services, and restart it when the code changes.

    Example: dev --port 8001
    """
    from fastship_tooling.dev.processes import preload

    preload()  # while the services start
    # Some editors and supervisors send SIGTERM. Clean up as for Ctrl-C.
    for number in STOP_SIGNALS:
        signal.signal(number, _interrupt)
    os.environ["APP_ENVIRONMENT"] = "development"
    first_start = ensure_env_file()
    settings = load_settings()
    port = port or settings.app.port
    url = f"http://{name(host)}:{port}"
    mail = getattr(settings, "mail", None)
    if mail and "links_to" not in mail.model_fields_set:
        os.environ["MAIL_LINKS_TO"] = url
    with single_instance(url), ExitStack() as stack:
        require_free_port(host, port)
        if HAS_REDIS and settings.redis.url:
            from fastship_tooling.doctor import check_redis

            check_redis()
        if first_start:
            # Compile the modules on another core while the services start.
            importing = [sys.executable, "-c", "import app.main"]
            compiling = subprocess.Popen(importing, stderr=subprocess.DEVNULL)
            stack.callback(compiling.wait)
        try:
            if HAS_DATABASE:
                from app.cli.db import database_url, without_credentials

                database = stack.enter_context(database_url())
                console.print(f"Data   PostgreSQL at {without_credentials(database)}")
            console.print(f"Home   {url}\nAPI    {url}/docs\nStop   Ctrl-C", style="green")
            from fastship_tooling.dev import reload

            reload.serve(host, port, interrupted.is_set)
        except KeyboardInterrupt:
            pass
    with suppress(OSError):  # the terminal was closed
        console.print("Stopped.")


def name(host: str) -> str:
    """Return an address as a part of a URL, under which this machine can be reached.

    Args:
        host: Address to listen on.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{host}]" if ":" in host else host


@contextmanager
def single_instance(url: str) -> Iterator[None]:
    """Prevent a second `dev` in this folder.

    Args:
        url: URL to report if a second `dev` is started.
    """
    from filelock import FileLock, Timeout

    STATE.mkdir(exist_ok=True)
    lock = FileLock(STATE / "dev.lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        other = f" (process {RUNNING.read_text()})" if RUNNING.exists() else ""
        fail(f"dev is already running in this folder{other}. Stop it first, with Ctrl-C.")
    try:
        RUNNING.write_text(f"{os.getpid()}, {url}")
        yield
    finally:
        RUNNING.unlink(missing_ok=True)
        lock.release()


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    # uv forwards Ctrl-C, so it arrives twice. The second one must not interrupt the cleanup.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    # Python ignores the exception in a finalizer, which can run at any time.
    interrupted.set()
    raise KeyboardInterrupt
