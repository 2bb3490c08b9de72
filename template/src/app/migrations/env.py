"""Alembic's entry: runs the migrations on the database that is configured."""

import asyncio
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path
from typing import Any

from alembic import context
from alembic.operations.ops import CreateTableOp, DropTableOp, MigrationScript, OpContainer
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

import app
from app.config import Settings
from app.database import Base

# For tracebacks: what is wrong is never here.
__tracebackhide__ = True

# Any number: it only has to be the same for all who migrate. Replicas that start together wait.
ADVISORY_LOCK = 7_402_531_117

for models in Path(str(app.__file__)).parent.glob("*/models.py"):
    import_module(f"app.{models.parent.name}.models")


def database_url() -> str:
    """Find out which database is meant."""
    url: str | None = context.config.attributes.get("url")
    if url is None:
        setting = Settings.load().database.url
        if setting is None:
            raise SystemExit("DATABASE_URL is not set.")
        url = setting.get_secret_value()
    return url


def in_order(_: Any, __: Any, scripts: list[MigrationScript]) -> None:
    """Put new tables first and dropped ones last, each after those that it depends on.

    Columns of other tables may point to them; Alembic drops tables in no order at all.
    """
    for script in scripts:
        for part in (script.upgrade_ops, script.downgrade_ops):
            if isinstance(part, OpContainer):
                new = [op for op in part.ops if isinstance(op, CreateTableOp)]
                dropped = [op for op in part.ops if isinstance(op, DropTableOp)]
                others = [op for op in part.ops if not isinstance(op, CreateTableOp | DropTableOp)]
                part.ops = [*by_reference(new), *others, *reversed(by_reference(dropped))]


def by_reference[T: (CreateTableOp, DropTableOp)](operations: list[T]) -> list[T]:
    """Put tables behind those that their foreign keys point to."""
    found, graph = {}, {}
    for operation in operations:
        table = operation.to_table()
        found[table.key] = operation
        pointed_to = {key.target_fullname.rpartition(".")[0] for key in table.foreign_keys}
        graph[table.key] = pointed_to - {table.key}
    try:
        return [found[key] for key in TopologicalSorter(graph).static_order() if key in found]
    except CycleError:  # tables that point at each other, which a person has to untie
        return operations


def run(connection: Connection) -> None:
    """Run the migrations on an open connection, in one transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_server_default=True,
        process_revision_directives=in_order,
    )
    with context.begin_transaction():
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
        context.run_migrations()


async def connect_and_run() -> None:
    """Connect, and run the migrations."""
    engine = create_async_engine(database_url(), poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


if context.is_offline_mode():
    context.configure(url=database_url(), target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
elif connection := context.config.attributes.get("connection"):
    run(connection)
else:
    asyncio.run(connect_and_run())
