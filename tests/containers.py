"""Docker, for tests of what is rendered: skipped without an engine, unless REQUIRE_DOCKER is set."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest

from tests.project import Project
from tests.running import free_port


@cache
def missing() -> str:
    """Say why there can be no containers; nothing when there can."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    if subprocess.run(
        ["docker", "compose", "version"], capture_output=True, check=False
    ).returncode:
        return "docker has no compose"
    done = subprocess.run(["docker", "version"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"docker does not run: {done.stderr.strip()}"


def require_docker() -> None:
    """Skip a test, or fail it where REQUIRE_DOCKER is set, when there can be no containers."""
    if reason := missing():
        if os.environ.get("REQUIRE_DOCKER"):
            pytest.fail(reason)
        pytest.skip(reason)


def docker(*command: str, check: bool = True) -> str:
    """Run a command of Docker's, and give what it printed: where it may fail, its errors too."""
    done = subprocess.run(
        ["docker", *command], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(command)}\n{done.stdout}{done.stderr}")
    return (done.stdout if check else done.stdout + done.stderr).strip()


def inspect(container: str) -> dict[str, Any]:
    """Read all about a container or an image."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", container))
    return found[0]


@contextmanager
def stack(project: Project) -> Iterator[dict[str, str]]:
    """Have a project's development stack run by `up`, on ports of its own.

    Args:
        project: Its folder's name is that of the stack.

    Yields:
        The addresses that `up` printed, by service.
    """
    ports = {name: str(free_port()) for name in ("APP_PORT", "DOCS_PORT", "MAIL_PORT")}
    try:
        output = project.uv_run("acme-orders", "up", check=True, **ports)
        lines = [line.split() for line in output.splitlines()]
        yield {line[0]: line[1] for line in lines if len(line) == 2 and "http://" in line[1]}
    finally:
        project.uv_run("acme-orders", "down", "--volumes", "--yes", check=False)
        name = project.path.name
        docker("image", "rm", *(f"{name}-{part}" for part in ("app", "mail", "docs")), check=False)
