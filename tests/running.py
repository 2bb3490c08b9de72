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
from pathlib import Path
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
"""Settings that are required in production if accounts are on. Emails are not delivered."""


@dataclass
class Application:
    """An application that answers requests.

    Args:
        url: Its URL.
        clients: Clients to close at the end.
    """

    url: str
    clients: ExitStack = field(default_factory=ExitStack)

    def client(self) -> httpx2.Client:
        """Create a client. It is closed at the end."""
        return self.clients.enter_context(httpx2.Client(base_url=self.url, timeout=20))

    def signed_in(self, email: str, *, register: bool) -> httpx2.Client:
        """Create a client that is signed in.

        Args:
            email: Email address of the account.
            register: Whether to create the account first.
        """
        client = self.client()
        password = "correct horse battery"  # noqa: S105
        if register:
            body = {"email": email, "password": password}
            client.post("/api/v1/auth/register", json=body).raise_for_status()
        form = {"username": email, "password": password}
        token = client.post("/api/v1/auth/token", data=form).raise_for_status().json()
        client.headers["authorization"] = f"Bearer {token['access_token']}"
        return client


class RestartTransport(httpx2.HTTPTransport):
    """Repeats a GET request whose connection is lost, since `dev` restarts after a change."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        for _ in range(20 if request.method == "GET" else 0):
            try:
                return super().handle_request(request)
            except httpx2.TransportError:
                time.sleep(0.25)
        return super().handle_request(request)


@dataclass(kw_only=True)
class Running(Application):
    """An application that a test has started.

    Args:
        process: The process of its command.
        output: Its output, after it has exited.
        log: File with its output.
    """

    process: subprocess.Popen[bytes]
    output: str = ""
    log: IO[str]

    def client(self) -> httpx2.Client:
        """Create a client that waits while the application restarts. It is closed at the end."""
        client = httpx2.Client(base_url=self.url, timeout=20, transport=RestartTransport())
        return self.clients.enter_context(client)

    def so_far(self) -> str:
        """Return its output until now."""
        # Another process writes to the same file. Reading must not move its position.
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
            raise AssertionError(f"exited with code {process.returncode}")
        try:
            if httpx2.get(f"{url}/health/live", timeout=2).is_success:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"no answer in {START_SECONDS} seconds")


@contextmanager
def dev(
    project: Project, *, port: int | None = None, option: bool = True, **extra: str
) -> Iterator[Running]:
    """Run `dev`, and interrupt its process group at the end, as Ctrl-C does.

    Args:
        project: The project.
        port: Port to listen on; by default, a free one.
        option: Whether to pass the port as an option.
        extra: Further environment variables.
    """
    port = port or free_port()
    options = ["--port", str(port)] if option else []
    # A file: the process would block on a pipe that nobody reads.
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            ["uv", "run", "--quiet", "acme-orders", "dev", *options],
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


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run Redis, and return its URL."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            while not listens(port):
                time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
