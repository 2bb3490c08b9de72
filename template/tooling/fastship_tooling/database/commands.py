"""The commands of `db` that are for development."""

import os
import subprocess
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import CLIError, console, table
from app.cli.db import (
    app,
    database_url,
    load_history,
    migration_errors,
    plan,
    with_session,
    without_credentials,
)
from fastship_tooling.confirmation import confirm
from fastship_tooling.database.connection import require_development
from fastship_tooling.project import STATE, command_line
from fastship_tooling.settings import default_to_development

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncSession

    from fastship_tooling.schema_sync.state import State

SEEDS = Path("tests/seeds.py")
BY_HAND = "was created by `db revision`"

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def add_commands() -> None:
    """Add the commands to `db`."""
    from fastship_tooling.database import backup

    app.callback()(default_to_development)
    for command in (
        *(downgrade, revision, check, merge, history, reset, seed, shell),
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
    from fastship_tooling.schema_sync import branches

    with database_url() as url, migration_errors():
        entries = plan(url, revision, down=True)
        reverted = [str(entry.doc).removesuffix(".") for entry in entries]
        if not reverted:
            raise CLIError(
                "Nothing to revert: the database is at this revision already. "
                f"List the revisions: {command_line('db history')}"
            )
        confirm(
            f"Revert {', '.join(reverted)}? Data in removed tables and columns is lost.", yes=yes
        )
        command.downgrade(migrations.config(url), revision)
        branches.forget(branches.folder_of(url), [entry.revision for entry in entries])
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
    from fastship_tooling.database import squawk
    from fastship_tooling.schema_sync.history import compare
    from fastship_tooling.schema_sync.state import Created

    with database_url() as url, migration_errors():
        if not message.strip():
            raise CLIError("The message is empty. Write in a few words what changes.")
        config = migrations.config(url)
        if empty:
            plan(url, "head")
            state, held = read_state(), [BY_HAND]
            with redirect_stdout(StringIO()):  # Alembic prints each step
                created = command.revision(config, message)
            revision, path = created.revision, Path(created.path)  # type: ignore[union-attr]
        else:
            state = apply_migrations(url)
            draft = migrations.on_connection(url, partial(compare, config, None, message=message))
            if draft is None:
                raise CLIError(
                    "The models have no changes, so no migration was created. To write one by hand: "
                    f"{command_line(f'db revision --empty "{message}"')}"
                )
            revision, path, held = draft.revision, draft.path, draft.destructive or [BY_HAND]
            for change in draft.destructive:
                console.print(f"It {change}.", style="yellow", markup=False, soft_wrap=True)
            squawk.warn(
                next(entry for entry in load_history(url) if entry.revision == draft.revision)
            )
        # `dev` must neither apply it nor rewrite it.
        state[revision] = Created("", held)
        state.save()
    console.print(f"Created {path.name}.\nReview it, then apply it: {command_line('db upgrade')}")


def read_state() -> "State":
    """Return the migrations that were created on this machine."""
    from fastship_tooling.schema_sync.state import State

    STATE.mkdir(exist_ok=True)
    return State(STATE / "migrations.json")


def apply_migrations(url: str) -> "State":
    """Apply the migrations, but no destructive one that `dev` has created. Return the state of `dev`.

    Args:
        url: Database URL, with the async driver.

    Raises:
        CLIError: A destructive migration is not applied. Nothing has changed.
    """
    from app import migrations

    state = read_state()
    for entry in plan(url, "head"):
        if changes := state.unconfirmed(entry.revision):
            raise CLIError(
                f"{Path(entry.path).name} is not applied, because it {', and '.join(changes)}.\n"
                f"Review it, then apply it: {command_line('db upgrade')}"
            )
    migrations.upgrade(url)
    return state


def check() -> None:
    """Check the migrations for statements that block or break an application that is in use.

    Example: db check
    """
    from fastship_tooling.database import squawk

    squawk.refuse(squawk.check(load_history(squawk.NO_DATABASE, several_heads=True)[::-1]))
    console.print("The migrations neither block nor break an application that is in use.")


def merge() -> None:
    """Merge the latest migrations of two branches.

    Example: db merge
    """
    from alembic import command

    from app import migrations

    with database_url() as url, migration_errors():
        config = migrations.config(url)
        if sum(entry.is_head for entry in load_history(url, several_heads=True)) <= 1:
            raise CLIError(
                "Nothing to merge: only one migration is the latest. "
                f"To apply all migrations: {command_line('db upgrade')}"
            )
        with redirect_stdout(StringIO()):
            merged = command.merge(config, "heads", message="merge branches")
        name = Path(merged.path).name  # type: ignore[union-attr]
    console.print(f"Created {name}. Apply it: {command_line('db upgrade')}")


def history() -> None:
    """List the migrations, newest first, and mark the current one.

    Example: db history
    """
    from app import migrations

    revisions = table("", "Revision", "Description", "File")
    with database_url() as url, migration_errors():
        current = migrations.current(url)
        entries = load_history(url, several_heads=True)
        for revision in set(current) - {entry.revision for entry in entries}:
            revisions.add_row("->", revision, "Its file is missing", "")
        for entry in entries:
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
    from fastship_tooling.schema_sync import branches

    with database_url() as url, migration_errors():
        require_development("db reset")
        entries = load_history(url)
        confirm(f"Delete all data in {without_credentials(url)}?", yes=yes)

        def empty(connection: "Connection") -> None:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))

        migrations.on_connection(url, empty)
        branches.forget(branches.folder_of(url), [entry.revision for entry in entries])
        migrations.upgrade(url)
    console.print("The database is empty and has all migrations.")


def seed() -> None:
    """Add the example data of `tests/seeds.py`, once. Not in production.

    Example: db seed
    """
    import asyncio

    with database_url() as url, migration_errors():
        require_development("db seed")
        apply_migrations(url)
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
