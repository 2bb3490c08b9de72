import asyncio
import os

import pytest
import typer
from alembic import command
from typer.testing import CliRunner

from app.cli import db
from app.cli.main import app
from app.config import Settings
from tests.databases import temporary_database

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


def test_serve_needs_a_database(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    without = settings.model_copy(
        update={"database": settings.database.model_copy(update={"url": None})}
    )

    with pytest.raises(typer.Exit):
        db.require_database(without)

    assert "DATABASE_URL is not set" in capsys.readouterr().err


def test_upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    with temporary_database("base") as url:
        monkeypatch.setenv("DATABASE_URL", url)

        result = runner.invoke(app, ["db", "upgrade"])

        assert result.exit_code == 0, result.output
        assert "head" in result.stdout


def test_revision_is_compared_with_the_database(
    monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    asked: dict[str, object] = {}
    monkeypatch.setattr(
        command, "revision", lambda _config, message, **options: asked.update(options, m=message)
    )
    monkeypatch.setenv("DATABASE_URL", database_url)

    result = runner.invoke(app, ["db", "revision", "add price"])

    assert result.exit_code == 0, result.output
    assert asked == {"m": "add price", "autogenerate": True}


def test_development_database_is_ready_for_use(
    monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    server = database_url.replace("+asyncpg", "").rpartition("/")[0]
    monkeypatch.setattr(db, "DEVELOPMENT", f"test_{os.getpid()}_dev")

    class Running:
        def __enter__(self) -> str:
            return server

        def __exit__(self, *_: object) -> None: ...

    from app.cli import postgres  # noqa: PLC0415
    from tests.databases import execute  # noqa: PLC0415

    monkeypatch.setattr(postgres, "running", Running)
    monkeypatch.delenv("DATABASE_URL", raising=False)

    with db.development_database() as line:
        assert line.endswith(f"/{db.DEVELOPMENT}")
        assert os.environ.pop("DATABASE_URL").endswith(db.DEVELOPMENT)
    asyncio.run(execute(f"{server}/postgres", f'DROP DATABASE "{db.DEVELOPMENT}"'))
