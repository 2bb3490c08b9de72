"""`db backup` and `db restore`, for the local or the deployed database."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated

import typer

from app.cli.console import CLIError, console
from app.cli.db import database_url, without_credentials
from fastship_tooling.confirmation import confirm
from fastship_tooling.progress import step
from fastship_tooling.project import command_line

FOLDER = Path("backups")
FORMAT = "custom"  # compressed, and verified before the restore
# The restore is one transaction: a file that ends early changes nothing.
BEGIN = b"BEGIN;\nDROP SCHEMA IF EXISTS public CASCADE;\nCREATE SCHEMA public;\n"
COMMIT = b"\nCOMMIT;\n"

Production = Annotated[bool, typer.Option("--production", help="Use the deployed database.")]
Host = Annotated[
    str | None,
    typer.Option(help="With --production: ssh://user@server.", envvar="DEPLOY_HOST"),
]


class Tools:
    """The programs of PostgreSQL, and the database that they work on.

    Args:
        command: Command before the name of a program.
        suffix: Arguments that select the database.
        environment: Environment variables in addition to those of this process.
        name: Name of the database in messages.
    """

    def __init__(
        self, command: list[str], suffix: list[str], environment: dict[str, str], name: str
    ) -> None:
        self.command = command
        self.suffix = suffix
        self.environment = environment
        self.name = name

    def run(
        self,
        program: str,
        *options: str,
        source: IO[bytes] | None = None,
        target: IO[bytes] | None = None,
    ) -> None:
        """Run a program.

        Args:
            program: Name of the program.
            options: Its options.
            source: Standard input.
            target: Standard output.

        Raises:
            CLIError: It failed. The message has the last lines of its output.
        """
        *before, folder = self.command
        done = subprocess.run(
            [*before, f"{folder}{program}", *self.suffix, *options],
            check=False,
            env=os.environ | self.environment,
            stdin=source or subprocess.DEVNULL,
            stdout=target or subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        if done.returncode:
            output = done.stderr.decode(errors="replace").strip().splitlines()[-4:]
            raise CLIError("\n".join([f"{program} failed on {self.name}:", *output]))


@contextmanager
def tools(*, production: bool, host: str | None) -> Iterator[Tools]:
    """Return the tools for a database.

    Args:
        production: Whether to use the deployed database.
        host: Docker host of the deployment.
    """
    from fastship_tooling.database import psql

    if production:
        from fastship_tooling.deploy import preparation
        from fastship_tooling.docker import Docker, require_engine

        if host:
            os.environ["DOCKER_HOST"] = host
        require_engine(Docker())
        containers = preparation.production()
        preparation.require_running(containers, "db")
        inside = containers.command("exec", "--no-TTY", "db", "")
        name = f"the database on {host or 'this machine'}"
        # The owner of all tables. A connection inside the container needs no password.
        yield Tools(inside, ["--username", "migrations", "--dbname", "app"], {}, name)
        return
    with database_url() as url:
        client = psql.client(url)
        database = ["--dbname", client.address]
        yield Tools(
            [f"{client.folder}{os.sep}"], database, client.environment, without_credentials(url)
        )


def backup(
    file: Annotated[
        Path | None,
        typer.Argument(help="File to write; by default one in backups/.", dir_okay=False),
    ] = None,
    production: Production = False,
    host: Host = None,
) -> Path:
    """Write the whole database to a file.

    Example: db backup --production --host ssh://root@example.com
    """
    target = file or FOLDER / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}.dump"
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    with tools(production=production, host=host) as database:
        try:
            with partial.open("wb") as out, step(f"Reading {database.name}"):
                partial.chmod(0o600)
                database.run("pg_dump", "--format", FORMAT, target=out)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    console.print(f"Wrote {target} ({target.stat().st_size:,} bytes).", markup=False)
    return target


def restore(
    file: Annotated[
        Path, typer.Argument(help="File that `db backup` wrote.", exists=True, dir_okay=False)
    ],
    production: Production = False,
    host: Host = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Replace all data of the database by a backup, in one transaction.

    Example: db restore backups/2026-11-24T08-30-00Z.dump
    """
    with tools(production=production, host=host) as database:
        confirm(f"Replace all data of {database.name}?", yes=yes)
        load(file, database)
    console.print(f"Restored {file}.", markup=False)
    if production:
        console.print(
            f"If the backup is older than the latest migration, apply it: {command_line('deploy')}",
            soft_wrap=True,
        )


def load(file: Path, database: Tools) -> None:
    """Replace all data of a database by a backup, in one transaction.

    Args:
        file: File that `db backup` wrote.
        database: The tools for the database.

    Raises:
        CLIError: The file is damaged, or the restore failed. Nothing has changed.
    """
    from fastship_tooling.database import postgres

    with tempfile.TemporaryFile() as script:
        script.write(BEGIN)
        script.flush()
        # Convert it to SQL first, to find a damaged file before the database changes.
        reader = Tools([f"{postgres.find_binaries()}{os.sep}"], [], {}, str(file))
        # The other database has other roles, and its default privileges.
        options = ("--no-owner", "--no-acl", "--file", "-", str(file))
        try:
            reader.run("pg_restore", *options, target=script)
        except CLIError as error:
            raise CLIError(
                f"{error}\nThe file is damaged, or `db backup` did not write it. Nothing was changed."
            ) from error
        script.seek(0, os.SEEK_END)
        script.write(COMMIT)
        script.seek(0)
        with step(f"Writing {database.name}"):
            quiet = ("--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1")
            database.run("psql", *quiet, source=script)
