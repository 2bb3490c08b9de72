"""What a change of the schema is called, and what it could lose."""

from collections.abc import Iterator, Sequence
from typing import Any

from alembic.operations import ops
from sqlalchemy import Connection, column, exists, literal, select, table, types

LONGEST_NAME = 60


def flat(operations: Sequence[ops.MigrateOperation]) -> Iterator[Any]:
    """Yield the operations, those in groups too."""
    for operation in operations:
        if isinstance(operation, ops.OpContainer):
            yield from flat(operation.ops)
        else:
            yield operation


def name(upgrade: ops.UpgradeOps) -> str:
    """Name a change by what it does: `add price and weight to items`.

    Args:
        upgrade: What it does.
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
            case ops.AlterColumnOp():
                key = ("change", f" of {operation.table_name}")
                verbs.setdefault(key, []).append(operation.column_name)
    # Indexes and constraints come with a table or a column; alone, they are the change.
    if not verbs:
        for operation in flat(upgrade.ops):
            where = getattr(operation, "table_name", None) or "schema"
            kind = "indexes" if "Index" in type(operation).__name__ else "constraints"
            verbs[("change", f" of {where}")] = [kind]
    parts = [
        f"{verb} {_join(dict.fromkeys(things))}{rest}" for (verb, rest), things in verbs.items()
    ]
    whole = ", ".join(parts)
    if len(whole) <= LONGEST_NAME:
        return whole
    return whole[: LONGEST_NAME - len(" and more")].rpartition(" ")[0].rstrip(",") + " and more"


def _join(words: dict[str, None]) -> str:
    *rest, last = words
    return f"{', '.join(rest)} and {last}" if rest else last


def losses(upgrade: ops.UpgradeOps, connection: Connection) -> list[str]:
    """Say what a change could lose, or could not do because of the rows that are there.

    Args:
        upgrade: What it does.
        connection: The database before it.

    Returns:
        Phrases such as `drops items.title`.
    """
    operations = list(flat(upgrade.ops))
    phrases = [phrase for operation in operations for phrase in _losses(operation, connection)]
    dropped = {op.table_name for op in operations if isinstance(op, ops.DropColumnOp)}
    added = {op.table_name for op in operations if isinstance(op, ops.AddColumnOp)}
    if dropped & added:
        phrases.append(
            "drops one column and adds another: if it was renamed, write op.alter_column(..., "
            "new_column_name=...) instead, which keeps the data"
        )
    return phrases


def _losses(operation: Any, connection: Connection) -> Iterator[str]:
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
                    f"adds {operation.table_name}.{added.name}, which may not be null, to a table "
                    "that has rows: give it a server_default, or fill it in the migration"
                )
        case ops.AlterColumnOp():
            place = f"{operation.table_name}.{operation.column_name}"
            new, old = operation.modify_type, operation.existing_type
            if new is not None and not (old is not None and widens(old, new)):
                yield f"changes {place} from {old} to {new}"
            if operation.modify_nullable is False and _any_row(
                operation, connection, null_in=operation.column_name
            ):
                yield f"forbids null in {place}, where some rows have it"


def _any_row(operation: Any, connection: Connection, null_in: str | None = None) -> bool:
    rows = table(operation.table_name, schema=operation.schema)
    query = select(literal(1)).select_from(rows)
    if null_in:
        query = query.where(column(null_in).is_(None))
    return bool(connection.scalar(select(exists(query))))


def widens(old: types.TypeEngine[Any], new: types.TypeEngine[Any]) -> bool:
    """Tell whether every value of one type is also a value of the other.

    Args:
        old: The type that a column has.
        new: The type that it is to have.
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
            return same_or_finer and _at_least(_whole_digits(new), _whole_digits(old))
        case _:
            return False
    return _at_least(wide, narrow)


def _at_least(wide: int | None, narrow: int | None) -> bool:
    """Compare two bounds, of which None is no bound."""
    return wide is None or (narrow is not None and wide >= narrow)


def _whole_digits(number: types.Numeric[Any]) -> int | None:
    return None if number.precision is None else number.precision - (number.scale or 0)


def _rank(type_: types.TypeEngine[Any]) -> int:
    return (
        2 if isinstance(type_, types.BigInteger) else int(not isinstance(type_, types.SmallInteger))
    )
