import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from fastship_tooling.database import connection, postgres
from fastship_tooling.doctor import Finding, run_check
from fastship_tooling.project import HAS_AUTH
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner

from app import migrations
from app.cli.console import CLIError
from app.cli.db import with_session
from app.cli.main import app
from tests.databases import execute, server, temporary_database

runner = CliRunner()

NEEDS_AUTH = pytest.mark.skipif(not HAS_AUTH, reason="without auth")


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Replace the environment of this process by a copy without settings."""
    environ = {k: v for k, v in os.environ.items() if k not in {"APP_ENVIRONMENT", "DATABASE_URL"}}
    monkeypatch.setattr(os, "environ", environ)
    return environ


@pytest.fixture
def development_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Use the server of the tests as that of development; return the name of the database."""
    name = f"test_{uuid4().hex}"

    @contextmanager
    def running() -> Iterator[str]:
        yield server().rpartition("/")[0]

    monkeypatch.setattr(postgres, "running", running)
    monkeypatch.setattr(connection, "NAME", name)
    yield name
    asyncio.run(execute(server(), f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("db history", "0001_initial.py"),
        ("db upgrade", "The database is at revision 0001."),
        pytest.param("users list", "Email", marks=NEEDS_AUTH),
    ],
)
def test_command_in_a_new_checkout(
    folder: Path, environ: dict[str, str], development_server: str, command: str, output: str
) -> None:
    if command == "users list":
        runner.invoke(app, ["db", "upgrade"])
    result = runner.invoke(app, command.split())

    assert result.exit_code == 0, result.output
    assert output in result.stdout
    assert environ["DATABASE_URL"].endswith(f"/{development_server}")
    assert not (folder / ".env").exists()


def test_configured_database_in_a_new_checkout(folder: Path, environ: dict[str, str]) -> None:
    environ["DATABASE_URL"] = "postgresql://db.example.com/shop"

    result = runner.invoke(app, ["db", "history"])

    assert result.exit_code == 1
    assert "The settings are invalid:" in result.stderr
    assert "APP_TRUSTED_HOSTS: is not set." in result.stderr


def test_development_database(environ: dict[str, str], development_server: str) -> None:
    for _ in range(2):  # the second time, the database exists
        with connection.development_database() as url:
            assert url.startswith("postgresql+asyncpg://")
            assert url.endswith(f"/{development_server}")
            assert environ["DATABASE_URL"] == url.replace("+asyncpg", "")
            assert migrations.current(url) == ()


class TestCheckDatabase:
    @pytest.fixture(autouse=True)
    def development(self, environ: dict[str, str]) -> None:
        environ["APP_ENVIRONMENT"] = "development"

    def test_current(self, environ: dict[str, str], database_url: str) -> None:
        environ["DATABASE_URL"] = database_url

        summary = connection.check_database()

        assert summary.startswith("PostgreSQL at 127.0.0.1:")
        assert summary.endswith("has all migrations")

    def test_behind(self, environ: dict[str, str]) -> None:
        with temporary_database("base") as url:
            environ["DATABASE_URL"] = url

            with pytest.raises(CLIError, match="Migrations are missing"):
                connection.check_database()

    def test_revision_of_another_branch(self, environ: dict[str, str]) -> None:
        with temporary_database() as url:
            environ["DATABASE_URL"] = url
            asyncio.run(execute(url, "UPDATE alembic_version SET version_num = 'of_a_branch'"))

            finding = run_check(lambda: Finding(connection.check_database()))

        assert finding.summary.startswith(
            "The database is at revision of_a_branch, which is not in"
        )
        assert "switch to the code that has it" in finding.fix


@pytest.mark.parametrize("environment", ["development", "test"])
def test_require_development(environ: dict[str, str], environment: str) -> None:
    environ["APP_ENVIRONMENT"] = environment

    connection.require_development("db reset")


class TestWithSession:
    @pytest.fixture
    def url(self) -> Iterator[str]:
        with temporary_database("base") as url:
            asyncio.run(execute(url, "CREATE TABLE things (id int)"))
            yield url

    def count(self, url: str) -> int:
        async def count(session: AsyncSession) -> int:
            return len((await session.execute(text("SELECT id FROM things"))).all())

        return asyncio.run(with_session(url, count))

    def test_commit(self, url: str) -> None:
        async def insert(session: AsyncSession) -> str:
            await session.execute(text("INSERT INTO things VALUES (1)"))
            return "inserted"

        assert asyncio.run(with_session(url, insert)) == "inserted"
        assert self.count(url) == 1

    def test_error(self, url: str) -> None:
        async def fail(session: AsyncSession) -> None:
            await session.execute(text("INSERT INTO things VALUES (1)"))
            raise CLIError("failed")

        with pytest.raises(CLIError, match="failed"):
            asyncio.run(with_session(url, fail))
        assert self.count(url) == 0
