from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.exc import StaleDataError

from app import database
from app.config import Settings
from app.database import SessionDep, SessionFactory, after_commit, get_session
from app.kit.problems import add_problem_handlers
from tests.conftest import client_of


@pytest.fixture
async def numbers(app: FastAPI, session_factory: SessionFactory) -> AsyncIterator[FastAPI]:
    """Return an application with a table of its own, whose rows are not rolled back."""
    async with session_factory() as session, session.begin():
        await session.execute(text("CREATE TABLE numbers (n int UNIQUE)"))
    numbers = FastAPI()
    numbers.state.session_factory = session_factory
    numbers.state.reader = app.state.reader
    numbers.state.called = []
    add_problem_handlers(numbers)
    router = APIRouter()

    @router.post("/numbers/{n}")
    async def add(n: int, session: SessionDep) -> None:
        async def record() -> None:
            numbers.state.called.append(n)

        after_commit(session, record)
        await session.execute(text("INSERT INTO numbers VALUES (:n)"), {"n": n})
        if n < 0:
            raise ArithmeticError

    numbers.include_router(router)
    yield numbers
    async with session_factory() as session, session.begin():
        await session.execute(text("DROP TABLE numbers"))


async def stored(session_factory: SessionFactory) -> list[int]:
    async with session_factory() as session:
        return list(await session.scalars(text("SELECT n FROM numbers")))


class TestTransaction:
    async def test_commit_before_the_response(
        self, numbers: FastAPI, session_factory: SessionFactory
    ) -> None:
        seen: list[list[int]] = []

        async def app(scope, receive, send):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            async def check(message):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
                if message["type"] == "http.response.start":
                    seen.append(await stored(session_factory))
                await send(message)

            await numbers(scope, receive, check)

        async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
            await client.post("/numbers/7")

        # On another connection, before the first byte was sent.
        assert seen == [[7]]
        assert numbers.state.called == [7]

    async def test_rollback_after_an_error(
        self, numbers: FastAPI, session_factory: SessionFactory
    ) -> None:
        async with client_of(numbers) as client:
            with pytest.raises(ArithmeticError):
                await client.post("/numbers/-1")

        assert await stored(session_factory) == []
        assert numbers.state.called == []


class TestConflict:
    async def test_existing_value(self, numbers: FastAPI) -> None:
        async with client_of(numbers) as client:
            first, second = [await client.post("/numbers/7") for _ in range(2)]

        assert (first.status_code, second.status_code) == (200, 409)
        assert second.json()["type"] == "urn:problem-type:conflict"
        [error] = second.json()["errors"]
        assert (error["pointer"], error["code"]) == ("/n", "unique")

    async def test_deleted_meanwhile(self, numbers: FastAPI) -> None:
        @numbers.post("/outdated")
        async def outdated(_session: SessionDep) -> None:
            raise StaleDataError("UPDATE statement expected to update 1 row(s); 0 were matched.")

        async with client_of(numbers) as client:
            response = await client.post("/outdated")

        assert response.status_code == 409


class TestUnavailable:
    async def test_no_server(self, numbers: FastAPI, settings: Settings) -> None:
        gone = settings.database.model_copy(
            update={"url": SecretStr("postgresql+asyncpg://postgres@127.0.0.1:1/x")}
        )
        engine = database.create_engine(gone)
        numbers.state.session_factory = database.create_session_factory(engine)

        async with client_of(numbers) as client:
            response = await client.post("/numbers/1")

        assert response.status_code == 503
        assert response.headers["retry-after"] == "5"
        assert response.json()["type"] == "urn:problem-type:service-unavailable"

    async def test_connection_lost_during_a_request(
        self, numbers: FastAPI, session_factory: SessionFactory
    ) -> None:
        @numbers.post("/lose")
        async def lose(session: SessionDep) -> None:
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
            async with session_factory() as other:
                await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            await session.execute(text("SELECT 1"))

        async with client_of(numbers) as client:
            lost = await client.post("/lose")
            afterwards = await client.post("/numbers/1")

        assert lost.status_code == 503
        assert afterwards.status_code == 200

    @pytest.mark.parametrize("idle_seconds", [0.0, 60.0], ids=["idle", "recently used"])
    async def test_connection_lost_in_the_pool(
        self,
        idle_seconds: float,
        session_factory: SessionFactory,
        settings: Settings,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(database, "IDLE_SECONDS", idle_seconds)
        engine = database.create_engine(settings.database)
        async with engine.connect() as connection:
            pid = await connection.scalar(text("SELECT pg_backend_pid()"))
        async with session_factory() as other:
            await other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})

        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT pg_backend_pid()")) != pid
        await engine.dispose()

    async def test_connection_that_does_not_answer(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = database.create_engine(settings.database)
        pinged = []

        def ping(connection: object) -> bool:
            pinged.append(connection)
            raise TimeoutError

        monkeypatch.setattr(engine.dialect, "do_ping", ping)

        async def use() -> object:
            async with engine.connect() as connection:
                return await connection.scalar(text("SELECT pg_backend_pid()"))

        first = await use()
        assert (await use(), pinged) == (first, [])
        monkeypatch.setattr(database, "IDLE_SECONDS", 0.0)
        assert await use() != first
        assert len(pinged) == 1
        await engine.dispose()

    async def test_pool_exhausted(self, numbers: FastAPI, settings: Settings) -> None:
        small = settings.database.model_copy(
            update={"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.05}
        )
        engine = database.create_engine(small)
        numbers.state.session_factory = database.create_session_factory(engine)

        async with engine.connect(), client_of(numbers) as client:
            response = await client.post("/numbers/1")
        await engine.dispose()

        assert response.status_code == 503

    async def test_invalid_statement(self, numbers: FastAPI) -> None:
        @numbers.post("/faulty")
        async def faulty(session: SessionDep) -> None:
            await session.execute(text("SELECT nonsense"))

        async with client_of(numbers) as client:
            with pytest.raises(Exception, match="nonsense"):
                await client.post("/faulty")

    async def test_not_of_a_websocket(self) -> None:
        websocket = WebSocket({"type": "websocket"}, None, None)  # type: ignore[arg-type]

        with pytest.raises(TypeError, match=r"open_session\(\)"):
            await anext(get_session(websocket))


async def test_statement_timeout(session: AsyncSession) -> None:
    assert await session.scalar(text("SHOW statement_timeout")) == "15s"


async def test_tests_have_their_own_database(session: AsyncSession) -> None:
    name = await session.scalar(text("SELECT current_database()"))

    assert str(name).startswith("test_")
