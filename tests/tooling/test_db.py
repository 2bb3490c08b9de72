import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from fastship_tooling.database import commands, connection
from sqlalchemy import Connection, text
from typer.testing import CliRunner

from app import migrations
from app.cli.main import app
from app.config import Settings
from tests.databases import temporary_database

runner = CliRunner()

UNREACHABLE = "postgresql://ada:secret-password@127.0.0.1:1/shop"


@pytest.fixture(autouse=True)
def development(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENVIRONMENT", "development")


@pytest.fixture(scope="module")
def shared_url() -> Iterator[str]:
    with temporary_database() as url:
        yield url


@pytest.fixture
def url(shared_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a database with all migrations and without rows."""
    monkeypatch.setenv("DATABASE_URL", shared_url)
    return shared_url


@pytest.mark.parametrize(
    "arguments",
    [["revision", "add price"], ["downgrade", "--yes"], ["merge"], ["history"], ["seed"]],
    ids=lambda arguments: arguments[0],
)
def test_unavailable_database(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)

    result = runner.invoke(app, ["db", *arguments])

    assert result.exit_code == 1
    assert result.stderr.startswith("Cannot connect to the database at 127.0.0.1:1/shop: ")
    assert len(result.stderr.splitlines()) == 1
    assert "secret-password" not in result.output


class TestRevision:
    @pytest.mark.parametrize("empty", [False, True])
    def test_options(self, monkeypatch: pytest.MonkeyPatch, url: str, empty: bool) -> None:
        created: dict[str, object] = {}

        def revision(_config: object, message: str, **options: object) -> None:
            created.update(options, message=message)

        monkeypatch.setattr(command, "revision", revision)
        options = ["--empty"] if empty else []

        result = runner.invoke(app, ["db", "revision", "add price", *options])

        assert result.exit_code == 0, result.output
        assert created == {"message": "add price", "autogenerate": not empty}

    def test_database_behind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(command, "revision", lambda *_, **__: None)
        with temporary_database("base") as url:
            monkeypatch.setenv("DATABASE_URL", url)

            runner.invoke(app, ["db", "revision", "add price"])

            # The models are compared with the database, so it needs all migrations.
            assert not migrations.is_behind(url)


class TestDowngrade:
    def test_confirmation(self, url: str) -> None:
        latest = migrations.current(url)

        declined = runner.invoke(app, ["db", "downgrade"], input="n\n")
        kept = migrations.current(url)
        confirmed = runner.invoke(app, ["db", "downgrade", "base", "--yes"])
        reverted = migrations.current(url)
        upgraded = runner.invoke(app, ["db", "upgrade"])

        codes = [result.exit_code for result in (declined, confirmed, upgraded)]
        assert codes == [1, 0, 0]
        assert kept == latest
        assert reverted == ()
        assert migrations.current(url) == latest

    def test_unknown_revision(self, url: str) -> None:
        result = runner.invoke(app, ["db", "downgrade", "nonsense", "--yes"])

        assert result.exit_code == 1
        assert "nonsense" in result.stderr
        assert len(result.stderr.splitlines()) == 1

    def test_rejected_statement(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def downgrade(*_: object) -> None:
            migrations.on_connection(url, lambda c: c.execute(text("DROP TABLE no_such_table")))

        monkeypatch.setattr(command, "downgrade", downgrade)

        result = runner.invoke(app, ["db", "downgrade", "--yes"])

        assert result.exit_code == 1
        assert 'PostgreSQL rejected the statement: table "no_such_table"' in result.stderr


@pytest.mark.parametrize(("heads", "code"), [(["a", "b"], 0), (["a"], 1)])
def test_merge(monkeypatch: pytest.MonkeyPatch, url: str, heads: list[str], code: int) -> None:
    merged: list[tuple[object, ...]] = []
    monkeypatch.setattr(
        command, "merge", lambda _, *given, message: merged.append((*given, message))
    )
    monkeypatch.setattr(ScriptDirectory, "get_heads", lambda _: heads)
    monkeypatch.setattr(migrations, "upgrade", lambda _: None)

    result = runner.invoke(app, ["db", "merge"])

    assert result.exit_code == code, result.output
    assert merged == ([("heads", "merge branches")] if code == 0 else [])
    assert ("nothing to merge" in result.stderr) is (code == 1)


def test_history(url: str) -> None:
    result = runner.invoke(app, ["db", "history"])

    marked = [line.split() for line in result.stdout.splitlines() if "->" in line]
    [head] = migrations.current(url)
    assert [line[:2] for line in marked] == [["->", head]]


def count_items(url: str) -> int:
    def read(connection: Connection) -> int:
        return len(connection.execute(text("SELECT id FROM items")).all())

    return migrations.on_connection(url, read)


class TestSeed:
    def test_twice(self, url: str) -> None:
        for _ in range(2):
            result = runner.invoke(app, ["db", "seed"])

            assert result.exit_code == 0, result.output
        assert count_items(url) == 3

    def test_missing_file(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(commands, "SEEDS", Path("tests/no_such_file.py"))

        result = runner.invoke(app, ["db", "seed"])

        assert result.exit_code == 1
        assert "There is no tests/no_such_file.py. Create it" in result.stderr


class TestReset:
    def test_confirmation(self, url: str) -> None:
        runner.invoke(app, ["db", "seed"])

        declined = runner.invoke(app, ["db", "reset"], input="n\n")
        kept = count_items(url)
        confirmed = runner.invoke(app, ["db", "reset", "--yes"])

        assert (declined.exit_code, kept) == (1, 3)
        assert (confirmed.exit_code, count_items(url)) == (0, 0)


@pytest.mark.parametrize("arguments", [["reset", "--yes"], ["seed"]], ids=lambda given: given[0])
def test_production(
    url: str, monkeypatch: pytest.MonkeyPatch, settings: Settings, arguments: list[str]
) -> None:
    app_settings = settings.app.model_copy(update={"environment": "production"})
    production = settings.model_copy(update={"app": app_settings})
    monkeypatch.setattr(connection, "load_settings", lambda: production)

    result = runner.invoke(app, ["db", *arguments])

    assert result.exit_code == 1
    assert f"`db {arguments[0]}` is for development" in result.stderr
    assert count_items(url) == 0


def test_shell(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def run(
        arguments: list[str], *, env: dict[str, str], check: bool
    ) -> subprocess.CompletedProcess[str]:
        started.append((str(arguments[0]), arguments[1], env.get("PGPASSWORD")))
        return subprocess.CompletedProcess(arguments, 3)

    with_password = url.replace("postgres@", "postgres:secret@")
    monkeypatch.setenv("DATABASE_URL", f"{with_password}?sslmode=disable")
    monkeypatch.setenv("PG_BIN", "/opt/pg")
    monkeypatch.setattr(subprocess, "run", run)

    result = runner.invoke(app, ["db", "shell"])

    assert result.exit_code == 3
    [(program, address, password)] = started
    assert program.endswith("psql")
    # Other users can read a command line, so the password must not be on it.
    assert address == f"{url.replace('+asyncpg', '')}?sslmode=disable"
    assert password == "secret"
