"""`db`: the database and its migrations."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import console, fail, load_settings
from app.cli.env_file import ensure_env_file

if TYPE_CHECKING:
    from app.config import Settings

app = typer.Typer(help="The database and its migrations.", no_args_is_help=True)

DEVELOPMENT = "app"


@contextmanager
def database_url() -> Iterator[str]:
    """Give the database that the settings name, or in development one of the project's own.

    It is checked to answer; the command ends in words if it does not.
    """
    ensure_env_file()
    settings = load_settings()
    if settings.database.url is not None:
        url = settings.database.url.get_secret_value()
        require_answer(url)
        yield url
        return
    from app.cli import postgres  # noqa: PLC0415  development only

    try:
        with postgres.running() as server:
            url = f"{server}/{DEVELOPMENT}"
            asyncio.run(postgres.ensure_database(url))
            # For the processes that this one starts.
            os.environ["DATABASE_URL"] = url
            yield url.replace("postgresql://", "postgresql+asyncpg://")
    except postgres.PostgresError as error:
        fail(str(error))


@contextmanager
def development_database() -> Iterator[str]:
    """Start the database if need be, bring it to the newest revision, and say where it is."""
    from app import migrations  # noqa: PLC0415

    with database_url() as url:
        migrations.upgrade(url)
        # Without the password, which the URL may have.
        yield f"Data   PostgreSQL at {url.rsplit('@', 1)[-1]}"


def require_database(settings: "Settings") -> None:
    """Give up in a line when the database that the settings name is none, or does not answer."""
    if settings.database.url is None:
        fail("DATABASE_URL is not set. In development, `dev` starts a database of its own.")
    require_answer(settings.database.url.get_secret_value())


def require_answer(url: str) -> None:
    """Give up in a line when the database does not answer.

    Args:
        url: With the async driver.
    """
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    async def connect() -> None:
        engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": 5})
        async with engine.connect():
            pass

    try:
        asyncio.run(connect())
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        fail(f"Cannot connect to DATABASE_URL ({url.rsplit('@', 1)[-1]}): {reason}")


@app.command()
def upgrade(
    revision: Annotated[str, typer.Argument(help="Where to go.")] = "head",
) -> None:
    """Bring the database to the newest revision."""
    from app import migrations  # noqa: PLC0415

    with database_url() as url:
        migrations.upgrade(url, revision)
    console.print(f"The database is at {revision}.")


@app.command()
def revision(
    message: Annotated[str, typer.Argument(help="What changes, in a few words.")],
) -> None:
    """Write a migration from what changed in the models since the newest revision."""
    from alembic import command  # noqa: PLC0415

    from app import migrations  # noqa: PLC0415

    with database_url() as url:
        migrations.upgrade(url)
        command.revision(migrations.config(url), message, autogenerate=True)
    console.print("Read it, then: db upgrade")
