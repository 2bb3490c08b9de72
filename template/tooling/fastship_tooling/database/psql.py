"""The client programs of PostgreSQL, such as `psql` and `pg_dump`."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from fastship_tooling.database.postgres import PostgresError, find_binaries, installed


@dataclass(frozen=True)
class Client:
    """The client programs, and the database to connect to.

    Args:
        folder: Folder of the programs.
        address: URL of the database for libpq, without the password.
        environment: Environment variables with the password. Other users can read a command line.
    """

    folder: Path
    address: str
    environment: dict[str, str]


def client(url: str) -> Client:
    """Return the programs that can connect to a database.

    Args:
        url: Database URL, with the async driver.

    Raises:
        PostgresError: The database requires TLS, and no installed program supports it.
    """
    from sqlalchemy import URL, make_url

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
    """Return the folder of the system's client programs. Those of the wheels do not support TLS.

    Raises:
        PostgresError: There is none.
    """
    if given := os.environ.get("PG_BIN"):
        return Path(given)
    for folder in installed("pg_dump"):
        if all(shutil.which(name, path=str(folder)) for name in ("pg_dump", "psql")):
            return folder
    raise PostgresError(
        "The database requires TLS, which the PostgreSQL programs in this environment do not support.\n"
        "Install those of the system (apt install postgresql-client), or set PG_BIN to their folder: "
        "PG_BIN=$(brew --prefix libpq)/bin after `brew install libpq`."
    )
