"""`db`: the database, for commands that need it, and `db upgrade`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import CLIError, console, load_settings

if TYPE_CHECKING:
    from app.config import Settings

app = typer.Typer(help="Manage the database and its migrations.", no_args_is_help=True)


@contextmanager
def database_url() -> Iterator[str]:
    """Return the URL of the configured database, with the async driver.

    Without `DATABASE_URL`, the package in `tooling/` runs a development database.

    Raises:
        CLIError: There is no database, or it does not accept connections.
    """
    settings = load_settings()
    if settings.database.url is None:
        for plugin in entry_points(group="app.development_database"):
            with plugin.load()() as url:
                yield url
            return
    url = require_url(settings)
    require_connection(url)
    yield url


def require_url(settings: "Settings") -> str:
    """Return the configured database URL, with the async driver.

    Raises:
        CLIError: It is not set.
    """
    from app.kit.database_url import ADVICE

    if settings.database.url is None:
        raise CLIError(f"DATABASE_URL is not set. {ADVICE} In development, `dev` runs a database.")
    return settings.database.url.get_secret_value()


def require_connection(url: str) -> None:
    """Check that the database accepts connections.

    Args:
        url: Database URL, with the async driver.

    Raises:
        CLIError: It does not.
    """
    import asyncio

    from asyncpg import InterfaceError, PostgresError
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    async def connect() -> None:
        engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": 5})
        async with engine.connect():
            pass

    try:
        asyncio.run(connect())
    except (OSError, SQLAlchemyError, PostgresError, InterfaceError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CLIError(
            f"Cannot connect to the database at {without_credentials(url)}: {reason}. "
            "Start it, or correct DATABASE_URL."
        ) from error


def require_current_schema(settings: "Settings") -> None:
    """Check that the database is available and has all migrations.

    Raises:
        CLIError: It is unavailable, or migrations are missing.
    """
    from app import migrations
    from app.config import SLUG

    url = require_url(settings)
    require_connection(url)
    # Alembic logs its implementation on INFO.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if migrations.is_behind(url):
        raise CLIError(f"Migrations are missing. Apply them:\n{SLUG} db upgrade")


def without_credentials(url: str) -> str:
    """Return a URL without its scheme, user and password."""
    return url.rsplit("@", 1)[-1]


@contextmanager
def migration_errors() -> Iterator[None]:
    """Report errors of Alembic and PostgreSQL in one line.

    Raises:
        CLIError: One of them failed.
    """
    from alembic.util import CommandError
    from sqlalchemy.exc import DBAPIError

    from app import migrations

    try:
        yield
    except CommandError as error:
        raise CLIError(str(error)) from error
    except DBAPIError as error:
        raise CLIError(f"PostgreSQL rejected the statement: {migrations.reason(error)}") from error


@app.command()
def upgrade(
    revision: Annotated[str, typer.Argument(help="Revision to upgrade to.")] = "head",
) -> None:
    """Apply all migrations.

    Example: db upgrade
    """
    from app import migrations

    with database_url() as url, migration_errors():
        migrations.upgrade(url, revision)
    console.print(f"The database is at revision {revision}.")
