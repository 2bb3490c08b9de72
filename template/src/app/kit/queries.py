"""SELECT statements of SQLAlchemy that asyncpg executes."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from asyncpg import Record
from sqlalchemy import Dialect, Float, Select
from sqlalchemy.sql.compiler import SQLCompiler

Conversion = Callable[[Any], Any]
# Types of PostgreSQL, which only numbers need to know.
NUMERIC_OID = 1700
FLOAT_OID = 701


class Query(NamedTuple):
    """A compiled statement.

    Args:
        compiled: Text and parameters.
        parameters: Conversions of parameters, by name: of JSON, enums and your own types.
        columns: Conversions of columns, by position, or None.
    """

    compiled: SQLCompiler
    parameters: Mapping[str, Conversion]
    columns: Sequence[Conversion | None]

    def bind(self, parameters: dict[str, object]) -> tuple[str, list[Any]]:
        """Return the text and the arguments for asyncpg."""
        convert, text = self.parameters, self.compiled.string
        names: Sequence[str] | None = self.compiled.positiontup
        # An IN with any number of values, and values in the text.
        if self.compiled.post_compile_params or self.compiled.literal_execute_params:
            state = self.compiled.construct_expanded_state(parameters)
            text, names, values = state.statement, state.positiontup, state.parameters
            convert = {**convert, **state.processors}
        else:
            values = self.compiled.construct_params(parameters)
        return text, [
            convert[name](values[name]) if name in convert else values[name] for name in names or ()
        ]

    def rows(self, records: list[Record]) -> list[dict[str, Any]]:
        """Return the rows as dictionaries.

        Raises:
            TypeError: The columns of the statement are not those of the rows.
        """
        rows = [dict(record) for record in records]
        if not rows or not any(self.columns):
            return rows
        if len(rows[0]) != len(self.columns):
            raise TypeError(
                "A Reader selects columns: no text, names that repeat or deferred columns."
            )
        for name, convert in zip(rows[0], self.columns, strict=True):
            if convert:
                for row in rows:
                    row[name] = convert(row[name])
        return rows


@lru_cache(maxsize=1000)
def compile_query(statement: Select[Any], dialect: Dialect) -> Query:
    """Compile a statement, or return the query if it was compiled before.

    Raises:
        TypeError: The statement is not a SELECT.
    """
    if not statement.is_select:
        raise TypeError("A Reader only selects. To change rows, use the session (SessionDep).")
    compiled = statement.compile(dialect=dialect)
    parameters = {
        name: convert
        for parameter, name in compiled.bind_names.items()
        if (convert := parameter.type.dialect_impl(dialect).bind_processor(dialect))
    }
    columns = []
    for column in statement.selected_columns:
        oid = FLOAT_OID if isinstance(column.type, Float) else NUMERIC_OID
        columns.append(column.type.dialect_impl(dialect).result_processor(dialect, oid))
    return Query(compiled, parameters, columns)
