"""The commands of `db` that are for development."""

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import CLIError, console, table
from app.cli.db import app, database_url, migration_errors, without_credentials
from fastship_tooling.database.connection import require_development, with_session
from fastship_tooling.project import command_line
from fastship_tooling.settings import default_to_development

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncSession

SEEDS = Path("tests/seeds.py")

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def add_commands() -> None:
    """Add the commands to `db`."""
    from fastship_tooling.database import backup

    app.callback()(default_to_development)
    for command in (
        *(downgrade, revision, merge, history, reset, seed, shell),
        *(backup.backup, backup.restore),
    ):
        app.command()(command)


def downgrade(
    revision: Annotated[
        str, typer.Argument(help="Revision to downgrade to, or a number of steps.")
    ] = "-1",
    yes: Yes = False,
) -> None:
    """Revert the latest migration, including its data.

    Example: db downgrade -- -2
    """
    from alembic import command

    from app import migrations

    with database_url() as url, migration_errors():
        confirm(f"Downgrade to {revision}? The data of what it removes is lost.", yes=yes)
        command.downgrade(migrations.config(url), revision)
    console.print("Done. `dev` applies the migration again, unless you delete its file.")


def revision(
    message: Annotated[str, typer.Argument(help="What changes, in a few words.")],
    empty: Annotated[
        bool, typer.Option("--empty", help="Create an empty migration to write by hand.")
    ] = False,
) -> None:
    """Create a migration from the changes of the models.

    Example: db revision "add price"
    """
    from alembic import command

    from app import migrations

    with database_url() as url, migration_errors():
        migrations.upgrade(url)
        command.revision(migrations.config(url), message, autogenerate=not empty)
    console.print(f"Review it, then apply it: {command_line('db upgrade')}")


def merge() -> None:
    """Merge the latest migrations of two branches.

    Example: db merge
    """
    from alembic import command
    from alembic.script import ScriptDirectory

    from app import migrations

    with database_url() as url, migration_errors():
        config = migrations.config(url)
        if len(ScriptDirectory.from_config(config).get_heads()) == 1:
            raise CLIError("There is only one latest migration: nothing to merge.")
        command.merge(config, "heads", message="merge branches")
        migrations.upgrade(url)
    console.print("The database is at the merged revision.")


def history() -> None:
    """List the migrations, newest first, and mark the current one.

    Example: db history
    """
    from app import migrations

    revisions = table("", "Revision", "Description", "File")
    with database_url() as url, migration_errors():
        current = migrations.current(url)
        for entry in migrations.history(url):
            mark = "->" if entry.revision in current else ""
            description = str(entry.doc).removesuffix(".")
            revisions.add_row(mark, entry.revision, description, Path(entry.path).name)
    console.print(revisions)


def reset(yes: Yes = False) -> None:
    """Delete all data and apply all migrations. Not in production.

    Example: db reset --yes && db seed
    """
    from sqlalchemy import text

    from app import migrations

    with database_url() as url, migration_errors():
        require_development("db reset")
        confirm(f"Delete all data in {without_credentials(url)}?", yes=yes)

        def empty(connection: "Connection") -> None:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))

        migrations.on_connection(url, empty)
        migrations.upgrade(url)
    console.print("The database is empty and has all migrations.")


def seed() -> None:
    """Add the example data of `tests/seeds.py`, once. Not in production.

    Example: db seed
    """
    import asyncio

    from app import migrations

    with database_url() as url, migration_errors():
        require_development("db seed")
        migrations.upgrade(url)
        for line in asyncio.run(with_session(url, load_seeds())):
            console.print(line)


def load_seeds() -> "Callable[[AsyncSession], Awaitable[list[str]]]":
    """Return the function `seed` of `tests/seeds.py`.

    Raises:
        CLIError: The file is missing.
    """
    import runpy
    import sys

    if not SEEDS.exists():
        raise CLIError(f"There is no {SEEDS}. Create it, with `async def seed(session)`.")
    sys.path.insert(0, os.getcwd())  # it may import from `tests`
    function: Callable[[AsyncSession], Awaitable[list[str]]] = runpy.run_path(str(SEEDS))["seed"]
    return function


def shell() -> None:
    """Open psql on the database.

    Example: db shell
    """
    from fastship_tooling.database import psql

    with database_url() as url:
        client = psql.client(url)
        command = [str(client.folder / "psql"), client.address]
        done = subprocess.run(command, env=os.environ | client.environment, check=False)
    raise typer.Exit(done.returncode)


def confirm(question: str, *, yes: bool) -> None:
    """Prompt for confirmation.

    Args:
        question: The question.
        yes: Whether it was confirmed on the command line.
    """
    if not yes:
        typer.confirm(question, abort=True)
