"""The names of constraints and indexes."""

from typing import Any

from sqlalchemy import CheckConstraint, Constraint, ForeignKeyConstraint, Index, MetaData, make_url
from sqlalchemy.exc import IdentifierError

from app.cli.console import CLIError
from app.kit.enums import MAX_NAME

DIALECT = make_url("postgresql://").get_dialect()()


def check_names(metadata: MetaData) -> None:
    """Check that the names of constraints and indexes are unique, as PostgreSQL requires.

    Alembic compares them by name, and would confuse two that have the same one.

    Args:
        metadata: The models.

    Raises:
        CLIError: Two have the same name, or a name is too long.
    """
    found: dict[tuple[str, str], str] = {}
    for table in metadata.tables.values():
        items: list[Any] = [*table.constraints, *table.indexes]
        for item in items:
            name = name_of(item)
            if name is None:
                continue
            if is_check := isinstance(item, CheckConstraint):
                content = str(item.sqltext)
            else:
                content = ", ".join(item.columns.keys())
            described = f"{type(item).__name__}({content}) of {table.name}"
            # SQLAlchemy shortens names of the convention, but Alembic compares those of check constraints as they are.
            if len((str(item.name) if is_check else name).encode()) > MAX_NAME:
                raise CLIError(
                    f"{described} has a name of more than {MAX_NAME} bytes: {name}. "
                    "Choose a shorter one with name=..."
                )
            # Indexes are unique in the schema, including those of unique constraints and primary keys.
            scope = table.name if is_check or isinstance(item, ForeignKeyConstraint) else ""
            other = found.get((scope, name))
            # Alembic attaches copies of the check constraints that it compares.
            if other and not (is_check and other == described):
                raise CLIError(
                    f"{other} and {described} have the same name: {name}. "
                    "Choose another one for one of them with name=..."
                )
            found[scope, name] = described


def name_of(item: Constraint | Index) -> str | None:
    """Return the name in PostgreSQL: of the naming convention, and shortened if it is too long.

    Args:
        item: Constraint or index of a table.
    """
    preparer = DIALECT.identifier_preparer
    name: str | None
    try:
        if isinstance(item, Index):
            name = preparer.format_index(item)
        else:
            name = preparer.format_constraint(item)
    except IdentifierError:  # SQLAlchemy does not shorten explicit names
        name = str(item.name)
    return name and name.strip('"')
