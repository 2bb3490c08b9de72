# ruff: noqa: F811
import asyncio
import os
import re
from pathlib import Path

import asyncpg
import pytest
from fastship_tooling.database import rehearsal
from fastship_tooling.deploy import preparation
from typer.testing import CliRunner

from app import migrations
from app.cli.console import CLIError
from app.cli.main import app
from tests.databases import execute, server
from tests.tooling.fake_docker import FakeDocker
from tests.tooling.schema import add_revision, url, versions  # noqa: F401

runner = CliRunner()


@pytest.fixture
def backup(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a backup of a database with a large table."""
    monkeypatch.setenv("APP_ENVIRONMENT", "development")
    monkeypatch.setenv("DATABASE_URL", url)
    create = "CREATE TABLE rows AS SELECT n AS size FROM generate_series(1, 50000) AS n"
    asyncio.run(execute(url, create))
    file = tmp_path / "backup.dump"
    assert runner.invoke(app, ["db", "backup", str(file)]).exit_code == 0
    return file


def copy_exists() -> bool:
    async def read() -> bool:
        connection = await asyncpg.connect(server())
        try:
            name = f"postgres_scratch_{os.getpid()}"
            query = "SELECT count(*) > 0 FROM pg_database WHERE datname = $1"
            return bool(await connection.fetchval(query, name))
        finally:
            await connection.close()

    return asyncio.run(read())


def test_locks(url: str, versions: Path, backup: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        'op.create_index("rows_idx", "rows", ["size"])\n'
        '    op.alter_column("items", "title", nullable=True)\n'
        '    op.create_table("things", sa.Column("size", sa.Integer))'
    )
    add_revision(versions, "a", code)

    rehearsal.report(backup)

    output = capsys.readouterr().out
    assert re.search(r"^a\.py: [\d.]+ s$", output, re.M)
    blocked = re.findall(r"^  (\w+): ([\w ]+) blocked for [\d.]+ s$", output, re.M)
    assert blocked == [("rows", "writes"), ("items", "reads and writes")]
    assert re.search(r"^  [\d.]+ s: CREATE INDEX rows_idx ON rows \(size\)$", output, re.M)
    # The copy is deleted, and the database is as before.
    assert not copy_exists()
    assert migrations.current(url) == ("0001",)


def test_concurrent_index(versions: Path, backup: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        "with op.get_context().autocommit_block():\n"
        '        op.create_index("rows_idx", "rows", ["size"], postgresql_concurrently=True)'
    )
    add_revision(versions, "a", code)

    rehearsal.report(backup)

    assert "No existing table was blocked." in capsys.readouterr().out


def test_nothing_pending(versions: Path, backup: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rehearsal.report(backup)

    assert "No migration is pending." in capsys.readouterr().out


def test_failed_migration(versions: Path, backup: Path) -> None:
    add_revision(versions, "a", 'op.execute("SELECT 1 / 0")')

    with pytest.raises(CLIError, match="division by zero"):
        rehearsal.report(backup)

    assert not copy_exists()


class TestDeploy:
    @pytest.fixture(autouse=True)
    def engine(self, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fastship_tooling.docker.Docker", lambda **_: docker)
        monkeypatch.setattr(preparation, "production", lambda **_: docker)

    def test_no_backup(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(preparation, "backing_services", lambda: ["db"])
        monkeypatch.setattr(preparation, "require_running", lambda *_: None)

        result = runner.invoke(app, ["deploy", "--rehearse"])

        assert result.exit_code == 1
        assert "There is no backup yet." in result.stderr

    def test_no_deployment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(preparation, "backing_services", lambda: ["db"])

        result = runner.invoke(app, ["deploy", "--rehearse"])

        assert result.exit_code == 1
        assert "has no running service backup. Deploy first" in result.stderr

    def test_external_database(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(preparation, "backing_services", lambda: [])

        result = runner.invoke(app, ["deploy", "--rehearse"])

        assert result.exit_code == 1
        assert "--rehearse requires the database and the backups" in result.stderr
