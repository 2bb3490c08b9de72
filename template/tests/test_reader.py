import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from httpx2 import AsyncClient
from sqlalchemy import bindparam, delete, func, select, table, text
from sqlalchemy.exc import InvalidRequestError
from starlette.types import Message

from app.database import SessionDep, SessionFactory, open_session
from app.kit.problems import add_problem_handlers
from app.reader import ReaderDep
from tests.conftest import client_of

NUMBERS = select(func.generate_series(7, 9).table_valued("n").render_derived().c.n)
FROM = NUMBERS.where(NUMBERS.selected_columns.n >= bindparam("least"))


@pytest.fixture
def small(app: FastAPI, session_factory: SessionFactory) -> FastAPI:
    """Return an application without endpoints, whose requests have connections of their own."""
    small = FastAPI()
    small.state.session_factory = session_factory
    small.state.read_connection = app.state.read_connection
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
