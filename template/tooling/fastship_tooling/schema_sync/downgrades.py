"""Downgrades that add a required column again."""

import datetime
import decimal
import uuid

import sqlalchemy as sa
from alembic.operations import ops

VALUES = {
    str: "''",
    int: "0",
    float: "0",
    decimal.Decimal: "0",
    bool: "false",
    uuid.UUID: "gen_random_uuid()",
    datetime.date: "now()",
    datetime.datetime: "now()",
    dict: "'{}'",
}
"""Values in SQL, by Python type."""


def fill(script: ops.MigrationScript) -> None:
    """Add a temporary default to the required columns that the downgrade adds, for existing rows.

    Args:
        script: Migration with both directions.
    """
    for group in script.downgrade_ops.ops if script.downgrade_ops else ():
        if not isinstance(group, ops.ModifyTableOps):
            continue
        for operation in [each for each in group.ops if isinstance(each, ops.AddColumnOp)]:
            column = operation.column
            if column.nullable or column.server_default or column.computed or column.identity:
                continue
            if value := VALUES.get(_python_type(column)):
                column.server_default = sa.DefaultClause(sa.text(value))
                group.ops.append(
                    ops.AlterColumnOp(
                        group.table_name,
                        column.name,
                        existing_type=column.type,
                        existing_nullable=False,
                        modify_server_default=None,
                    )
                )


def _python_type(column: sa.Column[object]) -> type:
    try:
        return column.type.python_type
    except NotImplementedError:
        return object
