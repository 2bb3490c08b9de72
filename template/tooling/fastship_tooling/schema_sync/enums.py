"""Enums that get more values."""

import re

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy import MetaData

from app.kit.enums import ENUM, literals
from fastship_tooling.schema_sync.changes import flat
from fastship_tooling.schema_sync.names import DIALECT

# What PostgreSQL makes of `status IN (...)`.
IS_ENUM = re.compile(r"""\(*(\w+|"[^"]+") = (ANY|')""")


class ValidateConstraintOp(ops.MigrateOperation):
    """Checks the rows that were there before a constraint. Other transactions can read and write meanwhile."""

    def __init__(self, table_name: str, constraint_name: str) -> None:
        quote = DIALECT.identifier_preparer.quote
        names = f"{quote(table_name)} VALIDATE CONSTRAINT {quote(constraint_name)}"
        self.statement = f"ALTER TABLE {names}"


@renderers.dispatch_for(ValidateConstraintOp)
def render(_context: AutogenContext, operation: ValidateConstraintOp) -> str:
    """Render an operation."""
    return f"with op.get_context().autocommit_block():\n    op.execute({operation.statement!r})"


def validate_later(upgrade: ops.UpgradeOps, metadata: MetaData) -> None:
    """Check existing rows in a transaction of their own if an enum gets more values.

    Otherwise all reads and writes of the table would wait until each row is checked. A migration with
    other changes could not be repeated if that transaction failed, so it is not changed.

    Args:
        upgrade: Operations of a migration.
        metadata: The models.
    """
    operations = [*flat(upgrade.ops)]
    if any(
        not isinstance(op, ops.DropConstraintOp | ops.CreateCheckConstraintOp) for op in operations
    ):
        return
    dropped = {
        (op.table_name, op.constraint_name): op.to_constraint()
        for op in operations
        if isinstance(op, ops.DropConstraintOp) and op.constraint_type == "check"
    }
    for operation in operations:
        if not isinstance(operation, ops.CreateCheckConstraintOp):
            continue
        table, name = operation.table_name, str(operation.constraint_name)
        old = str(getattr(dropped.get((table, name)), "sqltext", ""))
        values = {
            value
            for constraint in metadata.tables[table].constraints
            if constraint.name == name
            for value in constraint.info.get(ENUM, ())
        }
        if IS_ENUM.match(old) and literals(old) < values:
            operation.kw["postgresql_not_valid"] = True
            upgrade.ops.append(ValidateConstraintOp(table, name))
