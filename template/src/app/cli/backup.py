"""`db backup` and `db restore`: of the database here, or of the one that was deployed."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated

import typer

from app.cli.console import PlainError, console
from app.cli.database import database_url, shown

FOLDER = Path("backups")
FORMAT = "custom"  # compressed, and checked before it is put back
# What the backup does not have is gone, and a stream that ends early changes nothing.
BEFORE = b"BEGIN;\nDROP SCHEMA IF EXISTS public CASCADE;\nCREATE SCHEMA public;\n"
AFTER = b"\nCOMMIT;\n"

Production = Annotated[
    bool, typer.Option("--production", help="The database beside the deployed application.")
]
Host = Annotated[
    str | None,
    typer.Option(help="With --production: ssh://user@server.", envvar="DEPLOY_HOST"),
]


class Tools:
    """PostgreSQL's programs, and the database that they work on.

    Args:
        command: What comes before a program's name.
        suffix: What comes after it: the database.
        environment: Variables beside those of this process.
        place: The database, in words.
    """

    def __init__(
        self, command: list[str], suffix: list[str], environment: dict[str, str], place: str
    ) -> None:
        self.command = command
        self.suffix = suffix
        self.environment = environment
        self.place = place

    def run(
        self,
        program: str,
        *options: str,
        source: IO[bytes] | None = None,
        target: IO[bytes] | None = None,
    ) -> None:
        """Run a program on the database.

        Args:
            program: Its name.
            options: Its options.
            source: What it reads.
            target: Where it writes to.

        Raises:
            PlainError: It failed; with what it said.
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
            said = done.stderr.decode(errors="replace").strip().splitlines()[-4:]
            raise PlainError("\n".join([f"{program} failed on {self.place}:", *said]))


@contextmanager
def tools(*, production: bool, host: str | None) -> Iterator[Tools]:
    """Give what works on the database that is meant.

    Args:
        production: Whether it is the one that was deployed.
        host: Where that is.
    """
    from app.cli import psql  # noqa: PLC0415

    if production:
        from app.cli.deploy import preparation  # noqa: PLC0415

        if host:
            os.environ["DOCKER_HOST"] = host
        inside = preparation.production().command("exec", "--no-TTY", "db", "")
        place = f"the database on {host or 'this machine'}"
        yield Tools(inside, ["--username", "app", "--dbname", "app"], {}, place)
        return
    with database_url() as url:
        client = psql.client(url)
        where = ["--dbname", client.address]
        yield Tools([f"{client.folder}{os.sep}"], where, client.environment, shown(url))


def backup(
    file: Annotated[Path | None, typer.Argument(help="By default one in backups/.")] = None,
    production: Production = False,
    host: Host = None,
) -> None:
    """Write all that is in the database to a file.

    Example: db backup --production --host ssh://root@example.com
    """
    target = file or FOLDER / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}.dump"
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f"{target.name}.part")
    with tools(production=production, host=host) as database:
        try:
            with half.open("wb") as out, console.status(f"Reading {database.place} ..."):
                half.chmod(0o600)
                database.run("pg_dump", "--format", FORMAT, target=out)
            half.replace(target)
        finally:
            half.unlink(missing_ok=True)
    console.print(f"{target} has it all ({target.stat().st_size:,} bytes).", markup=False)


def restore(
    file: Annotated[
        Path, typer.Argument(help="What `db backup` wrote.", exists=True, dir_okay=False)
    ],
    production: Production = False,
    host: Host = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Put back what a backup has, in place of all that is in the database now. All of it, or nothing.

    Example: db restore backups/2026-11-24T08-30-00Z.dump
    """
    from app.cli import postgres  # noqa: PLC0415

    with tools(production=production, host=host) as database, tempfile.TemporaryFile() as script:
        if not yes:
            typer.confirm(f"Replace all that is in {database.place}?", abort=True)
        script.write(BEFORE)
        script.flush()
        # To statements first: a damaged file is found before anything is touched.
        reader = Tools([f"{postgres.find_binaries()}{os.sep}"], [], {}, str(file))
        reader.run("pg_restore", "--no-owner", "--file", "-", str(file), target=script)
        script.seek(0, os.SEEK_END)
        script.write(AFTER)
        script.seek(0)
        with console.status(f"Writing {database.place} ..."):
            quiet = ("--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1")
            database.run("psql", *quiet, source=script)
    console.print(f"The database is what it was in {file}.", markup=False)
