"""Apply the pending migrations to a copy of the deployed database, and measure what they lock."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, make_url
from sqlalchemy.engine import Engine

from app.cli.console import CLIError, console
from app.cli.db import migration_errors, plan
from fastship_tooling.database import backup, postgres
from fastship_tooling.docker import Docker
from fastship_tooling.progress import step
from fastship_tooling.schema_sync.history import scratch_database

LATEST = "ls /backups/*.dump | tail -n 1"
BLOCKED = {
    "AccessExclusiveLock": "reads and writes",
    "ExclusiveLock": "writes",
    "ShareRowExclusiveLock": "writes",
    "ShareLock": "writes",
}
"""What the locks of PostgreSQL block."""
HELD = """
SELECT relation::regclass::text, mode FROM pg_locks JOIN pg_class ON pg_class.oid = relation
WHERE pid = pg_backend_pid() AND relkind IN ('r', 'p') AND relnamespace <> 'pg_catalog'::regnamespace
"""
TABLES = "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p')"


@dataclass
class Measurement:
    """What migrations have blocked.

    Args:
        seconds: Duration.
        blocked: Seconds by table and by what was blocked.
        statements: Seconds by statement.
    """

    seconds: float = 0
    blocked: dict[tuple[str, str], float] = field(default_factory=dict)
    statements: dict[str, float] = field(default_factory=dict)


def rehearse(containers: Docker) -> None:
    """Apply the pending migrations to a copy of the latest backup, on the development server.

    Args:
        containers: The docker CLI for the production containers.

    Raises:
        CLIError: There is no backup, or a migration failed.
    """
    latest = containers.output("exec", "--no-TTY", "backup", "sh", "-c", LATEST)
    if not latest:
        raise CLIError("There is no backup yet. The first deployment creates it.")
    inside = containers.command("exec", "--no-TTY", "backup", "")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "latest.dump")
        with file.open("wb") as target, step(f"Reading {latest}"):
            backup.Tools(inside, [], {}, "the server").run("cat", latest, target=target)
        console.print(f"Backup: {latest}", markup=False)
        report(file)


def report(file: Path) -> None:
    """Apply the pending migrations to a copy of a backup, and print what they block.

    Args:
        file: The backup.

    Raises:
        CLIError: The backup is damaged, or a migration failed.
    """
    with (
        postgres.running() as server,
        scratch_database(
            f"{server}/postgres".replace("postgresql://", "postgresql+asyncpg://")
        ) as url,
    ):
        address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        binaries = postgres.find_binaries()
        copy = backup.Tools([f"{binaries}/"], ["--dbname", address], {}, "the copy")
        backup.load(file, copy)
        with migration_errors():
            pending = plan(url, "head")
            measured = measure(url)
    if not pending:
        console.print("No migration is pending.")
        return
    names = ", ".join(Path(script.path).name for script in pending)
    console.print(f"{names}: {measured.seconds:.2f} s", markup=False, soft_wrap=True)
    for (table, what), seconds in measured.blocked.items():
        console.print(f"  {table}: {what} blocked for {seconds:.2f} s", markup=False)
    if not measured.blocked:
        console.print("  No existing table was blocked.")
    for statement in sorted(measured.statements, key=lambda key: -measured.statements[key])[:3]:
        line = f"  {measured.statements[statement]:.2f} s: {statement}"
        console.print(line, style="dim", markup=False, soft_wrap=True)


def measure(url: str) -> Measurement:
    """Apply the migrations, and measure what they block.

    Args:
        url: Database URL, with the async driver.
    """
    from app import migrations

    def read(connection: Connection) -> set[str]:
        return set(connection.exec_driver_sql(TABLES).scalars())

    result = Measurement()
    existing = migrations.on_connection(url, read) - {"alembic_version"}
    start = time.monotonic()
    with _listening(result, existing):
        migrations.upgrade(url)
    result.seconds = time.monotonic() - start
    return result


@contextmanager
def _listening(result: Measurement, existing: set[str]) -> Iterator[None]:
    """Observe all connections of this process. Locks are held until the end of the transaction."""
    since: dict[tuple[str, str], float] = {}
    started = 0.0
    reading = False

    def before(*_: Any) -> None:
        nonlocal started
        if not reading:
            started = time.monotonic()

    def after(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal reading
        # These lock no table. A query on the connection that only waits for its turn would have a snapshot,
        # and `CREATE INDEX CONCURRENTLY` would wait for it.
        if reading or statement.startswith(("SELECT", "SET")):
            return
        text = " ".join(statement.split())
        result.statements[text] = time.monotonic() - started
        reading = True
        for table, mode in connection.exec_driver_sql(HELD):
            if table in existing and mode in BLOCKED:
                since.setdefault((table, BLOCKED[mode]), started)
        reading = False

    def end(_connection: Connection) -> None:
        for key, begin in since.items():
            held = time.monotonic() - begin
            result.blocked[key] = max(held, result.blocked.get(key, 0))
        since.clear()

    listeners = {
        "before_cursor_execute": before,
        "after_cursor_execute": after,
        "commit": end,
        "rollback": end,
    }
    for name, listener in listeners.items():
        event.listen(Engine, name, listener)
    try:
        yield
    finally:
        for name, listener in listeners.items():
            event.remove(Engine, name, listener)
