import asyncio
import os
import subprocess
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from alembic import command
from sqlalchemy import Connection, text
from typer.testing import CliRunner

from app import migrations
from app.cli import database, db
from app.cli.console import PlainError
from app.cli.main import app
from app.config import Settings
from tests.databases import execute, temporary_database

runner = CliRunner()

GONE = "postgresql://ada:secret-password@127.0.0.1:1/shop"


@pytest.fixture(autouse=True)
def development(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENVIRONMENT", "development")


@pytest.mark.parametrize("arguments", [["db", "upgrade"], ["db", "revision", "more"], ["serve"]])
def test_database_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", GONE)

    result = runner.invoke(app, arguments)

    assert result.exit_code == 1
    assert result.stderr.startswith("Cannot connect to DATABASE_URL (127.0.0.1:1/shop): ")
    assert len(result.stderr.splitlines()) == 1
    assert "secret-password" not in result.output


def test_serve_needs_a_database(settings: Settings) -> None:
    without = settings.model_copy(
        update={"database": settings.database.model_copy(update={"url": None})}
    )

    with pytest.raises(PlainError, match="DATABASE_URL is not set"):
        database.require_database(without)


def test_serve_refuses_a_database_that_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    with temporary_database("base") as url:
        monkeypatch.setenv("DATABASE_URL", url)

        result = runner.invoke(app, ["serve"])

    assert result.exit_code == 1
    assert "The database is behind the code" in result.stderr
    assert "db upgrade" in result.stderr


def test_database_that_is_ahead_is_none_that_is_behind() -> None:
    # While a new version is deployed, or when it is taken back, old code meets a newer schema.
    with temporary_database() as url:
        server = url.replace("+asyncpg", "")
        asyncio.run(execute(server, "UPDATE alembic_version SET version_num = 'from_the_future'"))

        assert not migrations.pending(url)


@pytest.fixture(scope="module")
def shared() -> Iterator[str]:
    with temporary_database() as url:
        yield url


@pytest.fixture
def at_head(shared: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with all tables, and nothing in them."""
    monkeypatch.setenv("DATABASE_URL", shared)
    return shared


@pytest.mark.parametrize("empty", [False, True])
def test_revision_is_compared_with_the_database(
    monkeypatch: pytest.MonkeyPatch, at_head: str, empty: bool
) -> None:
    asked: dict[str, object] = {}
    monkeypatch.setattr(
        command, "revision", lambda _config, message, **options: asked.update(options, m=message)
    )

    result = runner.invoke(app, ["db", "revision", "add price", *(["--empty"] if empty else [])])

    assert result.exit_code == 0, result.output
    assert asked == {"m": "add price", "autogenerate": not empty}


def test_downgrade_asks_first(at_head: str) -> None:
    refused = runner.invoke(app, ["db", "downgrade"], input="n\n")
    still_there = migrations.current(at_head)
    done = runner.invoke(app, ["db", "downgrade", "base", "--yes"])

    assert (refused.exit_code, done.exit_code) == (1, 0)
    assert still_there
    assert migrations.current(at_head) == ()
    assert runner.invoke(app, ["db", "upgrade"]).exit_code == 0
    assert migrations.current(at_head) == still_there


def test_revision_that_is_not_there(at_head: str) -> None:
    result = runner.invoke(app, ["db", "upgrade", "nonsense"])

    assert result.exit_code == 1
    assert "nonsense" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_history_marks_where_the_database_is(at_head: str) -> None:
    result = runner.invoke(app, ["db", "history"])

    marked = [line.split() for line in result.stdout.splitlines() if "->" in line]
    [head] = migrations.current(at_head)
    assert [line[:2] for line in marked] == [["->", head]]


class TestSeedAndReset:
    @staticmethod
    def count(url: str) -> int:
        def read(connection: Connection) -> int:
            return len(connection.execute(text("SELECT id FROM items")).all())

        return migrations.on_connection(url, read)

    def test_seeds_once(self, at_head: str) -> None:
        for _ in range(2):
            result = runner.invoke(app, ["db", "seed"])

            assert result.exit_code == 0, result.output
        assert self.count(at_head) == 3

    def test_reset_asks_and_empties(self, at_head: str) -> None:
        runner.invoke(app, ["db", "seed"])

        refused = runner.invoke(app, ["db", "reset"], input="n\n")
        kept = self.count(at_head)
        done = runner.invoke(app, ["db", "reset", "--yes"])

        assert (refused.exit_code, kept) == (1, 3)
        assert (done.exit_code, self.count(at_head)) == (0, 0)

    @pytest.mark.parametrize("command_", [["db", "reset", "--yes"], ["db", "seed"]])
    def test_not_in_production(
        self, at_head: str, monkeypatch: pytest.MonkeyPatch, settings: Settings, command_: list[str]
    ) -> None:
        production = settings.app.model_copy(update={"environment": "production"})
        monkeypatch.setattr(db, "load_settings", lambda: SimpleNamespace(app=production))

        result = runner.invoke(app, command_)

        assert result.exit_code == 1
        assert "is for development" in result.stderr
        assert self.count(at_head) == 0


def test_shell_keeps_the_password_off_the_command_line(
    at_head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def run(
        arguments: list[str], *, env: dict[str, str], check: bool
    ) -> subprocess.CompletedProcess[str]:
        ran.append((str(arguments[0]), arguments[1], env.get("PGPASSWORD")))
        return subprocess.CompletedProcess(arguments, 3)

    with_password = at_head.replace("postgres@", "postgres:secret@")
    monkeypatch.setenv("DATABASE_URL", f"{with_password}?sslmode=disable")
    monkeypatch.setenv("PG_BIN", "/opt/pg")
    monkeypatch.setattr(subprocess, "run", run)

    result = runner.invoke(app, ["db", "shell"])

    assert result.exit_code == 3
    [(program, address, password)] = ran
    assert program.endswith("psql")
    assert address == f"{at_head.replace('+asyncpg', '')}?sslmode=disable"
    assert password == "secret"


def test_development_database_is_ready_for_use(
    monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    server = database_url.replace("+asyncpg", "").rpartition("/")[0]
    monkeypatch.setattr(database, "DEVELOPMENT", f"test_{os.getpid()}_dev")

    class Running:
        def __enter__(self) -> str:
            return server

        def __exit__(self, *_: object) -> None: ...

    from app.cli import postgres  # noqa: PLC0415

    monkeypatch.setattr(postgres, "running", Running)
    monkeypatch.delenv("DATABASE_URL", raising=False)

    with database.development_database() as line:
        assert line.endswith(f"/{database.DEVELOPMENT}")
        assert os.environ.pop("DATABASE_URL").endswith(database.DEVELOPMENT)
    asyncio.run(execute(f"{server}/postgres", f'DROP DATABASE "{database.DEVELOPMENT}"'))
