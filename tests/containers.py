"""Docker. Tests that need it are skipped without an engine, unless REQUIRE_DOCKER is set."""

import json
import os
import secrets
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
    """Return why containers cannot run; empty if they can."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    if subprocess.run(
        ["docker", "compose", "version"], capture_output=True, check=False
    ).returncode:
        return "docker has no compose"
    done = subprocess.run(["docker", "version"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"docker is not running: {done.stderr.strip()}"


def require_docker() -> None:
    """Skip the test if containers cannot run, or fail it if REQUIRE_DOCKER is set."""
    if reason := missing():
        if os.environ.get("REQUIRE_DOCKER"):
            pytest.fail(reason)
        pytest.skip(reason)


def docker(*command: str, check: bool = True) -> str:
    """Run a docker command and return its output.

    Args:
        command: Arguments of docker.
        check: Whether a failure is an error. If not, the output includes standard error.
    """
    done = subprocess.run(
        ["docker", *command], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(command)}\n{done.stdout}{done.stderr}")
    return (done.stdout if check else done.stdout + done.stderr).strip()


def inspect(container: str) -> dict[str, Any]:
    """Return the details of a container or an image."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", container))
    return found[0]


@contextmanager
def stack(project: Project) -> Iterator[dict[str, str]]:
    """Run the development stack of a project with `up`, on free ports.

    Args:
        project: The name of its folder is the name of the stack.

    Yields:
        URLs that `up` printed, by service.
    """
    ports = {name: str(free_port()) for name in ("APP_PORT", "DOCS_PORT", "MAIL_PORT")}
    # The port of the host, as a user would set it, must not reach the container.
    example = (project.path / ".env.example").read_text()
    settings = (
        example.replace("change-me", secrets.token_urlsafe(48))
        + f"APP_PORT={ports.pop('APP_PORT')}\n"
    )
    (project.path / ".env").write_text(settings)
    try:
        try:
            output = project.uv_run("acme-orders", "up", check=True, **ports)
        except AssertionError:
            print(project.uv_run("acme-orders", "logs", check=False))
            raise
        lines = [line.split() for line in output.splitlines()]
        yield {line[0]: line[1] for line in lines if len(line) == 2 and "http://" in line[1]}
    finally:
        project.uv_run("acme-orders", "down", "--volumes", "--yes", check=False)
        name = project.path.name
        docker("image", "rm", *(f"{name}-{part}" for part in ("app", "mail", "docs")), check=False)
