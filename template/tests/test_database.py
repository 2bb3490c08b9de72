import asyncio
import traceback
from collections.abc import AsyncIterator

import asyncpg
import pytest
from fastapi import APIRouter, FastAPI
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.exc import StaleDataError

from app import database
from app.config import Settings
from app.database import SessionDep, SessionFactory, after_commit
from app.kit import database_errors
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


def caused_by(error: Exception) -> Exception:
    outer = Exception()
    outer.__cause__ = error
    return outer


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

    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM first_things",
            "INSERT INTO bookings VALUES (int4range(1, 3)), (int4range(2, 4))",
        ],
    )
    async def test_other_constraints(self, numbers: FastAPI, statement: str) -> None:
        @numbers.post("/run")
        async def run(session: SessionDep) -> None:
            for created in (
                "first_things (id int PRIMARY KEY)",
                "second_things (first_id int REFERENCES first_things ON DELETE RESTRICT)",
                "bookings (during int4range, EXCLUDE USING gist (during WITH &&))",
            ):
                await session.execute(text(f"CREATE TEMPORARY TABLE {created}"))
            await session.execute(text("INSERT INTO first_things VALUES (1)"))
            await session.execute(text("INSERT INTO second_things VALUES (1)"))
            await session.execute(text(statement))

        async with client_of(numbers) as client:
            response = await client.post("/run")

        assert response.status_code == 409

    async def test_reserved_word(self, numbers: FastAPI) -> None:
        @numbers.post("/run")
        async def run(session: SessionDep) -> None:
            await session.execute(text('CREATE TEMPORARY TABLE words ("order" int UNIQUE)'))
            await session.execute(text("INSERT INTO words VALUES (1), (1)"))

        async with client_of(numbers) as client:
            response = await client.post("/run")

        assert response.json()["errors"][0]["pointer"] == "/order"

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

    @pytest.mark.parametrize(
        ("error", "unavailable"),
        [
            (asyncpg.CannotConnectNowError("the database system is starting up"), True),
            (asyncpg.TooManyConnectionsError("sorry, too many clients already"), True),
            (DBAPIError("", {}, asyncpg.CannotConnectNowError("shutting down")), True),
            (DBAPIError("", {}, asyncpg.DivisionByZeroError("division by zero")), False),
            (DBAPIError("", {}, caused_by(asyncpg.InvalidCachedStatementError())), True),
            (OSError("Multiple exceptions: [Errno 111] Connect call failed, ..."), True),
            (TimeoutError(), True),
            (asyncpg.InterfaceError("the server expects 1 argument"), False),
            (asyncpg.InternalClientError("another operation (2) is in progress"), True),
            (asyncpg.DataError("invalid input for query argument $1"), False),
            (FileNotFoundError("unrelated file"), False),
            (ValueError(), False),
        ],
    )
    def test_is_unavailable(self, error: Exception, unavailable: bool) -> None:
        assert database_errors.is_unavailable(error) is unavailable

    async def test_invalid_statement(self, numbers: FastAPI) -> None:
        @numbers.post("/faulty")
        async def faulty(session: SessionDep) -> None:
            await session.execute(text("SELECT nonsense"))

        async with client_of(numbers) as client:
            with pytest.raises(Exception, match="nonsense"):
                await client.post("/faulty")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_sleep(5)",  # cancelled by statement_timeout
        "DO $$ BEGIN RAISE SQLSTATE '40001'; END $$",
        "DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$",
        "DO $$ BEGIN RAISE SQLSTATE '55P03'; END $$",
        "DO $$ BEGIN RAISE SQLSTATE '25006'; END $$",
    ],
)
async def test_temporary_errors(numbers: FastAPI, statement: str) -> None:
    @numbers.post("/run")
    async def run(session: SessionDep) -> None:
        await session.execute(text("SET LOCAL statement_timeout = 10"))
        await session.execute(text(statement))

    async with client_of(numbers) as client:
        response = await client.post("/run")

    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SELECT 1 / 0 WHERE :secret <> ''", "division by zero"),
        ("SELECT CAST(:secret AS integer)", "invalid input for query argument $1"),
        ("INSERT INTO names VALUES (:secret)", "check constraint"),
        ("SELECT (:secret || '')::integer", "invalid input syntax for type integer"),
        ("SELECT (:secret || '')::date", "invalid input syntax for type date"),
        ("SELECT ('{' || :secret)::integer[]", "malformed array literal"),
    ],
)
async def test_values_are_not_logged(numbers: FastAPI, statement: str, message: str) -> None:
    @numbers.post("/run")
    async def run(session: SessionDep) -> None:
        await session.execute(text("CREATE TEMPORARY TABLE names (name text CHECK (name = ''))"))
        await session.execute(text(statement), {"secret": "*secret*" * 2})

    async with client_of(numbers) as client:
        with pytest.raises(DBAPIError) as caught:
            await client.post("/run")

    logged = "".join(traceback.format_exception(caught.value))
    assert message in logged
    assert "*secret**secret*" not in logged


async def test_values_in_causes_and_groups_are_not_logged(numbers: FastAPI) -> None:
    async def fail(session: AsyncSession) -> None:
        await session.execute(text("SELECT ('*secret*' || '*secret*')::integer"))

    @numbers.post("/cause")
    async def cause(session: SessionDep) -> None:
        try:
            await fail(session)
        except DBAPIError as error:
            raise RuntimeError("failed") from error

    @numbers.post("/group")
    async def group(session: SessionDep) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail(session))

    for path in ("/cause", "/group"):
        async with client_of(numbers) as client:
            with pytest.raises((RuntimeError, ExceptionGroup)) as caught:
                await client.post(path)

        logged = "".join(traceback.format_exception(caught.value))
        assert "invalid input syntax" in logged
        assert "*secret**secret*" not in logged


async def test_statement_timeout(session: AsyncSession) -> None:
    assert await session.scalar(text("SHOW statement_timeout")) == "15s"


async def test_tests_have_their_own_database(session: AsyncSession) -> None:
    name = await session.scalar(text("SELECT current_database()"))

    assert str(name).startswith("test_")
