"""Alembic's environment: runs the migrations. Owned by the template."""

import asyncio
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.operations.ops import CreateTableOp, DropTableOp, MigrationScript, OpContainer
from sqlalchemy import CheckConstraint, Connection, Enum, pool
from sqlalchemy.ext.asyncio import create_async_engine

import app
from app.config import Settings
from app.database import Base
from app.kit.enums import ENUM, literals

# Hide these frames from tracebacks.
__tracebackhide__ = True

# Any number, the same for all processes: replicas that start together migrate one after another.
ADVISORY_LOCK = 7_402_531_117

for models in Path(str(app.__file__)).parent.glob("*/models.py"):
    import_module(f"app.{models.parent.name}.models")


def database_url() -> str:
    """Return the URL of the configured database."""
    url: str | None = context.config.attributes.get("url")
    if url is None:
        setting = Settings.load().database.url
        if setting is None:
            raise SystemExit("DATABASE_URL is not set.")
        url = setting.get_secret_value()
    return url


def sort_tables(_: Any, __: Any, scripts: list[MigrationScript]) -> None:
    """Create tables first and drop them last, each after those that it depends on.

    Columns of other tables may reference them. Alembic drops tables in an arbitrary order.
    """
    for script in scripts:
        for part in (script.upgrade_ops, script.downgrade_ops):
            if isinstance(part, OpContainer):
                created = [op for op in part.ops if isinstance(op, CreateTableOp)]
                dropped = [op for op in part.ops if isinstance(op, DropTableOp)]
                others = [op for op in part.ops if not isinstance(op, CreateTableOp | DropTableOp)]
                part.ops = [*by_reference(created), *others, *reversed(by_reference(dropped))]


def by_reference[T: (CreateTableOp, DropTableOp)](operations: list[T]) -> list[T]:
    """Sort tables by their foreign keys, referenced tables first."""
    found, graph = {}, {}
    for operation in operations:
        table = operation.to_table()
        found[table.key] = operation
        referenced = {key.target_fullname.rpartition(".")[0] for key in table.foreign_keys}
        graph[table.key] = referenced - {table.key}
    try:
        return [found[key] for key in TopologicalSorter(graph).static_order() if key in found]
    except CycleError:  # tables that reference each other have no such order
        return operations


class Comparison(PostgresqlImpl):
    """Alembic's comparison, which compares the names of check constraints, and the values of enums."""

    __dialect__ = "postgresql"

    def compare_check_constraint(
        self, metadata_constraint: CheckConstraint, reflected_constraint: CheckConstraint
    ) -> Any:
        """Compare the check constraint of a model with that of the database."""
        equal = super().compare_check_constraint(metadata_constraint, reflected_constraint)
        new = metadata_constraint.info.get(ENUM)
        different = new and set(new) != literals(str(reflected_constraint.sqltext))
        return equal.Different("values") if different else equal


def render_item(kind: str, item: object, _context: AutogenContext) -> str | Literal[False]:
    """Render enums as the type of their columns."""
    return "sa.Text()" if kind == "type" and isinstance(item, Enum) else False


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Return whether to compare a table: not those of pgqueuer."""
    return kind != "table" or not str(name).startswith("pgqueuer")


def run(connection: Connection) -> None:
    """Run the migrations in one transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_server_default=True,
        render_item=render_item,
        include_name=include_name,
        autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
        process_revision_directives=sort_tables,
    )
    with context.begin_transaction():
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
        context.run_migrations()


async def connect_and_run() -> None:
    """Connect and run the migrations."""
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
