from collections.abc import AsyncIterator

import asyncpg
import pytest
from fastapi import APIRouter, FastAPI
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr, ValidationError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app import database
from app.config import DatabaseSettings, Settings
from app.database import SessionDep, SessionFactory, after_commit
from app.kit import problems
from app.kit.settings import SettingsError

URL = "postgresql+asyncpg://ada:pw@db.example.com:5432/shop"


class TestUrl:
    @pytest.mark.parametrize(
        ("given", "url"),
        [
            ("postgres://ada:pw@db.example.com:5432/shop", URL),
            ("postgresql://ada:pw@db.example.com:5432/shop", URL),
            (URL, URL),
            (f"{URL}?sslmode=require&channel_binding=prefer", f"{URL}?ssl=require"),
            ("postgres://localhost", "postgresql+asyncpg://localhost/postgres"),
        ],
    )
    def test_of_hosts_is_taken(self, monkeypatch: pytest.MonkeyPatch, given: str, url: str) -> None:
        monkeypatch.setenv("DATABASE_URL", given)

        read = DatabaseSettings().url

        assert read is not None
        assert read.get_secret_value() == url

    @pytest.mark.parametrize("given", ["mysql://root@localhost/x", "nonsense", "postgresql:///x"])
    def test_something_else(self, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
        monkeypatch.setenv("DATABASE_URL", given)

        with pytest.raises(ValidationError, match="such as postgresql://"):
            DatabaseSettings()

    def test_production_needs_one(self) -> None:
        with pytest.raises(SettingsError, match="DATABASE_URL: is not set; set it to a URL"):
            Settings.load(None)

    def test_missing(self) -> None:
        with pytest.raises(ValueError, match="DATABASE_URL"):
            database.create_engine(DatabaseSettings())


@pytest.fixture
async def numbers(session_factory: SessionFactory) -> AsyncIterator[FastAPI]:
    """An application on the same database that writes rows for good, in a table of its own."""
    async with session_factory() as session, session.begin():
        await session.execute(text("CREATE TABLE numbers (n int UNIQUE)"))
    made = FastAPI()
    made.state.session_factory = session_factory
    made.state.called = []
    problems.install(made)
    router = APIRouter()

    @router.post("/numbers/{n}")
    async def add(n: int, session: SessionDep) -> None:
        async def note() -> None:
            made.state.called.append(n)

        after_commit(session, note)
        await session.execute(text("INSERT INTO numbers VALUES (:n)"), {"n": n})
        if n < 0:
            raise ArithmeticError

    made.include_router(router)
    yield made
    async with session_factory() as session, session.begin():
        await session.execute(text("DROP TABLE numbers"))


async def stored(session_factory: SessionFactory) -> list[int]:
    async with session_factory() as session:
        return list(await session.scalars(text("SELECT n FROM numbers")))


def client_of(app: FastAPI) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app), base_url="http://test")


class TestTransaction:
    async def test_is_committed_when_the_response_is_there(
        self, numbers: FastAPI, session_factory: SessionFactory
    ) -> None:
        seen: list[list[int]] = []

        async def app(scope, receive, send):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            async def look(message):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
                if message["type"] == "http.response.start":
                    seen.append(await stored(session_factory))
                await send(message)

            await numbers(scope, receive, look)

        async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
            await client.post("/numbers/7")

        # Over a second connection, before the first byte went out.
        assert seen == [[7]]
        assert numbers.state.called == [7]

    async def test_is_rolled_back_by_an_error(
        self, numbers: FastAPI, session_factory: SessionFactory
    ) -> None:
        async with client_of(numbers) as client:
            with pytest.raises(ArithmeticError):
                await client.post("/numbers/-1")

        assert await stored(session_factory) == []
        assert numbers.state.called == []


class TestUnavailable:
    async def test_server_that_is_gone(self, numbers: FastAPI, settings: Settings) -> None:
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

    async def test_connection_that_is_cut(
        self, numbers: FastAPI, session_factory: SessionFactory
    ) -> None:
        @numbers.post("/cut")
        async def cut(session: SessionDep) -> None:
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
            async with session_factory() as other:
                await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            await session.execute(text("SELECT 1"))

        async with client_of(numbers) as client:
            cut_off = await client.post("/cut")
            afterwards = await client.post("/numbers/1")

        assert cut_off.status_code == 503
        assert afterwards.status_code == 200

    @pytest.mark.parametrize("idle_seconds", [0.0, 60.0], ids=["idle", "in use just now"])
    async def test_connection_that_was_cut_in_the_pool(
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

    async def test_connection_that_no_longer_answers(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = database.create_engine(settings.database)
        asked = []

        def ping(connection: object) -> bool:
            asked.append(connection)
            raise TimeoutError

        monkeypatch.setattr(engine.dialect, "do_ping", ping)

        async def use() -> object:
            async with engine.connect() as connection:
                return await connection.scalar(text("SELECT pg_backend_pid()"))

        first = await use()
        assert (await use(), asked) == (first, [])
        monkeypatch.setattr(database, "IDLE_SECONDS", 0.0)
        assert await use() != first
        assert len(asked) == 1
        await engine.dispose()

    async def test_no_connection_is_free(self, numbers: FastAPI, settings: Settings) -> None:
        small = settings.database.model_copy(
            update={"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.05}
        )
        engine = database.create_engine(small)
        numbers.state.session_factory = database.create_session_factory(engine)

        async with engine.connect(), client_of(numbers) as client:
            response = await client.post("/numbers/1")
        await engine.dispose()

        assert response.status_code == 503

    @pytest.mark.parametrize(
        ("error", "unavailable"),
        [
            (asyncpg.CannotConnectNowError("the database system is starting up"), True),
            (asyncpg.TooManyConnectionsError("sorry, too many clients already"), True),
            (DBAPIError("", {}, asyncpg.CannotConnectNowError("shutting down")), True),
            (DBAPIError("", {}, asyncpg.DivisionByZeroError("division by zero")), False),
            (OSError("Multiple exceptions: [Errno 111] Connect call failed, ..."), True),
            (TimeoutError(), True),
            (FileNotFoundError("a file of the endpoint's own"), False),
            (ValueError(), False),
        ],
    )
    def test_by_its_error(self, error: Exception, unavailable: bool) -> None:
        assert database.is_unavailable(error) is unavailable

    async def test_faulty_statement_is_our_own_fault(self, numbers: FastAPI) -> None:
        @numbers.post("/faulty")
        async def faulty(session: SessionDep) -> None:
            await session.execute(text("SELECT nonsense"))

        async with client_of(numbers) as client:
            with pytest.raises(Exception, match="nonsense"):
                await client.post("/faulty")


async def test_statement_timeout_is_set(session: AsyncSession) -> None:
    assert await session.scalar(text("SHOW statement_timeout")) == "30s"


async def test_tests_work_in_a_database_of_their_own(session: AsyncSession) -> None:
    name = await session.scalar(text("SELECT current_database()"))

    assert str(name).startswith("test_")
