"""The command `deploy`."""

import os
import signal
from contextlib import nullcontext
from typing import Annotated

import typer

from app.cli.console import console, fail
from fastship_tooling.progress import step
from fastship_tooling.project import HAS_DATABASE


def deploy(
    host: Annotated[
        str | None,
        typer.Option(
            help="ssh://user@server. Default: the Docker engine of this machine.",
            envvar="DEPLOY_HOST",
        ),
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back to the previous version.")
    ] = False,
    swarm: Annotated[
        bool, typer.Option("--swarm", help="Deploy to a Docker Swarm; the host is a manager.")
    ] = False,
    registry: Annotated[
        str | None,
        typer.Option(help="With --swarm: registry for the image, such as ghcr.io/octocat."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the steps without running them.")
    ] = False,
    rehearse: Annotated[
        bool,
        typer.Option(
            "--rehearse",
            help="Only apply the migrations to a copy of the latest backup, on this machine.",
            hidden=not HAS_DATABASE,
        ),
    ] = False,
    dirty: Annotated[bool, typer.Option("--dirty", help="Include uncommitted changes.")] = False,
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait until the new version is ready.", min=1)
    ] = 60,
) -> None:
    """Build, migrate, start the new version next to the old one, and switch when it is ready.

    Example: deploy --host ssh://root@example.com
    """
    from fastship_tooling.deploy import image, preparation, server
    from fastship_tooling.deploy import swarm as cluster
    from fastship_tooling.deploy.lock import lock
    from fastship_tooling.docker import Docker, require_engine

    if registry and not swarm:
        fail("--registry requires --swarm. A single server builds the image itself.")
    # CI sends SIGTERM. Clean up as for Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if host:
        os.environ["DOCKER_HOST"] = host
    engine = Docker(dry_run=dry_run)
    with step(f"Connecting to {host}") if host else nullcontext():
        require_engine(engine, preparation.MIN_ENGINE)
    if rollback:
        if swarm:
            cluster.roll_back(engine)
        else:
            with lock(engine):
                server.Server(engine, preparation.production(dry_run=dry_run), timeout).roll_back()
        console.print("The previous version is serving again.", style="green")
        return
    services = [] if swarm else preparation.backing_services()
    if rehearse:
        if "db" not in services:
            fail("--rehearse requires the database and the backups that `deploy` runs on a server.")
        from fastship_tooling.database import rehearsal

        preparation.require_running(preparation.production(), "backup")
        rehearsal.rehearse(preparation.production())
        return
    containers, issues = preparation.prepare(services, dirty=dirty, dry_run=dry_run)
    if swarm:
        cluster.roll_out(engine, image.build(engine), registry)
    else:
        with lock(engine):
            server.Server(engine, containers, timeout).roll_out(image.build(engine), services)
            image.remove_unused(engine)
    message = "Dry run: nothing was changed." if dry_run else "The new version is serving."
    console.print(message, style="green")
    preparation.require_ready(issues)
