"""Reads without a transaction and without models, and pages of lists."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Annotated, Any

from asyncpg import InterfaceError, Record
from fastapi import Depends
from fastapi.requests import HTTPConnection
from sqlalchemy import ColumnElement, Dialect, Integer, Result, Select, bindparam, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import await_, greenlet_spawn

from app.kit.database_errors import database_errors
from app.kit.pagination import Cursor, PageParams
from app.kit.problems import ServiceUnavailable, raises
from app.kit.queries import compile_query
from app.kit.query_spans import query_span
from app.kit.telemetry import is_exported


class Reader:
    """Read access to rows as dictionaries, outside of a transaction.

    SQLAlchemy compiles a statement once, and asyncpg executes it. A query takes a third of the time
    that it takes in a session. Each statement sees the latest committed rows, as in a transaction of
    PostgreSQL's default isolation level. A connection is only used for the time of one query.

    Args:
        connect: Takes a connection from the pool.
        dialect: Dialect of the engine.
        connections: Number of connections in the pool.
        timeout: Maximum time to wait for one of them, in seconds.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractContextManager[PoolProxiedConnection]],
        dialect: Dialect,
        connections: int,
        timeout: float,
    ) -> None:
        self._connect = connect
        self._dialect = dialect
        # To wait here takes a tenth of the time that it takes in the pool.
        self._free = asyncio.Semaphore(connections)
        self._timeout = timeout
        self._span = query_span if is_exported() else nullcontext

    async def all(self, statement: Select[Any], **parameters: object) -> list[dict[str, Any]]:
        """Return the rows that a statement selects.

        Args:
            statement: Selection of columns. Build it once: to build and to compile it takes longer than
                the query. The latest 1,000 stay in memory.
            parameters: Values of its `bindparam`s.

        Raises:
            TypeError: The statement is not a SELECT, or has columns that `Query.rows` refuses.
            ServiceUnavailable: The database is unavailable.
        """
        query = compile_query(statement, self._dialect)
        text, arguments = query.bind(parameters)
        with database_errors():
            if self._free.locked():
                async with asyncio.timeout(self._timeout):
                    await self._free.acquire()
            else:
                await self._free.acquire()
            try:
                # The pool of SQLAlchemy needs a greenlet.
                records = await greenlet_spawn(self._fetch, text, arguments)
            finally:
                self._free.release()
        return query.rows(records)

    def _fetch(self, text: str, arguments: list[Any]) -> list[Record]:
        with self._connect() as connection:
            driver: Any = connection.driver_connection
            try:
                with self._span(text):
                    records: list[Record] = await_(driver.fetch(text, *arguments))
            except InterfaceError as error:
                if driver.is_closed():
                    raise ConnectionError from error
                raise
        return records

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
async def get_reader(request: HTTPConnection) -> Reader:
    """Return the reader of the application."""
    reader: Reader = request.app.state.reader
    return reader


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
        if field not in columns:
            raise TypeError(f"The filter {field} is not a column of the list: {columns.keys()}")
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
