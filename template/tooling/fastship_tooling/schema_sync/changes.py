"""The name of a schema change, and whether it is destructive."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy import Connection, types
from sqlalchemy.exc import DBAPIError

from fastship_tooling.schema_sync.names import DIALECT

MAX_NAME_LENGTH = 60
REPLACES = "replaces"
"""First word of a change that exchanges a constraint. It loses no row, but must be confirmed."""


def flat(operations: Sequence[ops.MigrateOperation]) -> Iterator[Any]:
    """Yield the operations, including those in groups."""
    for operation in operations:
        if isinstance(operation, ops.OpContainer):
            yield from flat(operation.ops)
        else:
            yield operation


def name(upgrade: ops.UpgradeOps) -> str:
    """Return the name of a change, such as `add price and weight to items`.

    Args:
        upgrade: Operations of the change.
    """
    verbs: dict[tuple[str, str], list[str]] = {}
    for operation in flat(upgrade.ops):
        match operation:
            case ops.CreateTableOp():
                verbs.setdefault(("create", ""), []).append(operation.table_name)
            case ops.DropTableOp():
                verbs.setdefault(("drop", ""), []).append(operation.table_name)
            case ops.AddColumnOp():
                key = ("add", f" to {operation.table_name}")
                verbs.setdefault(key, []).append(str(operation.column.name))
            case ops.DropColumnOp():
                key = ("drop", f" from {operation.table_name}")
                verbs.setdefault(key, []).append(operation.column_name)
            case ops.AlterColumnOp(modify_name=str() as new):
                key = ("rename", f" to {new} in {operation.table_name}")
                verbs.setdefault(key, []).append(operation.column_name)
            case ops.AlterColumnOp():
                key = ("change", f" of {operation.table_name}")
                verbs.setdefault(key, []).append(operation.column_name)
            case ops.ExecuteSQLOp():
                verbs[("update", "")] = ["the queue of jobs"]
    # Indexes and constraints are named only if there is no other change.
    if not verbs:
        for operation in flat(upgrade.ops):
            where = getattr(operation, "table_name", None) or "schema"
            kind = "indexes" if "Index" in type(operation).__name__ else "constraints"
            verbs[("change", f" of {where}")] = [kind]
    parts = [
        f"{verb} {_join(dict.fromkeys(things))}{rest}" for (verb, rest), things in verbs.items()
    ]
    whole = ", ".join(parts)
    if len(whole) <= MAX_NAME_LENGTH:
        return whole
    start = whole[: MAX_NAME_LENGTH - len(" and more")].rpartition(" ")[0]
    return re.sub(r"(,| and| from| of| to)+$", "", start) + " and more"


def _join(words: dict[str, None]) -> str:
    *rest, last = words
    return f"{', '.join(rest)} and {last}" if rest else last


def destructive_changes(upgrade: ops.UpgradeOps, connection: Connection) -> list[str]:
    """Return the changes that lose data, or that fail because of existing rows.

    Args:
        upgrade: Operations of the change.
        connection: Database before the change.

    Returns:
        Phrases such as `drops items.title`.
    """
    operations = list(flat(upgrade.ops))
    creates = [op for op in operations if isinstance(op, ops.CreateTableOp)]
    new = {op.table_name for op in creates}
    created = [_columns(op.columns) for op in creates]
    # The indexes of a new table are operations of their own.
    operations = [op for op in operations if getattr(op, "table_name", None) not in new]
    dropped = {
        op.table_name: op.column_name for op in operations if isinstance(op, ops.DropColumnOp)
    }
    added = {op.table_name for op in operations if isinstance(op, ops.AddColumnOp)}
    renamed = {op.table_name for op in operations if getattr(op, "modify_name", None)}
    phrases = [
        phrase
        for operation in operations
        # The check may be of a column that does not exist yet.
        if not (
            isinstance(operation, ops.CreateCheckConstraintOp)
            and operation.table_name in added | renamed
        )
        for phrase in _destructive(operation, connection)
    ]
    phrases += [
        "drops a column and adds another one; if you renamed the column, declare it in the model to keep "
        f'its data: mapped_column(info={{"renamed_from": "{name}"}})'
        for table, name in dropped.items()
        if table in added
    ]
    phrases += [
        f"drops a table and creates one with the same columns; if you renamed the table, keep its name in "
        f'the model to keep its data: __tablename__ = "{drop.table_name}"'
        for drop in operations
        if isinstance(drop, ops.DropTableOp) and _columns(drop.to_table().columns) in created
    ]
    return [*phrases, *_replaced(operations)]


def _columns(items: Iterable[Any]) -> set[str]:
    """Return the names of the columns of a table."""
    return {item.name for item in items if isinstance(item, sa.Column)}


def _replaced(operations: Sequence[Any]) -> Iterator[str]:
    """Yield the constraints of a table that are dropped while others of the same kind are added."""
    dropped: defaultdict[tuple[str | None, str | None], list[Any]] = defaultdict(list)
    added: defaultdict[tuple[str | None, str | None], list[Any]] = defaultdict(list)
    for operation in operations:
        match operation:
            case ops.DropConstraintOp(constraint_type="unique" | "foreignkey"):
                kind = operation.constraint_type
                dropped[operation.table_name, kind].append(operation.constraint_name)
            case ops.DropIndexOp() if operation.to_index().unique:
                dropped[operation.table_name, "unique"].append(operation.index_name)
            case ops.CreateUniqueConstraintOp():
                added[operation.table_name, "unique"].append(operation.constraint_name)
            case ops.CreateIndexOp(unique=True):
                added[operation.table_name, "unique"].append(operation.index_name)
            case ops.CreateForeignKeyOp():
                added[operation.source_table, "foreignkey"].append(operation.constraint_name)
    for place in dropped.keys() & added.keys():
        old, new = (" and ".join(map(str, names[place])) for names in (dropped, added))
        yield f"{REPLACES} the constraint {old} of {place[0]} by {'another' if old == new else new}"


def _destructive(operation: Any, connection: Connection) -> Iterator[str]:
    match operation:
        case ops.DropTableOp():
            yield f"drops the table {operation.table_name}"
        case ops.DropColumnOp():
            yield f"drops {operation.table_name}.{operation.column_name}"
        case ops.AddColumnOp():
            added = operation.column
            given = added.nullable or added.server_default or added.computed or added.identity
            if not given and _any_row(operation, connection):
                yield (
                    f"adds {operation.table_name}.{added.name}, which is not nullable, to a table with "
                    "rows; add a server_default, or set the values in the migration"
                )
        case ops.AlterColumnOp():
            place = f"{operation.table_name}.{operation.column_name}"
            new, old = operation.modify_type, operation.existing_type
            if new is not None and not (old is not None and widens(old, new)):
                before, after = (each and each.compile(dialect=DIALECT) for each in (old, new))
                yield f"changes {place} from {before} to {after}"
            null = sa.column(operation.column_name).is_(None)
            if operation.modify_nullable is False and _any_row(operation, connection, null):
                yield f"makes {place} not nullable, but some rows are null"
        case ops.CreateUniqueConstraintOp() | ops.CreateIndexOp(unique=True):
            names = [str(getattr(each, "name", each)) for each in operation.columns]
            if _any_duplicate(operation, names, connection):
                yield (
                    f"makes {', '.join(names)} of {operation.table_name} unique, but some rows have the "
                    "same values; change or delete them first"
                )
        case ops.CreateCheckConstraintOp():
            condition = operation.condition
            if not isinstance(condition, str):
                options = {"literal_binds": True, "include_table": False}
                condition = str(condition.compile(connection, compile_kwargs=options))
            if _any_row(operation, connection, sa.not_(sa.literal_column(f"({condition})"))):
                yield (
                    f"requires {condition} in {operation.table_name}, but some rows have other values; "
                    "change them in the migration first"
                )


def _any_row(
    operation: Any, connection: Connection, condition: sa.ColumnElement[bool] | None = None
) -> bool:
    rows = sa.table(operation.table_name, schema=operation.schema)
    query = sa.select(sa.literal(1)).select_from(rows)
    if condition is not None:
        query = query.where(condition)
    return bool(connection.scalar(sa.select(sa.exists(query))))


def _any_duplicate(operation: Any, names: Sequence[Any], connection: Connection) -> bool:
    """Return whether rows exist that differ in none of the columns. New columns are not compared."""
    existing = {entry["name"] for entry in sa.inspect(connection).get_columns(operation.table_name)}
    if not existing.issuperset(names):
        return False
    keys: list[sa.ColumnClause[Any]] = [sa.column(name) for name in names]
    query = sa.select(sa.literal(1)).select_from(
        sa.table(operation.table_name, schema=operation.schema)
    )
    query = query.where(*(key.is_not(None) for key in keys)).group_by(*keys)
    return bool(connection.scalar(sa.select(sa.exists(query.having(sa.func.count() > 1)))))


def is_lossless(
    connection: Connection,
    there: Callable[[Connection], None],
    back: Callable[[Connection], None],
) -> bool:
    """Return whether a change keeps all data: whether undoing it restores all rows.

    Args:
        connection: Database. It is unchanged afterward.
        there: Makes the change.
        back: Undoes it.
    """
    before = _content(connection)
    savepoint = connection.begin_nested()
    try:
        there(connection)
        with suppress(DBAPIError, NotImplementedError):
            back(connection)
            return _content(connection) == before
        return False
    finally:
        savepoint.rollback()


def _content(connection: Connection) -> dict[str, Any]:
    """Return the number of rows of each table, and a checksum that ignores the order of columns."""
    query = "SELECT count(*), sum(hashtextextended(to_jsonb(t)::text, 0)) FROM {} t"
    quote = connection.dialect.identifier_preparer.quote
    return {
        name: tuple(connection.execute(sa.text(query.format(quote(name)))).one())
        for name in sa.inspect(connection).get_table_names()
    }


def widens(old: types.TypeEngine[Any], new: types.TypeEngine[Any]) -> bool:
    """Return whether every value of `old` is also a value of `new`.

    Args:
        old: Current type of a column.
        new: New type of the column.
    """
    match old, new:
        case types.String(), types.String() if not isinstance(new, types.Enum):
            wide, narrow = new.length, old.length
        case types.Integer(), types.Integer():
            wide, narrow = _rank(new), _rank(old)
        case types.Float(), types.Float():
            wide, narrow = new.precision or 53, old.precision or 53
        case types.Numeric(), types.Numeric():
            same_or_finer = new.precision is None or (new.scale or 0) >= (old.scale or 0)
            return same_or_finer and _at_least(_integer_digits(new), _integer_digits(old))
        case _:
            return False
    return _at_least(wide, narrow)


def _at_least(wide: int | None, narrow: int | None) -> bool:
    """Compare two limits. None means unlimited."""
    return wide is None or (narrow is not None and wide >= narrow)


def _integer_digits(number: types.Numeric[Any]) -> int | None:
    return None if number.precision is None else number.precision - (number.scale or 0)


def _rank(type_: types.TypeEngine[Any]) -> int:
    return (
        2 if isinstance(type_, types.BigInteger) else int(not isinstance(type_, types.SmallInteger))
    )
