"""`up`, `down` and `logs`: the development stack in containers, from docker-compose.yml."""

import json
import os
from collections.abc import Iterator
from typing import Annotated

import typer

from app.cli.console import console, fail
from fastship_tooling.confirmation import confirm
from fastship_tooling.dev.env_file import ensure_env_file
from fastship_tooling.docker import Docker, DockerError, require_engine
from fastship_tooling.project import command_line


def stack() -> Docker:
    """Return the docker CLI for the development stack."""
    # Files that the containers write into the checkout belong to the user who started them.
    user = {"UID": str(os.getuid()), "GID": str(os.getgid())} if hasattr(os, "getuid") else {}
    return Docker(("compose", "--file", "docker-compose.yml"), user)


def up(
    watch: Annotated[
        bool, typer.Option("--watch", help="Copy edited files into the containers, until Ctrl-C.")
    ] = False,
) -> None:
    """Build and start all containers, and wait until they are healthy.

    Example: up --watch
    """
    require_engine(Docker())
    ensure_env_file()
    compose = stack()
    try:
        compose.stream("up", "--detach", "--build", "--wait")
    except DockerError as error:
        fail(
            f"{error} State of the containers: docker compose ps --all. "
            f"Their output: {command_line('logs')}"
        )
    for service, url in urls(compose):
        console.print(f"{service:6} {url}", style="green")
    if watch:
        compose.stream("watch", "--no-up")


def urls(compose: Docker) -> Iterator[tuple[str, str]]:
    """Yield the services with a published port, and their URLs.

    Args:
        compose: The running stack.
    """
    for line in compose.output("ps", "--format", "json").splitlines():
        container = json.loads(line)
        for publisher in container.get("Publishers") or []:
            if port := publisher["PublishedPort"]:
                page = "/docs" if container["Service"] == "app" else ""
                yield container["Service"], f"http://127.0.0.1:{port}{page}"


def down(
    volumes: Annotated[
        bool, typer.Option("--volumes", help="Delete the data too, after a confirmation.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop and remove the containers. The data is kept.

    Example: down --volumes
    """
    if volumes:
        confirm("Delete all data of the stack?", yes=yes)
    require_engine(Docker())
    stack().stream("down", *(["--volumes"] if volumes else []))


def logs(
    services: Annotated[list[str] | None, typer.Argument(help="Services; by default all.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow, until Ctrl-C.")] = False,
    tail: Annotated[int, typer.Option(help="Number of lines to start with.", min=0)] = 100,
) -> None:
    """Show the output of the containers.

    Example: logs app --follow
    """
    require_engine(Docker())
    options = ["--tail", str(tail), *(["--follow"] if follow else [])]
    stack().stream("logs", *options, *(services or []))
