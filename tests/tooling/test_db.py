import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from fastship_tooling.database import commands, connection
from sqlalchemy import Connection, text
from typer.testing import CliRunner

from app import migrations
from app.cli.main import app
from app.config import Settings
from tests.databases import execute, temporary_database

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
    assert result.stderr.splitlines()[1:] == ["Start it, or correct DATABASE_URL."]
    assert "secret-password" not in result.output


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the folder of the migrations, and keep the state of `dev` elsewhere."""
    versions = tmp_path / "versions"
    # The tests compare the content of the folder.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    original = migrations.config
    source = Path("src/app/migrations/versions")
    shutil.copytree(source, versions, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(migrations, "config", lambda url: original(url, versions))
    monkeypatch.setattr(commands, "STATE", tmp_path / ".dev")
    return versions


def add_migration(versions: Path, revision: str, below: str = "0001") -> None:
    (versions / f"{revision}.py").write_text(
        f'"""{revision}."""\nrevision = "{revision}"\ndown_revision = "{below}"\n'
        "def upgrade() -> None: ...\ndef downgrade() -> None: ...\n"
    )


def run(*arguments: str) -> tuple[int, str]:
    """Run a command without a terminal, and return its exit code and what it printed."""
    result = runner.invoke(app, ["db", *arguments])
    output = [line for line in result.output.splitlines() if not line.startswith('{"event"')]
    return result.exit_code, "\n".join(output)


class TestRevision:
    def test_no_changes(self, url: str, versions: Path) -> None:
        before = set(versions.iterdir())

        code, output = run("revision", "add price")

        assert code == 1
        assert "The models have no changes, so no migration was created." in output
        assert 'db revision --empty "add price"' in output
        assert set(versions.iterdir()) == before

    def test_empty_message(self, url: str) -> None:
        assert run("revision", " ") == (
            1,
            "The message is empty. Write in a few words what changes.",
        )

    def test_changes(self, url: str, versions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        migrations.on_connection(url, lambda c: c.execute(text("ALTER TABLE items ADD old int")))
        try:
            code, output = run("revision", "drop old")
            again, refused = run("revision", "another one")
        finally:
            migrations.on_connection(url, lambda c: c.execute(text("ALTER TABLE items DROP old")))

        assert (code, again) == (0, 1)
        assert "It drops items.old.\nIn production: " in output
        assert "_drop_old.py: ban-drop-column\n  ALTER TABLE items DROP COLUMN " in output
        assert "_drop_old.py.\nReview it, then apply it" in output
        # A destructive migration is not applied to compare the models.
        assert "_drop_old.py is not applied, because it drops items.old." in refused
        assert migrations.current(url) == ("0001",)

    def test_empty(self, url: str, versions: Path) -> None:
        code, output = run("revision", "add price", "--empty")

        assert code == 0
        assert output.startswith("Created ")
        assert len(output.splitlines()) == 2
        assert len(list(versions.glob("*_add_price.py"))) == 1

    def test_same_message(self, url: str, versions: Path) -> None:
        for _ in range(2):
            run("revision", "add price", "--empty")

        assert len(list(versions.glob("*_add_price.py"))) == 2

    def test_database_behind(self, versions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with temporary_database("base") as url:
            monkeypatch.setenv("DATABASE_URL", url)

            run("revision", "add price")

            # The models are compared with the database, so it needs all migrations.
            assert not migrations.is_behind(url)


class TestWrongRevisions:
    @pytest.mark.parametrize("command", ["upgrade", "downgrade"])
    @pytest.mark.parametrize("revision", ["nonsense", "-9", "+9"])
    def test_unknown_revision(self, url: str, command: str, revision: str) -> None:
        code, output = run(command, "--", revision)

        # It is reported before the confirmation.
        assert code == 1
        assert output.startswith(f"There is no revision {revision} ")
        assert "db history" in output

    @pytest.mark.parametrize(
        "command", ["upgrade", "downgrade", "revision x", "reset --yes", "seed"]
    )
    def test_two_heads(self, url: str, versions: Path, command: str) -> None:
        add_migration(versions, "a")
        add_migration(versions, "b")

        code, output = run(*command.split())

        assert code == 1
        assert "Several migrations are the latest: a.py and b.py. Merge them: uv run" in output
        assert migrations.current(url) == ("0001",)

    @pytest.mark.parametrize("command", ["upgrade", "downgrade", "revision x", "merge", "history"])
    def test_missing_file(self, url: str, versions: Path, command: str) -> None:
        add_migration(versions, "a", below="missing")

        code, output = run(*command.split())

        assert code == 1
        assert "Revision missing is missing from" in output

    @pytest.mark.parametrize("command", ["upgrade", "downgrade", "revision x", "seed"])
    def test_database_of_another_branch(
        self, monkeypatch: pytest.MonkeyPatch, command: str
    ) -> None:
        with temporary_database() as url:
            monkeypatch.setenv("DATABASE_URL", url)
            asyncio.run(execute(url, "UPDATE alembic_version SET version_num = 'of_a_branch'"))

            code, output = run(*command.split())

        assert code == 1
        assert output.startswith("The database is at revision of_a_branch, which is not in")
        assert "switch to the code that has it" in output

    def test_older_revision(self, url: str, versions: Path) -> None:
        add_migration(versions, "a")
        run("upgrade")

        upgraded = run("upgrade", "0001")
        run("downgrade", "--yes")
        downgraded = run("downgrade", "0001", "--yes")

        assert "The database is at revision a." in upgraded[1]
        assert downgraded[0] == 1
        assert "Nothing to revert" in downgraded[1]


@pytest.mark.parametrize("command", ["downgrade", "reset"])
def test_no_terminal(url: str, command: str) -> None:
    code, output = run(command)

    assert code == 1
    assert (
        "Nothing was changed, because it was not confirmed. Without a terminal, pass --yes."
        in output
    )
    assert migrations.current(url) == ("0001",)


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

    def test_rejected_statement(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def downgrade(*_: object) -> None:
            migrations.on_connection(url, lambda c: c.execute(text("DROP TABLE no_such_table")))

        monkeypatch.setattr(command, "downgrade", downgrade)

        result = runner.invoke(app, ["db", "downgrade", "--yes"])

        assert result.exit_code == 1
        assert 'PostgreSQL rejected the statement: table "no_such_table"' in result.stderr


class TestMerge:
    def test_two_heads(self, url: str, versions: Path) -> None:
        add_migration(versions, "a")
        add_migration(versions, "b")

        code, output = run("merge")

        assert code == 0, output
        assert output.startswith("Created ")
        # One of them may be destructive, so they are applied by `db upgrade`.
        assert migrations.current(url) == ("0001",)

    def test_one_head(self, url: str, versions: Path) -> None:
        code, output = run("merge")

        assert code == 1
        assert "Nothing to merge: only one migration is the latest." in output
        assert "db upgrade" in output


def test_history(url: str) -> None:
    result = runner.invoke(app, ["db", "history"])

    marked = [line.split() for line in result.stdout.splitlines() if "->" in line]
    [head] = migrations.current(url)
    assert [line[:2] for line in marked] == [["->", head]]


def test_history_of_another_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    with temporary_database() as url:
        monkeypatch.setenv("DATABASE_URL", url)
        asyncio.run(execute(url, "UPDATE alembic_version SET version_num = 'of_a_branch'"))

        _, output = run("history")

    assert re.search(r"-> +of_a_branch +Its file is missing", output)


def test_current(url: str) -> None:
    runner.invoke(app, ["db", "downgrade", "base", "--yes"])
    empty = run("current")
    migrations.upgrade(url)

    assert (empty, run("current")) == ((0, ""), (0, "0001"))


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
    before = count_items(url)

    result = runner.invoke(app, ["db", *arguments])

    assert result.exit_code == 1
    assert f"`db {arguments[0]}` is for development" in result.stderr
    assert count_items(url) == before


def test_shell(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def run(
        arguments: list[str], *, env: dict[str, str], check: bool
    ) -> subprocess.CompletedProcess[str]:
        started.append((str(arguments[0]), arguments[1], env.get("PGPASSWORD")))
        return subprocess.CompletedProcess(arguments, 3)

    with_password = url.replace("postgres@", "postgres:secret@")
    monkeypatch.setenv("DATABASE_URL", f"{with_password}?sslmode=disable")
    monkeypatch.setenv("PG_BIN", str(folder))
    monkeypatch.setattr(subprocess, "run", run)

    result = runner.invoke(app, ["db", "shell"])

    assert result.exit_code == 3
    [(program, address, password)] = started
    assert program.endswith("psql")
    # Other users can read a command line, so the password must not be on it.
    assert address == f"{url.replace('+asyncpg', '')}?sslmode=disable"
    assert password == "secret"
