"""Renamed columns, which keep their data.

Alembic sees a dropped and an added column. A hint in the model tells that they are the same:
`length: Mapped[int] = mapped_column(info={"renamed_from": "size"})`. In a terminal, `dev` asks.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from alembic.ddl.impl import DefaultImpl
from alembic.operations import ops
from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Index

from app.cli.console import CLIError, console
from fastship_tooling.schema_sync.names import DIALECT

HINT = "renamed_from"
VALUES = re.compile(r"'(?:[^']|'')*'|\b\d[\d.]*|[<>]=?|<>")
"""Literals and comparisons in a condition."""
OUTPUT, INPUT = ("CONOUT$", "CONIN$") if sys.platform == "win32" else ("/dev/tty", "/dev/tty")
"""The terminal. `dev` runs the application in a process without standard input."""
quote = DIALECT.identifier_preparer.quote


@dataclass(frozen=True)
class Rename:
    """A column with another name.

    Args:
        table: Name of the table.
        old: Name in the database.
        new: Name in the model.
    """

    table: str
    old: str
    new: str


def hinted(upgrade: ops.UpgradeOps) -> list[Rename]:
    """Return the renames that the models declare.

    Args:
        upgrade: Differences between the models and the database.

    Raises:
        CLIError: Two columns have the same previous name.
    """
    found = [
        Rename(group.table_name, column.info[HINT], column.name)
        for group, dropped, added in _groups(upgrade)
        for column in (operation.column for operation in added.values())
        if column.info.get(HINT) in dropped
    ]
    for one, other in pairwise(sorted(found, key=lambda each: (each.table, each.old))):
        if (one.table, one.old) == (other.table, other.old):
            raise CLIError(
                f"{one.new} and {other.new} of {one.table} have the same {HINT}: {one.old}. "
                "Remove it from the one that is new."
            )
    return found


def possible(upgrade: ops.UpgradeOps, impl: DefaultImpl) -> list[Rename]:
    """Return the only dropped and the only added column of a table, if they have the same type.

    Args:
        upgrade: Differences between the models and the database.
        impl: Compares types.
    """
    found = []
    for group, dropped, added in _groups(upgrade):
        if len(dropped) == len(added) == 1:
            [(old, drop)], [(new, add)] = dropped.items(), added.items()
            if not impl.compare_type(drop.to_column(), add.column):
                found.append(Rename(group.table_name, old, new))
    return found


def ask(rename: Rename) -> bool:
    """Return whether a column was renamed, after a prompt. Without a terminal, it was not.

    Args:
        rename: The possible rename.
    """
    if not console.is_terminal:
        return False
    question = (
        f"Was {rename.table}.{rename.old} renamed to {rename.new}? Its data is kept then. [y/N] "
    )
    try:
        with open(OUTPUT, "w") as output, open(INPUT) as answers:
            output.write(question)
            output.flush()
            return answers.readline().strip().lower() in {"y", "yes"}
    except OSError:
        return False


def apply(script: ops.MigrationScript, renames: Iterable[Rename], impl: DefaultImpl) -> None:
    """Replace dropped and added columns, and their constraints and indexes, by renamed ones.

    Args:
        script: Migration with both directions.
        renames: The renames.
        impl: Compares types.
    """
    for each in renames:
        back = Rename(each.table, each.new, each.old)
        for part, rename in ((script.upgrade_ops, each), (script.downgrade_ops, back)):
            for group, dropped, added in _groups(part):
                if group.table_name == rename.table:
                    drop, add = dropped[rename.old], added[rename.new]
                    rest = [operation for operation in group.ops if operation not in (drop, add)]
                    altered = _altered(rename, drop.to_column(), add.column, impl)
                    group.ops = [altered, *_constraints(rest, rename)]


def _groups(
    part: ops.OpContainer | None,
) -> Iterator[tuple[ops.ModifyTableOps, dict[str, ops.DropColumnOp], dict[str, ops.AddColumnOp]]]:
    for group in part.ops if part else ():
        if isinstance(group, ops.ModifyTableOps):
            dropped = [each for each in group.ops if isinstance(each, ops.DropColumnOp)]
            added = [each for each in group.ops if isinstance(each, ops.AddColumnOp)]
            yield (
                group,
                {each.column_name: each for each in dropped},
                {each.column.name: each for each in added},
            )


def _altered(
    rename: Rename, old: Column[Any], new: Column[Any], impl: DefaultImpl
) -> ops.AlterColumnOp:
    """Return the operation that renames a column, and changes what else is different."""
    changes: dict[str, Any] = {}
    if impl.compare_type(old, new):
        changes["modify_type"] = new.type
    if old.nullable != new.nullable:
        changes["modify_nullable"] = new.nullable
    if _default(old) != _default(new):
        changes["modify_server_default"] = new.server_default
    return ops.AlterColumnOp(
        rename.table,
        rename.old,
        modify_name=rename.new,
        existing_type=old.type,
        existing_nullable=old.nullable,
        **changes,
    )


def _default(column: Column[Any]) -> str | None:
    default = column.server_default
    return None if default is None else str(getattr(default, "arg", default))


def _constraints(operations: Sequence[Any], rename: Rename) -> list[Any]:
    """Rename the constraints and indexes whose only difference is the name of the column."""
    result = list(operations)
    for drop in operations:
        for create in operations:
            if drop not in result or create not in result or not _is_same(drop, create, rename):
                continue
            result.remove(create)
            old, new = _name(drop), _name(create)
            index = isinstance(drop, ops.DropIndexOp)
            place = f"INDEX {quote(old)}" if index else f"TABLE {quote(rename.table)}"
            change = "RENAME" if index else f"RENAME CONSTRAINT {quote(old)}"
            statement = ops.ExecuteSQLOp(f"ALTER {place} {change} TO {quote(new)}")
            # One with an explicit name follows its column.
            position = result.index(drop)
            result[position : position + 1] = [statement] if old != new else []
    return result


def _name(operation: Any) -> str:
    return str(getattr(operation, "index_name", None) or operation.constraint_name)


def _is_same(drop: Any, create: Any, rename: Rename) -> bool:
    old: Any
    new: Any
    match drop, create:
        case ops.DropIndexOp(), ops.CreateIndexOp():
            old, new = drop.to_index(), create.to_index()
        case ops.DropConstraintOp(), ops.AddConstraintOp():
            old, new = drop.to_constraint(), create.to_constraint()
        case _:
            return False
    return type(old) is type(new) and _content(old, rename) == _content(new, rename)


def _content(item: Any, rename: Rename) -> Any:
    """Return what a constraint or index consists of, with the new name of the column.

    What cannot be compared is unequal to all others, and created again.
    """
    if isinstance(item, CheckConstraint):
        condition = item.sqltext.compile(
            dialect=DIALECT, compile_kwargs={"literal_binds": True, "include_table": False}
        )
        name = str(item.name).replace(f"_{rename.old}_", f"_{rename.new}_")
        # PostgreSQL writes conditions in its own way, but with the same values.
        values = set(VALUES.findall(str(condition)))
        return (name, values) if values else object()
    columns = [rename.new if each.name == rename.old else each.name for each in item.columns]
    if isinstance(item, ForeignKeyConstraint):
        targets = [element.target_fullname for element in item.elements]
        return columns, targets, item.ondelete, item.onupdate
    if isinstance(item, Index):
        where = item.dialect_options["postgresql"]["where"]
        simple = where is None and len(columns) == len(item.expressions)
        return (columns, item.unique) if simple else object()
    return columns
