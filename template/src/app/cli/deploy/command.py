"""`deploy`: to a server, or to a swarm of them."""

import os
from typing import Annotated

import typer

from app.cli.console import console, fail


def deploy(
    host: Annotated[
        str | None,
        typer.Option(
            help="ssh://user@server. By default the Docker of this machine.", envvar="DEPLOY_HOST"
        ),
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back to the version before this one.")
    ] = False,
    swarm: Annotated[
        bool, typer.Option("--swarm", help="To a Docker Swarm; the host is one of its managers.")
    ] = False,
    registry: Annotated[
        str | None,
        typer.Option(help="With --swarm: where its machines get the image: ghcr.io/acme."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print each step, and take none.")
    ] = False,
    dirty: Annotated[
        bool, typer.Option("--dirty", help="Take along what is not committed.")
    ] = False,
    patience: Annotated[
        float, typer.Option(help="Seconds that the new version may take to be ready.", min=1)
    ] = 60,
) -> None:
    """Build, migrate, start the new version beside the old one, and switch when it is ready.

    Example: deploy --host ssh://root@example.com
    """
    from app.cli.deploy import image, preparation, server  # noqa: PLC0415
    from app.cli.deploy import swarm as machines  # noqa: PLC0415
    from app.cli.docker import Docker, require_engine  # noqa: PLC0415

    if registry and not swarm:
        fail("--registry goes with --swarm: one server builds the image itself.")
    if host:
        os.environ["DOCKER_HOST"] = host
    engine = Docker(dry_run=dry_run)
    require_engine(engine, host or "Docker")
    if rollback:
        if swarm:
            machines.roll_back(engine)
        else:
            server.Server(engine, preparation.production(dry_run=dry_run), patience).roll_back()
        console.print("The version before serves again.", style="green")
        return
    containers = preparation.prepare(dirty=dirty, dry_run=dry_run)
    built = image.build(engine)
    with server.step("Bring the secrets"):
        preparation.bring_secrets(engine, built)
    if swarm:
        machines.roll_out(engine, built, registry)
    else:
        services = preparation.services_beside()
        server.Server(engine, containers, patience).roll_out(built, services)
        image.remove_unused(engine)
    console.print("Nothing was done." if dry_run else "The new version serves.", style="green")
