"""The lock of a server: one deployment at a time."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from app.config import SLUG
from fastship_tooling.deploy.server import DeployError
from fastship_tooling.docker import Docker, DockerError
from fastship_tooling.project import NEW_GROUP

NAME = f"{SLUG}-deployment"
# The proxy has the same image.
IMAGE = "caddy:2-alpine"


@contextmanager
def lock(engine: Docker) -> Iterator[None]:
    """Prevent another deployment to the same server.

    A container holds the lock. It exits when its standard input is closed, for example when this process is
    killed or the connection is lost.

    Args:
        engine: Docker engine of the server.

    Raises:
        DeployError: Another deployment is running.
        DockerError: The container does not start.
    """
    if engine.dry_run:
        yield
        return
    run = ["run", "--rm", "--interactive", "--quiet", "--network", "none", "--name", NAME]
    with subprocess.Popen(
        engine.command(*run, "--entrypoint", "cat", IMAGE),
        env={**os.environ, **engine.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,  # Ctrl-C ends it after the cleanup
        creationflags=NEW_GROUP,
    ) as holder:
        assert holder.stdin and holder.stdout and holder.stderr  # noqa: PT018, S101
        with suppress(BrokenPipeError):  # the container has not started
            holder.stdin.write(b"\n")
        if not holder.stdout.readline():
            error = holder.stderr.read().decode(errors="replace").strip()
            if "is already in use" in error:
                host = os.environ.get("DOCKER_HOST")
                docker = f"docker --host {host}" if host else "docker"
                raise DeployError(
                    "Another deployment to this server is running. Wait until it has ended. If it was "
                    f"killed, remove its lock: {docker} rm --force {NAME}"
                )
            raise DockerError(f"The lock of the deployment failed: {error}")
        yield
