"""Enums in text columns with a check constraint, whose values a migration can change."""

import enum
import re
from typing import Any
from zlib import crc32

from sqlalchemy import CheckConstraint, Enum, String, Table, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import conv

ENUM = "enum"
MAX_NAME = 63
"""Maximum length of a name in PostgreSQL, in bytes."""


def _values(members: type[enum.Enum]) -> list[str]:
    return [str(member.value) for member in members]


TEXT_ENUM = Enum(enum.Enum, native_enum=False, length=None, values_callable=_values)
"""Type of all columns that are annotated with an enum: `status: Mapped[OrderStatus]`."""


@compiles(Enum, "postgresql")
def compile_enum(_type: Enum, _compiler: object, **_options: Any) -> str:
    """Return the type of the column."""
    return "TEXT"


def add_checks(table: Table) -> None:
    """Limit the columns of a table that are enums to their values.

    Args:
        table: Table with all of its columns.

    Raises:
        TypeError: A column has an enum type of PostgreSQL, whose values Alembic cannot change.
        ValueError: The default of a column is not a value of its enum.
    """
    for column in table.columns:
        if isinstance(column.type, Enum):
            if column.type.native_enum:
                raise TypeError(
                    f"{column} is a PostgreSQL enum. Use `Mapped[...]` without a type instead."
                )
            default = getattr(column.server_default, "arg", None)
            if isinstance(default, str) and default not in column.type.enums:
                raise ValueError(f"The server_default {default!r} of {column} is not in its enum.")
            allowed = type_coerce(column, String()).in_(column.type.enums)
            name = column.name
            if len(full := f"{table.name}_{name}_check") > MAX_NAME:
                # SQLAlchemy would shorten it in the database only, and Alembic compares names.
                name = conv(f"{full[: MAX_NAME - 9]}_{crc32(full.encode()):08x}")
            table.append_constraint(CheckConstraint(allowed, name, info={ENUM: column.type.enums}))


def literals(expression: str) -> set[str]:
    """Return the values in the SQL expression of a check constraint."""
    return {text.replace("''", "'") for text in re.findall(r"'((?:[^']|'')*)'", expression)}
