"""`db`: the database, for commands that need it, and `db upgrade`."""

import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import CLIError, console, load_settings

if TYPE_CHECKING:
    from alembic.script import Script
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.config import Settings

VERSIONS = "src/app/migrations/versions"
CONNECT_SECONDS = 5
CONNECTION_ADVICE = {
    "28P01": "Correct the password in DATABASE_URL.",
    "28000": "Correct the user in DATABASE_URL.",
    "3D000": "Create it, or correct its name in DATABASE_URL.",
}
"""Advice by SQLSTATE, for errors of a server that does answer."""
UNDEFINED = {"42P01", "42703"}  # SQLSTATE of a table or a column that does not exist

app = typer.Typer(help="Manage the database and its migrations.", no_args_is_help=True)


@contextmanager
def database_url() -> Iterator[str]:
    """Return the URL of the configured database, with the async driver.

    Without `DATABASE_URL`, the package in `tooling/` runs a development database.

    Raises:
        CLIError: There is no database, it does not accept connections, or it lacks migrations.
    """
    from sqlalchemy.exc import DBAPIError

    try:
        with _configured_database() as url:
            yield url
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in UNDEFINED:
            raise
        from app import migrations
        from app.config import SLUG

        raise CLIError(
            f"The database lacks migrations ({migrations.reason(error)}). Apply them:\n{SLUG} db upgrade"
        ) from error


@contextmanager
def _configured_database() -> Iterator[str]:
    settings = load_settings()
    if settings.database.url is None:
        for plugin in entry_points(group="app.development_database"):
            with plugin.load()() as url:
                yield url
            return
    url = require_url(settings)
    require_connection(url)
    yield url


async def with_session[T](url: str, function: "Callable[[AsyncSession], Awaitable[T]]") -> T:
    """Call a function with a session of the database at `url`, and commit it."""
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    from app.database import create_session_factory

    engine = create_async_engine(url, poolclass=NullPool, hide_parameters=True)
    async with create_session_factory(engine).begin() as session:
        return await function(session)


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
        engine = create_async_engine(
            url, poolclass=NullPool, connect_args={"timeout": CONNECT_SECONDS}
        )
        async with engine.connect():
            pass

    try:
        asyncio.run(connect())
    except (OSError, SQLAlchemyError, PostgresError, InterfaceError) as error:
        cause = getattr(error, "orig", None) or error
        reason = str(cause).partition(">: ")[2] or str(cause)
        if isinstance(cause, TimeoutError):
            reason = f"it did not answer within {CONNECT_SECONDS} seconds"
        elif isinstance(cause, ConnectionRefusedError):
            reason = "nothing listens there"
        elif isinstance(cause, OSError) and cause.strerror:
            reason = cause.strerror
        advice = CONNECTION_ADVICE.get(
            getattr(cause, "sqlstate", ""), "Start it, or correct DATABASE_URL."
        )
        raise CLIError(
            f"Cannot connect to the database at {without_credentials(url)}: "
            f"{reason.splitlines()[0]}.\n{advice}"
        ) from error


def require_current_schema(settings: "Settings") -> None:
    """Check that the database is available and has all migrations.

    Raises:
        CLIError: It is unavailable, or migrations are missing.
    """
    # Alembic logs its implementation on INFO, first when it is imported.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from app import migrations
    from app.config import SLUG

    url = require_url(settings)
    require_connection(url)
    if migrations.is_behind(url):
        raise CLIError(f"Migrations are missing. Apply them:\n{SLUG} db upgrade")


def load_history(url: str, *, several_heads: bool = False) -> "list[Script]":
    """Return the migrations of this code, newest first.

    Args:
        url: Database URL, with the async driver.
        several_heads: Whether several migrations may be the latest.

    Raises:
        CLIError: A migration is missing, or several are the latest.
    """
    import warnings

    from app import migrations
    from app.config import SLUG

    try:
        with warnings.catch_warnings(action="ignore"):
            found = migrations.history(url)
    except KeyError as error:
        missing = error.args[0]
        later = [path.name for path in Path(VERSIONS).glob("*.py") if missing in path.read_text()]
        raise CLIError(
            f"Revision {missing} is missing from {VERSIONS}, but {' and '.join(later)} needs it. "
            f"Restore its file (git checkout -- {VERSIONS}), or delete the later one if it was created "
            "on another branch: `dev` creates it again."
        ) from error
    heads = sorted(Path(entry.path).name for entry in found if entry.is_head)
    if len(heads) > 1 and not several_heads:
        raise CLIError(
            f"Several migrations are the latest: {' and '.join(heads)}. "
            f"Merge them: uv run {SLUG} db merge"
        )
    return found


def plan(url: str, revision: str, *, down: bool = False) -> "list[Script]":
    """Return the migrations that lead to a revision, in the order in which they run.

    Args:
        url: Database URL, with the async driver.
        revision: Revision ID, `head`, `base`, or a number of steps such as `-1`.
        down: Whether to downgrade.

    Raises:
        CLIError: The revision, or that of the database, does not exist.
    """
    from alembic.script import ScriptDirectory
    from alembic.script.revision import RevisionError

    from app import migrations
    from app.config import SLUG

    known = {entry.revision for entry in load_history(url)}
    current = migrations.current(url)
    if unknown := set(current) - known:
        raise CLIError(
            f"The database is at revision {' and '.join(sorted(unknown))}, which is not in {VERSIONS}.\n"
            "It belongs to another branch or version, or its file was deleted. Restore the file, or switch "
            "to the code that has it, and run `db downgrade` before you leave that. In development, `dev` "
            "reverts what it has applied to its own database, and `db reset` deletes all data."
        )
    scripts = ScriptDirectory.from_config(migrations.config(url))
    try:
        if down:
            return list(scripts.iterate_revisions(current, revision, select_for_downgrade=True))
        return list(scripts.iterate_revisions(revision, current, implicit_base=True))[::-1]
    except (RevisionError, AssertionError) as error:  # an empty text is an AssertionError
        raise CLIError(
            f"There is no revision {revision} {'below' if down else 'above'} that of the database"
            f"{', or there are several, after a merge' if down else ''}. "
            f"List the revisions: uv run {SLUG} db history"
        ) from error


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
        raise CLIError(f"The migrations cannot be used: {error} Correct {VERSIONS}.") from error
    except DBAPIError as error:
        if migrations.is_lock_failure(error):
            raise CLIError(
                "Other transactions hold locks that the migration needs, for longer than it can wait: "
                f"{error.statement}\nFind them in `db shell`, then end them or try again later:\n"
                "SELECT pid, xact_start, state, query FROM pg_stat_activity ORDER BY xact_start LIMIT 5;"
            ) from error
        raise CLIError(
            f"PostgreSQL rejected the statement: {migrations.reason(error)}\n"
            "Correct the migration or the rows, then try again."
        ) from error


@app.command()
def current() -> None:
    """Print the revision of the database, and nothing if it is empty.

    Example: db current
    """
    from app import migrations

    with database_url() as url:
        for revision in migrations.current(url):
            typer.echo(revision)


@app.command()
def upgrade(
    revision: Annotated[str, typer.Argument(help="Revision to upgrade to.")] = "head",
) -> None:
    """Apply all migrations.

    Example: db upgrade
    """
    from app import migrations

    with database_url() as url, migration_errors():
        start = time.monotonic()
        if pending := [Path(script.path).name for script in plan(url, revision)]:
            console.print(f"Applying {', '.join(pending)} ...", markup=False, soft_wrap=True)
        migrations.upgrade(url, revision)
        if pending:
            console.print(f"Done in {time.monotonic() - start:.1f} s.")
        revisions = " and ".join(migrations.current(url)) or "base"
    console.print(f"The database is at revision {revisions}.")
