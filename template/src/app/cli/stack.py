"""`up`, `down` and `logs`: the whole stack in containers, by docker-compose.yml."""

import json
import os
from collections.abc import Iterator
from typing import Annotated

import typer

from app.cli.console import console, fail
from app.cli.docker import Docker, DockerError, require_engine
from app.cli.env_file import ensure_env_file


def stack() -> Docker:
    """Give the development stack of this folder."""
    # What containers write into the project's folder belongs to who started them.
    own = {"UID": str(os.getuid()), "GID": str(os.getgid())} if hasattr(os, "getuid") else {}
    return Docker(("compose", "--file", "docker-compose.yml"), own)


def up(
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and take over what is edited, until Ctrl-C.")
    ] = False,
) -> None:
    """Build and start the whole stack in containers, and wait until it is healthy.

    Example: up --watch
    """
    require_engine(Docker())
    ensure_env_file()
    compose = stack()
    try:
        compose.show("up", "--detach", "--build", "--wait")
    except DockerError as error:
        fail(f"{error} Services and their state: docker compose ps --all; what they say: logs")
    for service, address in addresses(compose):
        console.print(f"{service:6} {address}", style="green")
    if watch:
        compose.show("watch", "--no-up")


def addresses(compose: Docker) -> Iterator[tuple[str, str]]:
    """Yield what can be opened in a browser: a service, and its address.

    Args:
        compose: The stack; has to run.
    """
    for line in compose.ask("ps", "--format", "json").splitlines():
        container = json.loads(line)
        for publisher in container.get("Publishers") or []:
            if port := publisher["PublishedPort"]:
                page = "/docs" if container["Service"] == "app" else ""
                yield container["Service"], f"http://127.0.0.1:{port}{page}"


def down(
    volumes: Annotated[
        bool, typer.Option("--volumes", help="Throw its data away too (asks).")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop the stack and remove its containers. Data is kept.

    Example: down --volumes
    """
    if volumes and not yes:
        typer.confirm("Throw away what the stack has stored?", abort=True)
    stack().show("down", *(["--volumes"] if volumes else []))


def logs(
    services: Annotated[list[str] | None, typer.Argument(help="By default all.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, until Ctrl-C.")] = False,
    tail: Annotated[int, typer.Option(help="Lines to begin with.", min=0)] = 100,
) -> None:
    """Show what the stack says.

    Example: logs app --follow
    """
    options = ["--tail", str(tail), *(["--follow"] if follow else [])]
    stack().show("logs", *options, *(services or []))
