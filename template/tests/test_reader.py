import asyncio
import enum
import traceback
from collections.abc import AsyncIterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from httpx2 import AsyncClient
from sqlalchemy import (
    ARRAY,
    Double,
    Enum,
    Integer,
    Numeric,
    bindparam,
    column,
    delete,
    func,
    literal,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import InvalidRequestError
from starlette.types import Message

from app.database import SessionDep, SessionFactory, open_session
from app.kit.pagination import PageParams
from app.kit.problems import ServiceUnavailable, add_problem_handlers
from app.reader import Reader, ReaderDep, fetch_page
from tests.conftest import client_of

NUMBERS = select(func.generate_series(7, 9).table_valued("n").render_derived().c.n)
FROM = NUMBERS.where(NUMBERS.selected_columns.n >= bindparam("least"))


class Color(enum.StrEnum):
    RED = "red"


@pytest.fixture
def small(app: FastAPI, session_factory: SessionFactory) -> FastAPI:
    """Return an application without endpoints, whose requests have connections of their own."""
    small = FastAPI()
    small.state.session_factory = session_factory
    small.state.reader = app.state.reader
    add_problem_handlers(small)
    return small


class TestReader:
    async def test_rows(self, small: FastAPI) -> None:
        @small.get("/numbers", operation_id="list")
        async def get_all(reader: ReaderDep) -> list[object]:
            rows, first = await reader.all(NUMBERS), await reader.first(FROM, least=8)
            return [rows, first, await reader.first(FROM, least=10)]

        async with client_of(small) as client:
            response = await client.get("/numbers")

        assert response.json() == [[{"n": 7}, {"n": 8}, {"n": 9}], {"n": 8}, None]

    async def test_types(self, small: FastAPI) -> None:
        given = {
            "color": Color.RED,
            "data": {"a": [1]},
            "price": Decimal("1.50"),
            "weight": 0.5,
            "prices": [Decimal("0.1")],
        }
        types: list[Any] = [
            Enum(Color, native_enum=False),
            JSONB,
            Numeric(10, 2),
            Double,
            ARRAY(Numeric),
        ]
        columns = (
            bindparam(name, type_=type_).label(name)
            for name, type_ in zip(given, types, strict=True)
        )

        assert await small.state.reader.all(select(*columns), **given) == [given]

    async def test_columns_that_repeat(self, small: FastAPI) -> None:
        color = literal("red", Enum(Color, native_enum=False)).label("n")

        with pytest.raises(TypeError, match="names that repeat"):
            await small.state.reader.all(select(color, literal(1).label("n")))

    async def test_value_in_the_text(self, small: FastAPI) -> None:
        first = select(FROM.selected_columns.n).where(
            FROM.selected_columns.n == bindparam("n", type_=Integer, literal_execute=True)
        )

        assert await small.state.reader.first(first, n=8) == {"n": 8}

    async def test_list_of_values(self, small: FastAPI) -> None:
        numbers = NUMBERS.where(NUMBERS.selected_columns.n.in_(bindparam("some")))

        for some in ([7, 9], []):
            rows = await small.state.reader.all(numbers, some=some)
            assert [row["n"] for row in rows] == some

    async def test_values_are_not_logged(self, small: FastAPI) -> None:
        with pytest.raises(asyncpg.DataError) as caught:
            await small.state.reader.all(FROM, least="*secret*" * 2)

        logged = "".join(traceback.format_exception(caught.value))
        assert "invalid input for query argument" in logged
        assert "*secret**secret*" not in logged

    async def test_connection_is_closed_during_the_query(self, small: FastAPI) -> None:
        terminate = select(func.pg_terminate_backend(func.pg_backend_pid()))

        with pytest.raises(ServiceUnavailable):
            await small.state.reader.all(terminate)

        assert await small.state.reader.first(NUMBERS) == {"n": 7}

    async def test_mistake(self, small: FastAPI) -> None:
        numbers = NUMBERS.where(NUMBERS.selected_columns.n.in_(bindparam("some")))

        with pytest.raises(asyncpg.InterfaceError, match="32767"):
            await small.state.reader.all(numbers, some=list(range(40_000)))

    async def test_filter_that_is_no_column(self, small: FastAPI) -> None:
        class Params(PageParams):
            """Filters of a list."""

            m: int = 1

        with pytest.raises(TypeError, match=r"The filter m is not a column of the list: .'n'"):
            await fetch_page(small.state.reader, NUMBERS, Params())

    async def test_no_free_connection(self, small: FastAPI) -> None:
        engine = small.state.session_factory.kw["bind"].sync_engine
        reader = Reader(lambda: closing(engine.raw_connection()), engine.dialect, 1, 0.1)
        sleep = select(func.pg_sleep(10))

        first = asyncio.create_task(reader.all(sleep))
        await asyncio.sleep(0)

        with pytest.raises(ServiceUnavailable):
            await reader.all(sleep)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first

    async def test_table_is_changed(self, small: FastAPI, session_factory: SessionFactory) -> None:
        numbers = select(table("reads", column("n")))
        for type_ in ("integer", "text"):
            async with session_factory() as session, session.begin():
                await session.execute(text("DROP TABLE IF EXISTS reads"))
                await session.execute(text(f"CREATE TABLE reads AS SELECT 1::{type_} AS n"))
            [row] = await small.state.reader.all(numbers)
            assert str(row["n"]) == "1"
        async with session_factory() as session, session.begin():
            await session.execute(text("DROP TABLE reads"))

    async def test_no_connection_between_queries(
        self, small: FastAPI, session_factory: SessionFactory
    ) -> None:
        pool = session_factory.kw["bind"].pool
        before = pool.checkedout()

        @small.get("/number", operation_id="number")
        async def get_one(reader: ReaderDep) -> int:
            await reader.all(NUMBERS)
            return int(pool.checkedout())

        async with client_of(small) as client:
            assert (await client.get("/number")).json() == before

    async def test_no_changes(self, small: FastAPI) -> None:
        @small.get("/delete", operation_id="delete")
        async def delete_all(reader: ReaderDep) -> None:
            await reader.all(delete(table("numbers")))  # type: ignore[arg-type]

        async with client_of(small) as client:
            with pytest.raises(TypeError, match="SessionDep"):
                await client.get("/delete")


class TestStream:
    @pytest.fixture
    async def rows(self, small: FastAPI) -> AsyncIterator[AsyncClient]:
        @small.get("/right", operation_id="right")
        async def right(request: Request) -> StreamingResponse:
            async def lines() -> AsyncIterator[str]:
                async with open_session(request.app) as session:
                    async for (n,) in await session.stream(text("SELECT generate_series(1, 3)")):
                        yield f"{n}\n"

            return StreamingResponse(lines())

        @small.get("/wrong", operation_id="wrong")
        async def wrong(session: SessionDep) -> StreamingResponse:
            async def lines() -> AsyncIterator[str]:
                yield str(await session.scalar(text("SELECT 1")))

            return StreamingResponse(lines())

        async with client_of(small) as client:
            yield client

    async def test_rows(self, rows: AsyncClient) -> None:
        assert (await rows.get("/right")).text == "1\n2\n3\n"

    async def test_client_disconnects(
        self, small: FastAPI, session_factory: SessionFactory
    ) -> None:
        pool = session_factory.kw["bind"].pool
        before = pool.checkedout()
        started, used = asyncio.Event(), []

        @small.get("/endless", operation_id="endless")
        async def endless(request: Request) -> StreamingResponse:
            async def lines() -> AsyncIterator[str]:
                async with open_session(request.app) as session:
                    while True:
                        yield str(await session.scalar(text("SELECT 1")))
                        used.append(pool.checkedout())

            return StreamingResponse(lines())

        async def receive() -> Message:
            await started.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message.get("body"):
                started.set()

        scope = {"type": "http", "method": "GET", "path": "/endless", "headers": []}
        async with asyncio.timeout(10):
            await small(scope | {"query_string": b""}, receive, send)

        assert max(used) == before + 1
        assert pool.checkedout() == before

    async def test_session_of_the_request(self, rows: AsyncClient) -> None:
        with pytest.raises(InvalidRequestError, match="permanently closed"):
            await rows.get("/wrong")
