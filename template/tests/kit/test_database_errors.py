import asyncio
import traceback

import asyncpg
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import SessionDep, SessionFactory
from app.kit import database_errors
from app.kit.problems import add_problem_handlers
from tests.conftest import client_of


@pytest.fixture
def plain(session_factory: SessionFactory) -> FastAPI:
    """Return an application without routes."""
    plain = FastAPI()
    plain.state.session_factory = session_factory
    add_problem_handlers(plain)
    return plain


def caused_by(error: Exception) -> Exception:
    outer = Exception()
    outer.__cause__ = error
    return outer


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
def test_is_unavailable(error: Exception, unavailable: bool) -> None:
    assert database_errors.is_unavailable(error) is unavailable


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM first_things",
        "INSERT INTO bookings VALUES (int4range(1, 3)), (int4range(2, 4))",
    ],
)
async def test_other_constraints(plain: FastAPI, statement: str) -> None:
    @plain.post("/run")
    async def run(session: SessionDep) -> None:
        for created in (
            "first_things (code int PRIMARY KEY)",
            "second_things (code int REFERENCES first_things ON DELETE RESTRICT)",
            "bookings (during int4range, EXCLUDE USING gist (during WITH &&))",
        ):
            await session.execute(text(f"CREATE TEMPORARY TABLE {created}"))
        await session.execute(text("INSERT INTO first_things VALUES (1)"))
        await session.execute(text("INSERT INTO second_things VALUES (1)"))
        await session.execute(text(statement))

    async with client_of(plain) as client:
        response = await client.post("/run")

    assert response.status_code == 409


async def test_reserved_word(plain: FastAPI) -> None:
    @plain.post("/run")
    async def run(session: SessionDep) -> None:
        await session.execute(text('CREATE TEMPORARY TABLE words ("order" int UNIQUE)'))
        await session.execute(text("INSERT INTO words VALUES (1), (1)"))

    async with client_of(plain) as client:
        response = await client.post("/run")

    assert response.json()["errors"][0]["pointer"] == "/order"


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
async def test_temporary_errors(plain: FastAPI, statement: str) -> None:
    @plain.post("/run")
    async def run(session: SessionDep) -> None:
        await session.execute(text("SET LOCAL statement_timeout = 10"))
        await session.execute(text(statement))

    async with client_of(plain) as client:
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
        ("SELECT to_tsquery('simple', :secret || ' & | ')", "syntax error in tsquery"),
        ("SELECT (:secret || '')::timestamptz AT TIME ZONE 'UTC'", "invalid input syntax"),
        ("SELECT now() AT TIME ZONE :secret", "time zone"),
    ],
)
async def test_values_are_not_logged(plain: FastAPI, statement: str, message: str) -> None:
    @plain.post("/run")
    async def run(session: SessionDep) -> None:
        await session.execute(text("CREATE TEMPORARY TABLE names (name text CHECK (name = ''))"))
        await session.execute(text(statement), {"secret": "*secret*" * 2})

    async with client_of(plain) as client:
        with pytest.raises(DBAPIError) as caught:
            await client.post("/run")

    logged = "".join(traceback.format_exception(caught.value))
    assert message in logged
    assert "*secret**secret*" not in logged
    # Sentry reads these attributes.
    for error in (caught.value, caught.value.orig, caught.value.orig.__cause__):  # type: ignore[union-attr]
        read = [str(getattr(error, name, "")) for name in ("message", "detail", "args")]
        assert "*secret**secret*" not in "".join(read)


async def test_values_in_causes_and_groups_are_not_logged(plain: FastAPI) -> None:
    async def fail(session: AsyncSession) -> None:
        await session.execute(text("SELECT ('*secret*' || '*secret*')::integer"))

    @plain.post("/cause")
    async def cause(session: SessionDep) -> None:
        try:
            await fail(session)
        except DBAPIError as error:
            raise RuntimeError("failed") from error

    @plain.post("/group")
    async def group(session: SessionDep) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail(session))

    for path in ("/cause", "/group"):
        async with client_of(plain) as client:
            with pytest.raises((RuntimeError, ExceptionGroup)) as caught:
                await client.post(path)

        logged = "".join(traceback.format_exception(caught.value))
        assert "invalid input syntax" in logged
        assert "*secret**secret*" not in logged
