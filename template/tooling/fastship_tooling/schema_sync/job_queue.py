"""Changes of the tables of the queue of background jobs, which pgqueuer declares instead of models."""

from collections.abc import Coroutine
from typing import Any

from alembic.operations import ops
from pgqueuer import InMemoryDriver, Queries
from sqlalchemy import Connection, inspect

from app.kit.jobs import rows_of


class _Driver(InMemoryDriver):
    """Executes queries on a connection of SQLAlchemy, without waiting for anything else."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        return rows_of(self.connection.exec_driver_sql(query, args))


def add_changes(script: ops.MigrationScript, connection: Connection) -> None:
    """Add the statements that make the queue that of the installed pgqueuer.

    They are missing after an update has switched the database on, and after a new version of pgqueuer.

    Args:
        script: Migration to write.
        connection: Database at the latest revision.
    """
    if script.upgrade_ops is None or script.downgrade_ops is None:
        return
    queries = Queries(_Driver(connection))
    statements = _result(queries.plan_upgrade()).statements
    script.upgrade_ops.ops[:0] = [ops.ExecuteSQLOp(each) for each in statements]
    if statements and not inspect(connection).has_table("pgqueuer"):
        drops = queries.qbe.build_uninstall_query().splitlines()
        script.downgrade_ops.ops += [ops.ExecuteSQLOp(each) for each in drops]


def _result[T](coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that does not wait for anything."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise RuntimeError("pgqueuer waits for something else than the connection.")
