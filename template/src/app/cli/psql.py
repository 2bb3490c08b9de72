"""PostgreSQL's client programs, such as `psql` and `pg_dump`, for a database that may be elsewhere."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from app.cli.postgres import PostgresError, find_binaries, installed


@dataclass(frozen=True)
class Client:
    """PostgreSQL's client programs, and the database that they are to work on.

    Args:
        folder: Where the programs are.
        address: The database, as libpq writes it, without the password.
        environment: Variables with the password: other users can read a command line.
    """

    folder: Path
    address: str
    environment: dict[str, str]


def client(url: str) -> Client:
    """Find programs that can reach a database.

    Args:
        url: With the async driver, as the settings have it.

    Raises:
        PostgresError: It asks for encryption, which no program here can do.
    """
    from sqlalchemy import URL, make_url  # noqa: PLC0415

    given = make_url(url)
    query = dict(given.query)
    if encryption := query.pop("ssl", None):
        query["sslmode"] = encryption
    address = URL.create(
        "postgresql", given.username, None, given.host, given.port, given.database, query
    )
    return Client(
        folder=find_binaries_with_tls() if encryption else find_binaries(),
        address=address.render_as_string(),
        environment={"PGPASSWORD": given.password} if given.password else {},
    )


def find_binaries_with_tls() -> Path:
    """Find the folder of the system's client programs: those of the wheels cannot encrypt.

    Raises:
        PostgresError: There is none.
    """
    if given := os.environ.get("PG_BIN"):
        return Path(given)
    for folder in installed("pg_dump"):
        if all(shutil.which(name, path=str(folder)) for name in ("pg_dump", "psql")):
            return folder
    raise PostgresError(
        "The database asks for encryption, which the PostgreSQL programs of this environment cannot do.\n"
        "Install PostgreSQL's own (apt install postgresql-client, brew install libpq), or set PG_BIN to their folder."
    )
