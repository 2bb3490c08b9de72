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
from fastship_tooling.errors import DevelopmentGroup
from fastship_tooling.feature import commands as feature
from fastship_tooling.project import HAS_AUTH, HAS_DATABASE, HAS_DOCS
from fastship_tooling.settings import default_to_development

DEVELOP, CONTAINERS, PUBLISH = "Develop", "Containers of development", "Publish"
"""Headings in the help."""


def add_commands(app: typer.Typer) -> None:
    """Add the commands to `app`.

    Args:
        app: The command line of the application.
    """
    app.info.cls = DevelopmentGroup
    app.command(rich_help_panel=DEVELOP)(dev.dev)
    app.command("test", context_settings=checks.PASS_ON, rich_help_panel=DEVELOP)(checks.run_tests)
    app.command(rich_help_panel=DEVELOP)(checks.lint)
    app.add_typer(feature.app, name="feature", rich_help_panel=DEVELOP)
    app.command(rich_help_panel=DEVELOP)(routes.routes)
    app.command(rich_help_panel=DEVELOP)(doctor.doctor)
    app.command(rich_help_panel=DEVELOP)(checks.lock)
    app.command(rich_help_panel=CONTAINERS)(stack.up)
    app.command(rich_help_panel=CONTAINERS)(stack.down)
    app.command(rich_help_panel=CONTAINERS)(stack.logs)
    app.command(rich_help_panel=PUBLISH)(deploy.deploy)
    app.add_typer(client.app, name="client", rich_help_panel=PUBLISH)
    app.command(rich_help_panel=PUBLISH)(openapi.openapi)
    app.command(rich_help_panel=PUBLISH)(changelog.changelog)
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

        app.add_typer(docs.app, name="docs", rich_help_panel=PUBLISH)
