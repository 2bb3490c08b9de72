"""The history of the schema, and how to walk it. `env.py` and this page are the template's.

Nothing of it is to be called where an event loop runs.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

# For tracebacks: what is wrong is never here.
__tracebackhide__ = True

PYPROJECT = Path("pyproject.toml")


def config(url: str, versions: Path | None = None) -> Config:
    """Make Alembic's configuration.

    Args:
        url: Database to work on, with the async driver.
        versions: Folder of the revisions, when it is not the one beside this page.
    """
    # In an image there is the installed package alone, without the pyproject.toml.
    made = Config(toml_file=PYPROJECT) if PYPROJECT.exists() else Config()
    made.set_main_option("script_location", "app:migrations")
    made.attributes["url"] = url
    if versions:
        made.set_main_option("path_separator", "newline")
        made.set_main_option("version_locations", str(versions).replace("%", "%%"))
    return made


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database to a revision."""
    command.upgrade(config(url), revision)


def current(url: str) -> tuple[str, ...]:
    """Read which revisions the database is at: none when it is new."""

    def read(connection: Connection) -> tuple[str, ...]:
        return MigrationContext.configure(connection).get_current_heads()

    return on_connection(url, read)


def history(url: str) -> list[Script]:
    """List the revisions that there are files of, the newest first."""
    return list(ScriptDirectory.from_config(config(url)).walk_revisions())


def pending(url: str) -> bool:
    """Tell whether the database lacks a revision of this code.

    One that is ahead lacks none: while a new version is deployed, the old one still serves.
    """
    known = {entry.revision for entry in history(url)}
    at = set(current(url))
    heads = set(ScriptDirectory.from_config(config(url)).get_heads())
    return at <= known and not heads <= at


def on_connection[T](url: str, function: Callable[[Connection], T]) -> T:
    """Call a function with a connection, in a transaction that an error rolls back.

    Args:
        url: With the async driver.
        function: What to call.
    """

    async def call() -> T:
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.begin() as connection:
            return await connection.run_sync(function)

    return asyncio.run(call())


def reason(error: DBAPIError) -> str:
    """Give the database's own words for why it refused."""
    words = str(error.orig).partition(": ")[2] or str(error.orig)
    return " ".join(words.splitlines()[:2])
