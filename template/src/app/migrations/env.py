"""Alembic's environment: runs the migrations. Owned by the template."""

import asyncio
import time
from collections.abc import Callable
from contextlib import nullcontext
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.operations.ops import CreateTableOp, DropTableOp, MigrationScript, OpContainer
from sqlalchemy import CheckConstraint, ClauseElement, Connection, Enum, Index, event, pool, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine

from app.config import Settings
from app.database import Base, load_models
from app.kit.enums import ENUM, literals
from app.migrations import LOCK_TIMEOUT_SECONDS, log

# Hide these frames from tracebacks.
__tracebackhide__ = True

# Any number, the same for all processes: replicas that start together migrate one after another.
ADVISORY_LOCK = 7_402_531_117
POLL_SECONDS = 0.2

load_models()


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
    """Alembic's comparison, and that of the conditions of check constraints and indexes."""

    __dialect__ = "postgresql"

    def compare_check_constraint(
        self, metadata_constraint: CheckConstraint, reflected_constraint: CheckConstraint
    ) -> Any:
        """Compare the check constraint of a model with that of the database."""
        result = super().compare_check_constraint(metadata_constraint, reflected_constraint)
        if values := metadata_constraint.info.get(ENUM):
            # Their order does not matter.
            equal = set(values) == literals(str(reflected_constraint.sqltext))
        else:
            conditions = metadata_constraint.sqltext, reflected_constraint.sqltext
            equal = self.is_same_condition(metadata_constraint.table, *conditions)
        return result if equal else result.Different("condition")

    def compare_indexes(self, metadata_index: Index, reflected_index: Index) -> Any:
        """Compare the index of a model with that of the database."""
        result = super().compare_indexes(metadata_index, reflected_index)
        new, old = (
            index.dialect_options["postgresql"]["where"]
            for index in (metadata_index, reflected_index)
        )
        if new is None or old is None:
            equal = new is old
        else:
            equal = self.is_same_condition(metadata_index.table, new, old)
        return result if equal else result.Different("condition")

    def is_same_condition(self, table: Any, *conditions: str | ClauseElement) -> bool:
        """Return whether PostgreSQL writes conditions for the rows of a table in the same way."""
        connection = self.connection
        if connection is None:  # --sql
            return True
        savepoint = connection.begin_nested()
        try:
            name = self.dialect.identifier_preparer.format_table(table)
            connection.exec_driver_sql(f"CREATE TEMP TABLE comparison (LIKE {name})")
            for condition in conditions:
                clause = text(condition) if isinstance(condition, str) else condition
                compiled = clause.compile(
                    dialect=self.dialect,
                    compile_kwargs={"literal_binds": True, "include_table": False},
                )
                connection.exec_driver_sql(f"ALTER TABLE comparison ADD CHECK ({compiled})")
            query = (
                "SELECT count(DISTINCT pg_get_constraintdef(oid)) FROM pg_constraint "
                "WHERE conrelid = 'comparison'::regclass AND contype = 'c'"
            )
            return connection.exec_driver_sql(query).scalar() == 1
        except ProgrammingError:  # it uses a new column
            return False
        finally:
            savepoint.rollback()


def render_item(kind: str, item: object, _context: AutogenContext) -> str | Literal[False]:
    """Render enums as the type of their columns."""
    return "sa.Text()" if kind == "type" and isinstance(item, Enum) else False


def wait_for_turn(connection: Connection) -> None:
    """Wait until no other migration runs, and keep others waiting until the end of the transaction.

    A statement that waits for the lock would have a snapshot, and `CREATE INDEX CONCURRENTLY` of the other
    migration would wait for that in turn. So this asks again and again.
    """
    asked = False
    while True:
        query = f"SELECT pg_try_advisory_xact_lock({ADVISORY_LOCK})"
        is_free = connection.exec_driver_sql(query).scalar()
        # The connection is idle until the end. The driver keeps the result of the query, and with it the
        # snapshot, until this statement.
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        if is_free:
            return
        if not asked:
            log.warning("Another migration is running. Waiting for it.")
        asked = True
        time.sleep(POLL_SECONDS)


def limit_waits(connection: Connection) -> None:
    """Limit the time that the statements of a transaction wait for a lock.

    All other statements on the table queue behind them. Outside of transactions, there is no limit:
    `CREATE INDEX CONCURRENTLY` blocks no other statement, and would leave an invalid index.
    """
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'")


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Return whether to compare a table: not those of pgqueuer."""
    return kind != "table" or not str(name).startswith("pgqueuer")


def run(connection: Connection, block: Callable[[], Any] | None = None) -> None:
    """Run each migration in a transaction.

    Args:
        connection: Connection to use.
        block: Replacement of `autocommit_block`, which commits.
    """
    context.configure(
        connection=connection,
        # A migration with an `autocommit_block` is not repeated after an error of a later one.
        transaction_per_migration=True,
        target_metadata=Base.metadata,
        compare_server_default=True,
        render_item=render_item,
        include_name=include_name,
        autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
        process_revision_directives=sort_tables,
    )
    if block:
        context.get_context().autocommit_block = block  # type: ignore[method-assign]
    with context.begin_transaction():
        context.run_migrations()


async def connect_and_run() -> None:
    """Connect and run the migrations.

    The lock has a connection of its own, since an `autocommit_block` ends the transaction of the migrations.
    """
    engine = create_async_engine(database_url(), poolclass=pool.NullPool)
    async with engine.connect() as turn, engine.connect() as connection:
        await turn.run_sync(wait_for_turn)
        event.listen(connection.sync_connection, "begin", limit_waits)
        await connection.run_sync(run)
    await engine.dispose()


if context.is_offline_mode():
    context.configure(url=database_url(), target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
elif connection := context.config.attributes.get("connection"):
    wait_for_turn(connection)
    run(connection, block=nullcontext)  # the transaction is that of the caller
else:
    asyncio.run(connect_and_run())
