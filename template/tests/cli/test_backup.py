import asyncio
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from app import migrations
from app.cli.main import app
from tests.databases import execute, temporary_database

runner = CliRunner()


@pytest.fixture(autouse=True)
def development(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENVIRONMENT", "development")


def count(url: str) -> int:
    async def read() -> int:
        connection = await asyncpg.connect(url)
        try:
            found: int = await connection.fetchval("SELECT count(*) FROM things")
            return found
        finally:
            await connection.close()

    return asyncio.run(read())


def test_round_trip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "folder" / "all.dump"
    with temporary_database() as url:
        monkeypatch.setenv("DATABASE_URL", url)
        server = url.replace("+asyncpg", "")
        make = "CREATE TABLE things AS SELECT generate_series(1, 1000) AS id"
        asyncio.run(execute(server, make))

        assert runner.invoke(app, ["db", "backup", str(file)]).exit_code == 0
        # What has come since is gone afterwards, and what has gone is back.
        asyncio.run(execute(server, "DELETE FROM things"))
        asyncio.run(execute(server, "CREATE TABLE later AS SELECT 1 AS id"))
        result = runner.invoke(app, ["db", "restore", str(file), "--yes"])

        assert result.exit_code == 0, result.output
        assert count(server) == 1000
        asyncio.run(execute(server, "CREATE TABLE later AS SELECT 1 AS id"))
        assert not migrations.pending(url)
    assert file.stat().st_mode & 0o077 == 0
    assert [path.name for path in file.parent.iterdir()] == ["all.dump"]


def test_damaged_file_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "all.dump"
    with temporary_database() as url:
        monkeypatch.setenv("DATABASE_URL", url)
        server = url.replace("+asyncpg", "")
        make = "CREATE TABLE things AS SELECT generate_series(1, 1000) AS id"
        asyncio.run(execute(server, make))
        runner.invoke(app, ["db", "backup", str(file)])
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

        result = runner.invoke(app, ["db", "restore", str(file), "--yes"])

        assert result.exit_code == 1
        assert "pg_restore failed" in result.stderr
        assert count(server) == 1000


def test_asks_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "all.dump"
    file.touch()
    with temporary_database() as url:
        monkeypatch.setenv("DATABASE_URL", url)

        result = runner.invoke(app, ["db", "restore", str(file)], input="n\n")

    assert result.exit_code == 1
    assert "Replace all that is in 127.0.0.1:" in result.output


def test_failure_leaves_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "all.dump"
    with temporary_database() as url:
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setattr("app.cli.backup.FORMAT", "none")

        result = runner.invoke(app, ["db", "backup", str(file)])

    assert result.exit_code == 1
    assert "pg_dump failed" in result.stderr
    assert list(tmp_path.iterdir()) == []
