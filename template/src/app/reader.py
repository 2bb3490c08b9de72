"""Reads without a transaction and without models, and pages of lists."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import lru_cache
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import ColumnElement, CursorResult, Integer, Result, Select, bindparam, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.kit.database_errors import database_errors
from app.kit.pagination import Cursor, PageParams
from app.kit.problems import ServiceUnavailable, raises


class Reader:
    """Reads rows as dictionaries, outside of a transaction.

    Without ORM objects, BEGIN and COMMIT, a query takes half the time. Each statement sees the latest
    committed rows, as in a transaction of PostgreSQL's default isolation level.

    Args:
        connect: Opens a connection in AUTOCOMMIT mode.
    """

    def __init__(self, connect: Callable[[], AbstractAsyncContextManager[AsyncConnection]]) -> None:
        self._connect = connect
        self._stack = AsyncExitStack()
        self._connection: AsyncConnection | None = None
        self._closed = False

    async def execute(
        self, statement: Select[Any], parameters: Mapping[str, Any] | None = None
    ) -> CursorResult[Any]:
        """Execute a statement that selects columns.

        Args:
            statement: The statement. Build it once: that takes longer than the query.
            parameters: Values of its `bindparam`s.

        Raises:
            TypeError: The statement changes rows.
            RuntimeError: The request is over.
        """
        if not statement.is_select:
            raise TypeError("A Reader cannot change rows. Use the session (SessionDep) instead.")
        if self._closed:
            raise RuntimeError("The request is over. To stream rows, use open_session().")
        if self._connection is None:
            self._connection = await self._stack.enter_async_context(self._connect())
        result: CursorResult[Any] = await self._connection.execute(statement, parameters)
        return result

    async def all(self, statement: Select[Any], **parameters: object) -> list[dict[str, Any]]:
        """Return the rows that a statement selects.

        Args:
            statement: The statement.
            parameters: Values of its `bindparam`s.
        """
        return rows_of(await self.execute(statement, parameters))

    async def first(self, statement: Select[Any], **parameters: object) -> dict[str, Any] | None:
        """Return the first row that a statement selects, if any.

        Args:
            statement: The statement.
            parameters: Values of its `bindparam`s.
        """
        rows = await self.all(statement, **parameters)
        return rows[0] if rows else None

    async def release(self) -> None:
        """Return the connection to the pool. The next query takes another one."""
        self._connection = None
        await self._stack.aclose()

    async def close(self) -> None:
        """Return the connection to the pool. No query is possible afterwards."""
        self._closed = True
        await self.release()


def rows_of(result: Result[Any]) -> list[dict[str, Any]]:
    """Return the rows of a result as dictionaries."""
    names = list(result.keys())
    return [dict(zip(names, row, strict=True)) for row in result]


@raises(ServiceUnavailable)
async def get_reader(request: Request) -> AsyncIterator[Reader]:
    """Return the reader of the request. All of its queries share a connection.

    Raises:
        ServiceUnavailable: The database is unavailable.
    """
    reader = Reader(request.app.state.read_connection)
    with database_errors():
        try:
            yield reader
        finally:
            await reader.close()


ReaderDep = Annotated[Reader, Depends(get_reader, scope="function")]


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
        parameters[f"filter_{number}"] = value
    after, order = page.after, page.order
    if after:
        parameters |= {"after": after.value, "after_id": after.id}
    operators = tuple((field, operator) for field, operator, _ in filters)
    query = _page_query(statement, operators, order, after is not None)
    # If there is one additional row, there is another page.
    result = await source.execute(query, parameters | {"size": page.limit + 1})
    rows = rows_of(result)
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
        value = bindparam(f"filter_{number}", type_=columns[field].type)
        statement = statement.where(operator(columns[field], value))
    name = order.removeprefix("-")
    column, key = columns[name], columns["id"]
    if following:
        last = tuple_(bindparam("after", type_=column.type), bindparam("after_id", type_=key.type))
        position = tuple_(column, key)
        statement = statement.where(position > last if order == name else position < last)
    sorting = (column, key) if order == name else (column.desc(), key.desc())
    return statement.order_by(*sorting).limit(bindparam("size", type_=Integer))
