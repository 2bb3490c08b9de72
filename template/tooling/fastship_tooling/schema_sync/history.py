"""The migrations, and how they differ from the models."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from hashlib import sha256
from io import StringIO
from pathlib import Path
from shutil import copy

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import ops
from alembic.script import Script
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app import migrations
from app.cli.console import CLIError
from app.cli.db import load_history
from fastship_tooling.schema_sync import downgrades, enums, job_queue, renames
from fastship_tooling.schema_sync.changes import destructive_changes, name
from fastship_tooling.schema_sync.names import check_names
from fastship_tooling.schema_sync.renames import Rename


@dataclass
class Draft:
    """A migration that is not yet in `versions/`.

    Args:
        path: Its file, in a temporary folder.
        revision: Its revision ID.
        destructive: Its destructive changes.
        possible: Columns that it drops and adds, but that may have been renamed.
        answered: Whether it contains renames that the models do not declare.
    """

    path: Path
    revision: str
    destructive: list[str]
    possible: list[Rename]
    answered: bool


class History(dict[str, Script]):
    """The migrations in `versions/`, by revision ID, newest first.

    Raises:
        CLIError: A migration is missing, or two are the latest.
    """

    def __init__(self, url: str) -> None:
        super().__init__({entry.revision: entry for entry in load_history(url)})
        self.url = url
        self.head = next(iter(self), None)

    def path(self, revision: str) -> Path:
        """Return the file of a revision."""
        return Path(self[revision].path)

    def previous(self, revision: str) -> str | None:
        """Return the revision before another one; None before a merge."""
        below = self[revision].down_revision
        return below if isinstance(below, str) else None

    def stage(self, folder: Path, without: Collection[str]) -> Config:
        """Copy the history to a temporary folder, and return its configuration.

        Args:
            folder: The folder.
            without: Revisions to leave out.
        """
        versions = folder.resolve() / "versions"
        versions.mkdir()
        for revision in self.keys() - set(without):
            copy(self.path(revision), versions)
        return migrations.config(self.url, versions)


def compare(
    config: Config,
    revision: str | None,
    connection: Connection,
    *,
    message: str | None = None,
    answered: Sequence[Rename] = (),
) -> Draft | None:
    """Create a migration from the differences between the models and the database.

    Args:
        config: Configuration with the folder to write to.
        revision: Revision ID; by default a new one.
        connection: Database at the latest revision of `config`.
        message: Name of the migration; by default derived from the changes.
        answered: Renamed columns, in addition to those that the models declare.

    Returns:
        The migration, or None if there is no difference.

    Raises:
        CLIError: Two constraints or indexes have the same name, or PostgreSQL rejects a value of the models.
    """
    destructive: list[str] = []
    possible: list[Rename] = []

    def inspect(context: MigrationContext, _: object, found: list[ops.MigrationScript]) -> None:
        check_names(context.opts["target_metadata"])
        upgrade = found[0].upgrade_ops
        job_queue.add_changes(found[0], connection)
        if upgrade is None or upgrade.is_empty():
            found.clear()
            return
        renames.apply(found[0], [*renames.hinted(upgrade), *answered], context.impl)
        possible.extend(renames.possible(upgrade, context.impl))
        found[0].message = message or name(upgrade)
        downgrades.fill(found[0])
        enums.validate_later(upgrade, context.opts["target_metadata"])
        destructive.extend(destructive_changes(upgrade, connection))

    config.attributes["connection"] = connection
    try:
        with redirect_stdout(StringIO()):  # Alembic prints each step
            created = command.revision(
                config, autogenerate=True, rev_id=revision, process_revision_directives=inspect
            )
    except DBAPIError as error:
        raise CLIError(
            f"PostgreSQL rejects a value of the models: {migrations.reason(error)}\n"
            f"Correct the model: {error.statement}"
        ) from error
    if not isinstance(created, Script):
        return None
    path = Path(created.path)
    return Draft(path, created.revision, destructive, possible, answered=bool(answered))


@contextmanager
def scratch_database(url: str) -> Iterator[str]:
    """Create a temporary empty database on the same server.

    Args:
        url: URL of the existing database, with the async driver.
    """
    existing = make_url(url)
    # Other folders may use the same server. A process that was ended has left its database.
    place = sha256(str(Path.cwd()).encode()).hexdigest()[:8]
    scratch = existing.set(database=f"{existing.database}_scratch_{place}")

    async def execute(*statements: str) -> None:
        engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            for statement in statements:
                await connection.exec_driver_sql(statement)

    drop = f'DROP DATABASE IF EXISTS "{scratch.database}" WITH (FORCE)'
    asyncio.run(execute(drop, f'CREATE DATABASE "{scratch.database}"'))
    try:
        yield scratch.render_as_string(hide_password=False)
    finally:
        asyncio.run(execute(drop))
