"""References between the rows of one user, which the database checks."""

from typing import Any

from sqlalchemy import ForeignKeyConstraint, Table, UniqueConstraint
from sqlalchemy.orm import MappedColumn, mapped_column

TARGET = "references"
LIST_SUFFIX = "s_fkey"
MAX_NAME = 63


def reference(table: str, *, ondelete: str | None = None, **options: Any) -> MappedColumn[Any]:
    """Return the column of a reference to a row of the same user.

    The database rejects the ID of a row that belongs to another user like one that does not exist. A
    row that is referenced cannot be deleted, unless there is an `ondelete`. In tables without `owner_id`,
    it is a plain foreign key.

    Args:
        table: Table whose `id` is referenced.
        ondelete: Action of the database when the referenced row is deleted: CASCADE, or SET NULL for a
            column that can be null. It does not change `updated_at`: pass the ID to `Conditions.check`.
        options: Options of `mapped_column`.

    Example:
        `order_id: Mapped[UUID] = reference("orders")`
    """
    return mapped_column(index=True, info={TARGET: (table, ondelete)}, **options)


def add_constraints(table: Table) -> None:
    """Add the constraints of the references of a table, and those that allow references to it.

    Args:
        table: Table with all of its columns.
    """
    owned = "owner_id" in table.columns
    if owned and "id" in table.columns:
        table.append_constraint(UniqueConstraint("id", "owner_id"))
    for column in table.columns:
        if TARGET in column.info:
            target, ondelete = column.info[TARGET]
            names = [column.name, "owner_id"] if owned else [column.name]
            targets = [f"{target}.id", f"{target}.owner_id"][: len(names)]
            # The other column stays as it is.
            if owned and ondelete in {"SET NULL", "SET DEFAULT"}:
                ondelete += f" ({column.name})"
            name: str | None = f"{table.name}_{column.name}{LIST_SUFFIX}"
            # An association has no ID. Its rows are a list of IDs in the requests.
            if "id" in table.columns or len(name or "") > MAX_NAME:
                name = None
            table.append_constraint(ForeignKeyConstraint(names, targets, name, ondelete=ondelete))
