import asyncio
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from fastship_tooling.database import backup
from fastship_tooling.deploy import preparation
from typer.testing import CliRunner

from app import migrations
from app.cli.main import app
from tests.databases import execute, temporary_database
from tests.tooling.fake_docker import FakeDocker

runner = CliRunner()


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the URL of a database with a table `things` of 1000 rows."""
    monkeypatch.setenv("APP_ENVIRONMENT", "development")
    with temporary_database() as url:
        monkeypatch.setenv("DATABASE_URL", url)
        create = "CREATE TABLE things AS SELECT generate_series(1, 1000) AS id"
        asyncio.run(execute(url, create))
        yield url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backups/all.dump"


def count_things(url: str) -> int:
    async def read() -> int:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            count: int = await connection.fetchval("SELECT count(*) FROM things")
            return count
        finally:
            await connection.close()

    return asyncio.run(read())


def test_restore(url: str, file: Path) -> None:
    assert runner.invoke(app, ["db", "backup", str(file)]).exit_code == 0
    asyncio.run(execute(url, "DELETE FROM things"))
    asyncio.run(execute(url, "CREATE TABLE later AS SELECT 1 AS id"))

    result = runner.invoke(app, ["db", "restore", str(file), "--yes"])

    assert result.exit_code == 0, result.output
    assert count_things(url) == 1000
    # The restore has dropped the table that was created after the backup.
    asyncio.run(execute(url, "CREATE TABLE later AS SELECT 1 AS id"))
    assert not migrations.is_behind(url)


def test_dump_with_roles_of_production(url: str, file: Path) -> None:
    grant = "GRANT SELECT ON things TO of_production"
    default = "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO of_production"
    for statement in ("CREATE ROLE of_production", grant, default):
        asyncio.run(execute(url, statement))
    try:
        runner.invoke(app, ["db", "backup", str(file)])
    finally:
        for statement in ("DROP OWNED BY of_production", "DROP ROLE of_production"):
            asyncio.run(execute(url, statement))

    result = runner.invoke(app, ["db", "restore", str(file), "--yes"])

    assert result.exit_code == 0, result.output
    assert count_things(url) == 1000


def test_created_file(url: str, file: Path) -> None:
    runner.invoke(app, ["db", "backup", str(file)])

    assert file.stat().st_mode & 0o077 == 0
    assert [path.name for path in file.parent.iterdir()] == ["all.dump"]


def test_default_file(url: str, folder: Path) -> None:
    result = runner.invoke(app, ["db", "backup"])

    assert result.exit_code == 0, result.output
    [created] = (folder / "backups").iterdir()
    assert created.suffix == ".dump"


def test_damaged_file(url: str, file: Path) -> None:
    runner.invoke(app, ["db", "backup", str(file)])
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    result = runner.invoke(app, ["db", "restore", str(file), "--yes"])

    assert result.exit_code == 1
    assert "pg_restore failed" in result.stderr
    assert count_things(url) == 1000


def test_failed_restore(url: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner.invoke(app, ["db", "backup", str(file)])
    monkeypatch.setattr(backup, "COMMIT", b"\nSELECT 1 / 0;\nCOMMIT;\n")

    result = runner.invoke(app, ["db", "restore", str(file), "--yes"])

    assert result.exit_code == 1
    assert "psql failed on 127.0.0.1:" in result.stderr
    assert "division by zero" in result.stderr
    assert count_things(url) == 1000


def test_confirmation(url: str, file: Path) -> None:
    runner.invoke(app, ["db", "backup", str(file)])

    result = runner.invoke(app, ["db", "restore", str(file)], input="n\n")

    assert result.exit_code == 1
    assert "Replace all data of 127.0.0.1:" in result.output


def test_failed_backup(url: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "FORMAT", "none")

    result = runner.invoke(app, ["db", "backup", str(file)])

    assert result.exit_code == 1
    assert "pg_dump failed" in result.stderr
    assert list(file.parent.iterdir()) == []


def test_production(monkeypatch: pytest.MonkeyPatch, docker: FakeDocker) -> None:
    monkeypatch.setenv("DOCKER_HOST", "")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("fastship_tooling.docker.Docker", lambda *_: docker)
    monkeypatch.setattr(preparation, "production", lambda: docker)
    docker.outputs["ps"] = "id"

    with backup.tools(production=True, host="ssh://root@example.com") as tools:
        assert tools.command[:1] == ["/usr/bin/docker"]
        assert tools.command[-4:] == ["exec", "--no-TTY", "db", ""]
        assert tools.suffix == ["--username", "migrations", "--dbname", "app"]
        assert tools.name == "the database on ssh://root@example.com"
        assert os.environ["DOCKER_HOST"] == "ssh://root@example.com"


def test_production_without_deployment(monkeypatch: pytest.MonkeyPatch, docker: FakeDocker) -> None:
    monkeypatch.setenv("DOCKER_HOST", "")
    monkeypatch.setattr("fastship_tooling.docker.Docker", lambda *_: docker)
    monkeypatch.setattr(preparation, "production", lambda: docker)
    docker.outputs["ps"] = ""

    result = runner.invoke(app, ["db", "backup", "--production"])

    assert result.exit_code == 1
    assert "The deployment on this machine has no running service db. Deploy first" in result.stderr


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.EROFS, "Read-only file system. Use another folder."),
        (errno.ENOSPC, "No space left on device. Free some space."),
    ],
)
def test_unwritable_folder(
    url: str, file: Path, monkeypatch: pytest.MonkeyPatch, code: int, advice: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), str(file))

    monkeypatch.setattr(backup.Tools, "run", fail)

    result = runner.invoke(app, ["db", "backup", str(file)])

    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == f"{file}: {advice}", result.stderr


def test_folder_instead_of_file(folder: Path) -> None:
    result = runner.invoke(app, ["db", "backup", "."])

    assert result.exit_code == 2
    assert "is a directory" in result.stderr


def test_other_file(url: str, file: Path) -> None:
    file.parent.mkdir()
    file.write_text("# README")

    result = runner.invoke(app, ["db", "restore", str(file), "--yes"])

    assert result.exit_code == 1
    assert "The file is damaged, or `db backup` did not write it. Nothing was" in result.stderr
    assert count_things(url) == 1000
