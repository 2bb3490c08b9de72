import asyncio
import socket

import pytest
from typer.testing import CliRunner

from app import migrations
from app.cli import db
from app.cli.console import CLIError
from app.cli.main import app
from app.config import SLUG, Settings
from tests.databases import execute

runner = CliRunner()

UNREACHABLE = "postgresql://ada:secret-password@127.0.0.1:1/shop"


@pytest.fixture(autouse=True)
def development(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENVIRONMENT", "development")


@pytest.mark.parametrize("command", [["db", "upgrade"], ["serve"]], ids=" ".join)
def test_unavailable_database(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)

    result = runner.invoke(app, command)

    assert result.exit_code == 1
    assert result.stderr.startswith(
        "Cannot connect to the database at 127.0.0.1:1/shop: nothing listens there."
    )
    assert result.stderr.splitlines()[1:] == ["Start it, or correct DATABASE_URL."]
    assert "secret-password" not in result.output


def test_missing_database(monkeypatch: pytest.MonkeyPatch, empty_database_url: str) -> None:
    server = empty_database_url.rpartition("/")[0]
    monkeypatch.setenv("DATABASE_URL", f"{server}/missing")

    result = runner.invoke(app, ["db", "upgrade"])

    assert result.exit_code == 1
    assert 'database "missing" does not exist.\nCreate it, or correct its name' in result.stderr


def test_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.cli.db.CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setenv("DATABASE_URL", f"postgresql://app@127.0.0.1:{port}/shop")

        result = runner.invoke(app, ["db", "upgrade"])

    assert result.exit_code == 1
    assert ": it did not answer within 0.2 seconds.\nStart it, or correct" in result.stderr


def test_database_without_tables(monkeypatch: pytest.MonkeyPatch, empty_database_url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)

    result = runner.invoke(app, ["jobs", "list"])

    assert result.exit_code == 1
    assert result.stderr.startswith("The database lacks migrations (relation ")
    assert result.stderr.endswith(f"Apply them:\n{SLUG} db upgrade\n")


def test_upgrade(monkeypatch: pytest.MonkeyPatch, empty_database_url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)

    before = runner.invoke(app, ["serve"])
    upgraded = runner.invoke(app, ["db", "upgrade"])

    assert "Migrations are missing" in before.stderr
    assert "db upgrade" in before.stderr
    assert upgraded.exit_code == 0, upgraded.output
    assert not migrations.is_behind(empty_database_url)


def test_unknown_revision(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)

    result = runner.invoke(app, ["db", "upgrade", "nonsense"])

    assert result.exit_code == 1
    assert "nonsense" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_missing_url(settings: Settings) -> None:
    without = settings.database.model_copy(update={"url": None})

    with pytest.raises(CLIError, match="DATABASE_URL is not set"):
        db.require_current_schema(settings.model_copy(update={"database": without}))


def test_database_ahead_of_the_code(empty_database_url: str) -> None:
    # During a deployment or after a rollback, old code uses a newer schema.
    migrations.upgrade(empty_database_url)
    change = "UPDATE alembic_version SET version_num = 'from_the_future'"
    asyncio.run(execute(empty_database_url, change))

    assert not migrations.is_behind(empty_database_url)
