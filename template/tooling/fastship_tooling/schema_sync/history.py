"""The migrations, and how they differ from the models."""

import asyncio
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import ops
from alembic.script import Script
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app import migrations
from app.cli.console import CLIError
from fastship_tooling.project import command_line
from fastship_tooling.schema_sync.changes import destructive_changes, name

VERSIONS = Path("src/app/migrations/versions")


class MigrationError(CLIError):
    """Models, migrations and database are inconsistent."""


@dataclass
class Draft:
    """A migration that is not yet in `versions/`.

    Args:
        path: Its file, in a temporary folder.
        revision: Its revision ID.
        destructive: Its destructive changes.
    """

    path: Path
    revision: str
    destructive: list[str]


class History(dict[str, Script]):
    """The migrations in `versions/`, by revision ID, newest first.

    Raises:
        MigrationError: A migration is missing, or two are the latest.
    """

    def __init__(self, url: str) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                super().__init__({entry.revision: entry for entry in migrations.history(url)})
        except KeyError as error:
            raise MigrationError(
                f"Revision {error.args[0]} is missing from {VERSIONS}, but a later migration needs it. "
                f"Restore its file: git checkout -- {VERSIONS}"
            ) from error
        heads = [entry for entry in self.values() if entry.is_head]
        if len(heads) > 1:
            names = " and ".join(sorted(Path(head.path).name for head in heads))
            raise MigrationError(
                f"Two migrations are the latest: {names}. Merge them: {command_line('db merge')}"
            )
        self.head = heads[0].revision if heads else None

    def path(self, revision: str) -> Path:
        """Return the file of a revision."""
        return Path(self[revision].path)

    def previous(self, revision: str) -> str | None:
        """Return the revision before another one; None before a merge."""
        below = self[revision].down_revision
        return below if isinstance(below, str) else None

    def check(self, url: str) -> str | None:
        """Return the current revision of the database.

        Args:
            url: Database URL, with the async driver.

        Raises:
            MigrationError: The revision has no file.
        """
        revisions = migrations.current(url)
        for revision in revisions:
            if revision not in self:
                raise MigrationError(
                    f"The database is at revision {revision}, which is not in {VERSIONS}. It is ahead "
                    "of this code, or the file was deleted. Restore the file (from git, or by "
                    "switching to the branch that has it), or start with an empty database: "
                    f"{command_line('db reset')}"
                )
        return revisions[0] if revisions else None


def compare(config: Config, revision: str | None, connection: Connection) -> Draft | None:
    """Create a migration from the differences between the models and the database.

    Args:
        config: Configuration with the folder to write to.
        revision: Revision ID; by default a new one.
        connection: Database at the latest revision of `config`.

    Returns:
        The migration, or None if there is no difference.
    """
    destructive: list[str] = []

    def inspect(_context: MigrationContext, _: object, found: list[ops.MigrationScript]) -> None:
        upgrade = found[0].upgrade_ops
        if upgrade is None or upgrade.is_empty():
            found.clear()
            return
        found[0].message = name(upgrade)
        destructive.extend(destructive_changes(upgrade, connection))

    config.attributes["connection"] = connection
    with redirect_stdout(StringIO()):  # Alembic prints each step
        created = command.revision(
            config, autogenerate=True, rev_id=revision, process_revision_directives=inspect
        )
    if not isinstance(created, Script):
        return None
    return Draft(Path(created.path), created.revision, destructive)


@contextmanager
def scratch_database(url: str) -> Iterator[str]:
    """Create a temporary empty database on the same server.

    Args:
        url: URL of the existing database, with the async driver.
    """
    existing = make_url(url)
    scratch = existing.set(database=f"{existing.database}_scratch_{os.getpid()}")

    async def execute(statement: str) -> None:
        engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.exec_driver_sql(f'{statement} "{scratch.database}"')

    asyncio.run(execute("CREATE DATABASE"))
    try:
        yield scratch.render_as_string(hide_password=False)
    finally:
        asyncio.run(execute("DROP DATABASE"))
