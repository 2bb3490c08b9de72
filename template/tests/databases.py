"""Temporary databases, and fixtures for all tests: the database and its sessions."""

import asyncio
import atexit
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from fastapi import FastAPI
from fastship_tooling.database import postgres
from pydantic import SecretStr
from sqlalchemy import RowMapping, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker

from app import migrations
from app.config import DatabaseSettings, Settings
from app.database import SessionFactory, create_engine
from app.reader import Reader
from tests.conftest import load_settings


@cache
def server() -> str:
    """Return the URL of the server: TEST_DATABASE_URL, or the development server of the project.

    DATABASE_URL is never used, because tests must not touch its data.
    """
    if given := os.environ.get("TEST_DATABASE_URL"):
        url = make_url(given).set(drivername="postgresql", database="postgres")
        return url.render_as_string(hide_password=False)
    stack = ExitStack()
    atexit.register(stack.close)
    return f"{stack.enter_context(postgres.running())}/postgres"


@contextmanager
def temporary_database(revision: str = "head") -> Iterator[str]:
    """Create a database with the migrations, and drop it at the end.

    Args:
        revision: Last migration to apply; `base` for none.

    Yields:
        Database URL, with the async driver.
    """
    name = f"test_{uuid4().hex}"
    asyncio.run(execute(server(), f'CREATE DATABASE "{name}"'))
    try:
        url = make_url(server()).set(drivername="postgresql+asyncpg", database=name)
        text = url.render_as_string(hide_password=False)
        if revision != "base":
            migrations.upgrade(text, revision)
        yield text
    finally:
        asyncio.run(execute(server(), f'DROP DATABASE "{name}" WITH (FORCE)'))


async def execute(url: str, statement: str) -> None:
    """Execute a statement outside of a transaction.

    Args:
        url: Database URL, with any driver.
        statement: SQL.
    """
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """Create the database of this test run, one for each pytest-xdist worker."""
    with temporary_database() as url:
        yield url


@pytest.fixture(scope="session")
def other_database_url() -> Iterator[str]:
    """Create a second database, for tests of migrations."""
    with temporary_database("base") as url:
        yield url


@pytest.fixture
def empty_database_url(other_database_url: str) -> str:
    """Return the URL of a database without tables."""
    asyncio.run(execute(other_database_url, "DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
    return other_database_url


@pytest.fixture(scope="session")
def settings(database_url: str) -> Settings:
    database = DatabaseSettings(url=SecretStr(database_url))
    return load_settings().model_copy(update={"database": database})


@pytest.fixture(scope="session")
async def session_factory(app: FastAPI) -> SessionFactory:
    """Return a factory of sessions whose commits are not rolled back after the test."""
    factory: SessionFactory = app.state.session_factory
    return factory


@pytest.fixture(scope="session")
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(settings.database)
    yield engine
    await engine.dispose()


class SharedConnection:
    """The connection of a test, for its reader: queries of concurrent requests wait for each other.

    Args:
        connection: Connection of the sessions.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self.driver_connection = self

    async def fetch(self, text: str, *arguments: object) -> Sequence[RowMapping]:
        result = await self.connection.exec_driver_sql(text, arguments)
        return result.mappings().all()


@pytest.fixture
async def session(app: FastAPI, engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """Open the transaction of this test, which all requests share. It is rolled back."""
    original = app.state.session_factory, app.state.reader
    async with engine.connect() as connection:
        transaction = await connection.begin()
        factory = async_sessionmaker(
            connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
        )
        app.state.session_factory = factory
        shared: Any = SharedConnection(connection)
        app.state.reader = Reader(lambda: nullcontext(shared), engine.dialect, 1, 10)
        try:
            async with factory() as session:
                yield session
        finally:
            app.state.session_factory, app.state.reader = original
            await transaction.rollback()
