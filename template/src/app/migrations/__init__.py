"""The migrations, and how to run them. Owned by the template, except for `versions/`.

The functions start an event loop of their own: do not call them from async code.
"""

import asyncio
import logging
import time
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

# Hide these frames from tracebacks.
__tracebackhide__ = True

CHECK_VIOLATION = "23514"
LOCK_FAILURES = {"55P03", "40P01"}
"""Lock timeout and deadlock: the migration is rolled back and tried again."""
LOCK_TIMEOUT_SECONDS = 2
"""Shorter than DATABASE_LOCK_TIMEOUT, so that requests that queue behind the migration do not fail."""
PAUSES = (1, 2, 3, 4, *[5] * 5)
"""Seconds before each further attempt, for the requests that queued behind the migration."""
PYPROJECT = Path("pyproject.toml")
log = logging.getLogger(__name__)


def config(url: str, versions: Path | None = None) -> Config:
    """Create the configuration of Alembic.

    Args:
        url: Database URL, with the async driver.
        versions: Folder of the revisions, if it is not `versions/` in this package.
    """
    # An image contains the installed package, but not pyproject.toml.
    alembic = Config(toml_file=PYPROJECT) if PYPROJECT.exists() else Config()
    alembic.set_main_option("script_location", "app:migrations")
    alembic.attributes["url"] = url
    if versions:
        alembic.set_main_option("path_separator", "newline")
        alembic.set_main_option("version_locations", str(versions).replace("%", "%%"))
    return alembic


def upgrade(url: str, revision: str = "head") -> None:
    """Apply the migrations up to a revision. Try again while other transactions hold their locks.

    Raises:
        DBAPIError: A statement failed, or the locks were not free in any attempt.
    """
    for pause in (*PAUSES, None):
        try:
            command.upgrade(config(url), revision)
        except DBAPIError as error:
            if pause is None or not is_lock_failure(error):
                raise
            log.warning("The migration waits for other transactions: %s", reason(error))
            time.sleep(pause)
        else:
            return


def is_lock_failure(error: DBAPIError) -> bool:
    """Return whether a statement failed only because other transactions held locks."""
    return getattr(error.orig, "sqlstate", None) in LOCK_FAILURES


def current(url: str) -> tuple[str, ...]:
    """Return the current revisions of the database. A new database has none."""

    def read(connection: Connection) -> tuple[str, ...]:
        return MigrationContext.configure(connection).get_current_heads()

    return on_connection(url, read)


def history(url: str) -> list[Script]:
    """Return the revisions in `versions/`, newest first."""
    return list(ScriptDirectory.from_config(config(url)).walk_revisions())


def is_behind(url: str) -> bool:
    """Return whether the database lacks a migration of this code.

    A database that is ahead is not behind: during a deployment, the previous version is still serving.
    """
    known = {entry.revision for entry in history(url)}
    revisions = set(current(url))
    heads = set(ScriptDirectory.from_config(config(url)).get_heads())
    return revisions <= known and not heads <= revisions


def on_connection[T](url: str, function: Callable[[Connection], T]) -> T:
    """Call a function in a transaction, which is rolled back on error.

    Args:
        url: Database URL, with the async driver.
        function: Function to call.
    """

    async def call() -> T:
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.begin() as connection:
            return await connection.run_sync(function)

    return asyncio.run(call())


def reason(error: DBAPIError) -> str:
    """Return the error message of PostgreSQL, with its details."""
    message = (str(error.orig).partition(": ")[2] or str(error.orig)).partition("\n")[0]
    cause = getattr(error.orig, "__cause__", None)
    details = [getattr(cause, name, None) for name in ("detail", "hint")]
    message = " ".join(filter(None, [message, *details]))
    if getattr(error.orig, "sqlstate", None) == CHECK_VIOLATION:
        return f"{message}. Change these rows first: op.execute(...) in the migration"
    return message
