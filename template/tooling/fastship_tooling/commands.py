"""The commands that development adds to the command line of the application."""

import typer

from fastship_tooling import (
    changelog,
    checks,
    client,
    doctor,
    openapi,
    routes,
    stack,
)
from fastship_tooling.deploy import command as deploy
from fastship_tooling.dev import command as dev
from fastship_tooling.feature import commands as feature
from fastship_tooling.project import HAS_AUTH, HAS_DATABASE, HAS_DOCS
from fastship_tooling.settings import default_to_development


def add_commands(app: typer.Typer) -> None:
    """Add the commands to `app`.

    Args:
        app: The command line of the application.
    """
    app.command()(dev.dev)
    app.command("test", context_settings=checks.PASS_ON)(checks.run_tests)
    app.command()(checks.lint)
    app.command()(checks.lock)
    app.command()(doctor.doctor)
    app.command()(routes.routes)
    app.command()(stack.up)
    app.command()(stack.down)
    app.command()(stack.logs)
    app.command()(deploy.deploy)
    app.command()(openapi.openapi)
    app.command()(changelog.changelog)
    app.add_typer(client.app, name="client")
    app.add_typer(feature.app, name="feature")
    if HAS_DATABASE:
        from fastship_tooling.database import commands as database
        from fastship_tooling.database import jobs

        database.add_commands()
        jobs.add_commands()
    if HAS_AUTH:
        from app.cli import users

        users.app.callback()(default_to_development)
    if HAS_DOCS:
        from fastship_tooling.docs import commands as docs

        app.add_typer(docs.app, name="docs")
