"""SELECT statements of SQLAlchemy that asyncpg executes."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from asyncpg import Record
from sqlalchemy import Dialect, Select
from sqlalchemy.sql.compiler import SQLCompiler

Conversion = Callable[[Any], Any]


class Query(NamedTuple):
    """A compiled statement.

    Args:
        compiled: Text and parameters.
        parameters: Conversions of parameters, by name: of JSON, enums and your own types.
        columns: Conversions of columns, with their positions.
    """

    compiled: SQLCompiler
    parameters: Mapping[str, Conversion]
    columns: Sequence[tuple[int, Conversion]]

    def bind(self, parameters: dict[str, object]) -> tuple[str, list[Any]]:
        """Return the text and the arguments for asyncpg."""
        convert, text = self.parameters, self.compiled.string
        names: Sequence[str] | None = self.compiled.positiontup
        if self.compiled.post_compile_params:  # an IN with any number of values
            state = self.compiled.construct_expanded_state(parameters)
            text, names, values = state.statement, state.positiontup, state.parameters
            convert = {**convert, **state.processors}
        else:
            values = self.compiled.construct_params(parameters)
        return text, [
            convert[name](values[name]) if name in convert else values[name] for name in names or ()
        ]

    def rows(self, records: list[Record]) -> list[dict[str, Any]]:
        """Return the rows as dictionaries."""
        rows = [dict(record) for record in records]
        for index, convert in self.columns if rows else ():
            name = list(records[0].keys())[index]
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
    columns = [
        (index, convert)
        for index, column in enumerate(statement.selected_columns)
        if (convert := column.type.dialect_impl(dialect).result_processor(dialect, None))
    ]
    return Query(compiled, parameters, columns)
