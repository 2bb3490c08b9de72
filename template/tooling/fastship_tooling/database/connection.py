"""The development database."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from app.cli.console import CLIError, errors, load_settings
from app.cli.db import database_url, plan, require_current_schema, without_credentials
from fastship_tooling.database import postgres
from fastship_tooling.schema_sync import branches
from fastship_tooling.settings import default_to_development

NAME = "app"


@contextmanager
def development_database() -> Iterator[str]:
    """Run PostgreSQL, and return the URL of the development database, with the async driver.

    Raises:
        CLIError: PostgreSQL cannot be started.
    """
    import asyncio

    with ExitStack() as stack:
        with errors.status("Starting PostgreSQL ..."):
            server = stack.enter_context(postgres.running())
            url = f"{server}/{NAME}"
            asyncio.run(ensure_database(url))
        # For the settings, here and in child processes.
        os.environ["DATABASE_URL"] = url
        url = url.replace("postgresql://", "postgresql+asyncpg://")
        try:
            yield url
        finally:
            if "alembic" in sys.modules:  # otherwise, the command has applied nothing
                branches.remember_current(url)


async def ensure_database(url: str) -> None:
    """Create a database if it does not exist.

    Args:
        url: `postgresql://user@host:port/name`.
    """
    import asyncpg

    server, _, name = url.rpartition("/")
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


@contextmanager
def start_in_background() -> Iterator[None]:
    """Start PostgreSQL while other work is done. Afterwards, `development_database` need not wait for it."""
    done = threading.Event()

    def run() -> None:
        with suppress(CLIError), postgres.running():  # `development_database` reports an error
            done.wait()

    thread = threading.Thread(target=run)
    default_to_development()
    if load_settings().database.url is None:
        thread.start()
    try:
        yield
    finally:
        done.set()
        if thread.ident:
            thread.join()


def check_database() -> str:
    """Check that the database is available and has all migrations.

    Raises:
        CLIError: It is unavailable, migrations are missing, or it is ahead of them.
    """
    default_to_development()
    with database_url() as url:
        require_current_schema(load_settings())
        plan(url, "head")
        return f"PostgreSQL at {without_credentials(url)} has all migrations"


def require_development(command: str) -> None:
    """Refuse to run in production.

    Raises:
        CLIError: The environment is production.
    """
    if load_settings().app.production:
        raise CLIError(
            f"`{command}` is for development, but APP_ENVIRONMENT is production. Set it to development."
        )
