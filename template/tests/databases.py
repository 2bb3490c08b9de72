"""Databases that live as long as a test run."""

import asyncio
import atexit
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from uuid import uuid4

import asyncpg
from sqlalchemy import make_url

from app import migrations
from app.cli import postgres


@cache
def server() -> str:
    """Give a server's address: TEST_DATABASE_URL's, or that of the project's own PostgreSQL.

    Never DATABASE_URL's, which may be worth something. The project's own runs until the tests end.
    """
    if given := os.environ.get("TEST_DATABASE_URL"):
        url = make_url(given).set(drivername="postgresql", database="postgres")
        return url.render_as_string(hide_password=False)
    until_the_end = ExitStack()
    atexit.register(until_the_end.close)
    return f"{until_the_end.enter_context(postgres.running())}/postgres"


@contextmanager
def temporary_database(revision: str = "head") -> Iterator[str]:
    """Make a new database with the real migrations, and drop it in the end.

    Args:
        revision: How far to migrate.

    Yields:
        Its URL, with the async driver.
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


async def execute(address: str, statement: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
