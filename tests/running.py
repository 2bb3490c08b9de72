"""A rendered project whose `dev` runs."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import IO

import httpx2

from tests.project import Project

START_SECONDS = 120
STOP_SECONDS = 30
ACCOUNTS = {
    "SECRET_KEY": "a-key-of-more-than-thirty-two-bytes",
    "MAIL_SMTP_URL": "smtp://nowhere:25",
    "MAIL_SENDER": "noreply@example.com",
    "MAIL_LINKS_TO": "https://example.com",
}
"""What accounts need in production. No mail arrives."""


@dataclass
class Application:
    """An application that answers.

    Args:
        url: Where.
        clients: What is closed when it ends.
    """

    url: str
    clients: ExitStack = field(default_factory=ExitStack)

    def client(self) -> httpx2.Client:
        """Make a client, which is closed when the application ends."""
        return self.clients.enter_context(httpx2.Client(base_url=self.url, timeout=20))

    def signed_in(self, email: str, *, register: bool) -> httpx2.Client:
        """Make a client that is signed in.

        Args:
            email: Names the account.
            register: Whether it has to be opened first.
        """
        client = self.client()
        password = "correct horse battery"  # noqa: S105  of a database that is soon gone
        if register:
            body = {"email": email, "password": password}
            client.post("/api/v1/auth/register", json=body).raise_for_status()
        form = {"username": email, "password": password}
        token = client.post("/api/v1/auth/token", data=form).raise_for_status().json()
        client.headers["authorization"] = f"Bearer {token['access_token']}"
        return client


@dataclass(kw_only=True)
class Running(Application):
    """An application that was started here.

    Args:
        process: What is to be stopped.
        output: What it has printed, when it has ended.
        log: Where it prints to.
    """

    process: subprocess.Popen[bytes]
    output: str = ""
    log: IO[str]

    def so_far(self) -> str:
        """Read what it has printed."""
        # Another process writes to the same place: reading must not move it.
        return os.pread(self.log.fileno(), 10_000_000, 0).decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until_live(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"ended with {process.returncode}")
        try:
            if httpx2.get(f"{url}/health/live", timeout=2).is_success:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    raise AssertionError("did not answer in time")


@contextmanager
def dev(project: Project, *, port: int | None = None, **extra: str) -> Iterator[Running]:
    """Run `dev` until the context ends, then interrupt it as Ctrl-C does: the whole group.

    Args:
        project: What to run.
        port: Where; by default one that is free.
        extra: More variables.
    """
    port = port or free_port()
    # A file, since a pipe that nobody reads is full one day.
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            ["uv", "run", "--quiet", "acme-orders", "dev", "--port", str(port)],
            cwd=project.path,
            env=project.env | extra,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        app = Running(f"http://127.0.0.1:{port}", process=process, log=output)
        try:
            wait_until_live(app.url, process)
            with app.clients:
                yield app
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
            finally:
                output.seek(0)
                app.output = output.read()
                if sys.exc_info()[0]:
                    print(app.output)
    assert not listens(port)
