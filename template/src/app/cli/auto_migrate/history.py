"""The revisions and the database: read, compared, and tried out on a second database."""

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
from app.cli.auto_migrate.changes import losses, name
from app.cli.console import PlainError
from app.cli.database import VERSIONS
from app.config import SLUG


class MigrationError(PlainError):
    """Models, migrations and database do not go together; says what to do."""


@dataclass
class Draft:
    """A revision that is not yet in its place.

    Args:
        path: Its file, in a folder that will soon be gone.
        revision: Its id.
        losses: What it would lose.
    """

    path: Path
    revision: str
    losses: list[str]


class History(dict[str, Script]):
    """The revisions that there are files of, by id, the newest first.

    Raises:
        MigrationError: One is missing, or there are two newest ones.
    """

    def __init__(self, url: str) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                super().__init__({entry.revision: entry for entry in migrations.history(url)})
        except KeyError as error:
            raise MigrationError(
                f"Revision {error.args[0]} is missing from {VERSIONS}, and a later one builds on "
                f"it. Bring its file back: git checkout -- {VERSIONS}"
            ) from error
        heads = [entry for entry in self.values() if entry.is_head]
        if len(heads) > 1:
            names = " and ".join(sorted(Path(head.path).name for head in heads))
            raise MigrationError(
                f"Two migrations are the newest: {names}. Join them: uv run {SLUG} db merge"
            )
        self.head = heads[0].revision if heads else None

    def path(self, revision: str) -> Path:
        """Give the file of a revision."""
        return Path(self[revision].path)

    def before(self, revision: str) -> str | None:
        """Give the revision that another one builds on; of a joint, none."""
        below = self[revision].down_revision
        return below if isinstance(below, str) else None

    def check(self, url: str) -> str | None:
        """Find out at which revision the database is.

        Args:
            url: The database, with the async driver.

        Raises:
            MigrationError: At one that has no file.
        """
        revisions = migrations.current(url)
        for revision in revisions:
            if revision not in self:
                raise MigrationError(
                    f"The database is at revision {revision}, which is not in {VERSIONS}: it is "
                    "ahead of this code, or the file was deleted. Get the file back (from git, or "
                    "by going back to the branch that has it), or start over: "
                    f"uv run {SLUG} db reset"
                )
        return revisions[0] if revisions else None


def compare(config: Config, revision: str | None, connection: Connection) -> Draft | None:
    """Write what the models have and the database has not, as a new revision.

    Args:
        config: Where to write it.
        revision: Its id; by default a new one.
        connection: The database, at the newest revision of `config`.

    Returns:
        The revision; None when there is no difference.
    """
    lost: list[str] = []

    def look(_context: MigrationContext, _: object, found: list[ops.MigrationScript]) -> None:
        upgrade = found[0].upgrade_ops
        if upgrade is None or upgrade.is_empty():
            found.clear()
            return
        found[0].message = name(upgrade)
        lost.extend(losses(upgrade, connection))

    config.attributes["connection"] = connection
    with redirect_stdout(StringIO()):  # Alembic tells each step
        made = command.revision(
            config, autogenerate=True, rev_id=revision, process_revision_directives=look
        )
    if not isinstance(made, Script):
        return None
    return Draft(Path(made.path), made.revision, lost)


@contextmanager
def scratch_database(url: str) -> Iterator[str]:
    """Make an empty database beside another, for as long as the context lasts.

    Args:
        url: The other one.
    """
    place = make_url(url)
    scratch = place.set(database=f"{place.database}_scratch_{os.getpid()}")

    async def execute(statement: str) -> None:
        engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.exec_driver_sql(f'{statement} "{scratch.database}"')

    asyncio.run(execute("CREATE DATABASE"))
    try:
        yield scratch.render_as_string(hide_password=False)
    finally:
        asyncio.run(execute("DROP DATABASE"))
