"""`db`: the database and its migrations."""

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import console, fail, load_settings, table
from app.cli.database import database_url, refusals, shown, with_session

if TYPE_CHECKING:
    from sqlalchemy import Connection

app = typer.Typer(help="The database and its migrations.", no_args_is_help=True)

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command()
def upgrade(
    revision: Annotated[str, typer.Argument(help="Where to go.")] = "head",
) -> None:
    """Bring the database to the newest revision.

    Example: db upgrade
    """
    from app import migrations  # noqa: PLC0415

    with database_url() as url, refusals():
        migrations.upgrade(url, revision)
    console.print(f"The database is at {revision}.")


@app.command()
def downgrade(
    revision: Annotated[str, typer.Argument(help="Where to go, or how many steps.")] = "-1",
    yes: Yes = False,
) -> None:
    """Take the newest revision back, and what it holds with it.

    Example: db downgrade -- -2
    """
    from alembic import command  # noqa: PLC0415

    from app import migrations  # noqa: PLC0415

    with database_url() as url, refusals():
        confirm(f"Take {revision} back? Data in what it made is lost.", yes=yes)
        command.downgrade(migrations.config(url), revision)
    console.print("Done. `dev` brings it back at the next change, unless its file is gone.")


@app.command()
def revision(
    message: Annotated[str, typer.Argument(help="What changes, in a few words.")],
    empty: Annotated[
        bool, typer.Option("--empty", help="Do not look at the models: write it yourself.")
    ] = False,
) -> None:
    """Write a migration from what changed in the models since the newest revision.

    Example: db revision "add price"
    """
    from alembic import command  # noqa: PLC0415

    from app import migrations  # noqa: PLC0415

    with database_url() as url, refusals():
        migrations.upgrade(url)
        command.revision(migrations.config(url), message, autogenerate=not empty)
    console.print("Read it, then: db upgrade")


@app.command()
def merge() -> None:
    """Join two revisions that are both the newest, as after a merge of branches.

    Example: db merge
    """
    from alembic import command  # noqa: PLC0415

    from app import migrations  # noqa: PLC0415

    with database_url() as url, refusals():
        config = migrations.config(url)
        command.merge(config, "heads", message="merge branches")
        migrations.upgrade(url)
    console.print("The database is at the joint revision.")


@app.command()
def history() -> None:
    """List the revisions, the newest first, and where the database is.

    Example: db history
    """
    from app import migrations  # noqa: PLC0415

    revisions = table("", "Revision", "What", "File")
    with database_url() as url, refusals():
        current = migrations.current(url)
        for entry in migrations.history(url):
            mark = "->" if entry.revision in current else ""
            what = str(entry.doc).removesuffix(".")
            revisions.add_row(mark, entry.revision, what, Path(entry.path).name)
    console.print(revisions)


@app.command()
def reset(yes: Yes = False) -> None:
    """Empty the database and bring it to the newest revision again. Not in production.

    Example: db reset --yes && db seed
    """
    from sqlalchemy import text  # noqa: PLC0415

    from app import migrations  # noqa: PLC0415

    with database_url() as url, refusals():
        not_in_production("db reset")
        confirm(f"Throw away all that is in {shown(url)}?", yes=yes)

        def empty(connection: "Connection") -> None:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))

        migrations.on_connection(url, empty)
        migrations.upgrade(url)
    console.print("The database is empty, and at head.")


@app.command()
def seed() -> None:
    """Put example data into the database, once. What it is stands in `seeds.py`.

    Example: db seed
    """
    import asyncio  # noqa: PLC0415

    from app import migrations  # noqa: PLC0415
    from app.seeds import seed as plant  # noqa: PLC0415

    with database_url() as url, refusals():
        not_in_production("db seed")
        migrations.upgrade(url)
        for line in asyncio.run(with_session(url, plant)):
            console.print(line)


@app.command()
def shell() -> None:
    """Open psql on the database.

    Example: db shell
    """
    from app.cli import psql  # noqa: PLC0415

    with database_url() as url:
        client = psql.client(url)
        command = [str(client.folder / "psql"), client.address]
        done = subprocess.run(command, env=os.environ | client.environment, check=False)
    raise typer.Exit(done.returncode)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is lost.

    Args:
        question: What to ask.
        yes: Whether it was answered beforehand.
    """
    if not yes:
        typer.confirm(question, abort=True)


def not_in_production(command: str) -> None:
    """Give up in a line where the data is worth something."""
    if load_settings().app.production:
        fail(f"`{command}` is for development: APP_ENVIRONMENT is production here.")
