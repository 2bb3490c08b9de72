"""Reads without a transaction and without models, and pages of lists."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import ColumnElement, Connection, Integer, Result, Select, bindparam, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.util import greenlet_spawn

from app.kit.database_errors import database_errors
from app.kit.pagination import Cursor, PageParams
from app.kit.problems import ServiceUnavailable, raises


class Reader:
    """Reads rows as dictionaries, outside of a transaction.

    Without ORM objects, BEGIN and COMMIT, a query takes half the time. Each statement sees the latest
    committed rows, as in a transaction of PostgreSQL's default isolation level. A connection is only
    used for the time of one query.

    Args:
        connect: Opens a connection in AUTOCOMMIT mode.
    """

    def __init__(self, connect: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._connect = connect

    async def all(self, statement: Select[Any], **parameters: object) -> list[dict[str, Any]]:
        """Return the rows that a statement selects.

        Args:
            statement: Selection of columns. Build it once: that takes longer than the query.
            parameters: Values of its `bindparam`s.

        Raises:
            TypeError: The statement is not a SELECT.
            ServiceUnavailable: The database is unavailable.
        """
        if not statement.is_select:
            raise TypeError("A Reader only selects. To change rows, use the session (SessionDep).")
        with database_errors():
            # One switch to synchronous code. The methods of AsyncConnection would need three.
            return await greenlet_spawn(self._select, statement, parameters)

    def _select(
        self, statement: Select[Any], parameters: dict[str, object]
    ) -> list[dict[str, Any]]:
        with self._connect() as connection:
            return rows_of(connection.execute(statement, parameters))

    async def first(self, statement: Select[Any], **parameters: object) -> dict[str, Any] | None:
        """Return the first row that a statement selects, if any.

        Args:
            statement: As for `all`.
            parameters: As for `all`.
        """
        rows = await self.all(statement, **parameters)
        return rows[0] if rows else None


def rows_of(result: Result[Any]) -> list[dict[str, Any]]:
    """Return the rows of a result as dictionaries."""
    names = list(result.keys())
    return [dict(zip(names, row, strict=True)) for row in result.all()]  # faster than one by one


@raises(ServiceUnavailable)
async def get_reader(request: Request) -> Reader:
    """Return the reader of the request."""
    return Reader(request.app.state.read_connection)


ReaderDep = Annotated[Reader, Depends(get_reader)]


async def fetch_page(
    source: Reader | AsyncSession, statement: Select[Any], page: PageParams, **parameters: object
) -> tuple[list[dict[str, Any]], str | None]:
    """Fetch a page of the rows that `statement` selects, newest first unless `page` has an order.

    Args:
        source: Reader or session to use.
        statement: Selection of columns, without order or limit. Build it once.
        page: Requested page, with its filters.
        parameters: Values of the `bindparam`s of the statement.

    Returns:
        The rows, and the cursor of the next page or None.
    """
    filters = list(page.filters())
    for number, (_, _, value) in enumerate(filters):
        parameters[f"page_filter_{number}"] = value
    after, order = page.after, page.order
    if after:
        parameters |= {"page_after": after.value, "page_after_id": after.id}
    operators = tuple((field, operator) for field, operator, _ in filters)
    query = _page_query(statement, operators, order, after is not None)
    # If there is one additional row, there is another page.
    parameters["page_size"] = page.limit + 1
    if isinstance(source, Reader):
        rows = await source.all(query, **parameters)
    else:
        rows = rows_of(await source.execute(query, parameters))
    if len(rows) <= page.limit:
        return rows, None
    last = rows[page.limit - 1]
    cursor = Cursor(order, last[order.removeprefix("-")], last["id"])
    return rows[: page.limit], cursor.encode()


@lru_cache(maxsize=1000)
def _page_query(
    statement: Select[Any],
    filters: tuple[tuple[str, Callable[[Any, Any], ColumnElement[bool]]], ...],
    order: str,
    following: bool,
) -> Select[Any]:
    """Return a statement with the filters, the order and the limit of a page as parameters."""
    columns = statement.selected_columns
    for number, (field, operator) in enumerate(filters):
        value = bindparam(f"page_filter_{number}", type_=columns[field].type)
        statement = statement.where(operator(columns[field], value))
    name = order.removeprefix("-")
    column, key = columns[name], columns["id"]
    if following:
        last = tuple_(
            bindparam("page_after", type_=column.type), bindparam("page_after_id", type_=key.type)
        )
        position = tuple_(column, key)
        statement = statement.where(position > last if order == name else position < last)
    sorting = (column, key) if order == name else (column.desc(), key.desc())
    return statement.order_by(*sorting).limit(bindparam("page_size", type_=Integer))
