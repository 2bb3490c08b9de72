"""What `dev` does with a changed model. Each test changes the models of this process, and takes it back."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import migrations
from app.cli.auto_migrate import follow, history
from app.cli.auto_migrate.history import MigrationError
from tests.cli.test_auto_migrate import (  # noqa: F401  fixtures
    Tables,
    column,
    columns_of,
    tables,
    url,
    versions,
    written,
)
from tests.databases import execute, temporary_database


def insert(url: str, values: str) -> None:
    asyncio.run(execute(url.replace("+asyncpg", ""), f"INSERT INTO things VALUES ({values})"))  # noqa: S608


def commit_all() -> None:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run(["git", *identity, *command], check=True)  # noqa: S607


class TestFollow:
    def test_nothing_changed(self, url: str, versions: Path) -> None:
        follow.follow(url)

        assert written(versions) == []

    def test_database_that_is_behind_is_brought_up(self, versions: Path) -> None:
        with temporary_database("base") as url:
            follow.follow(url)

            assert migrations.current(url) == ("0001",)

    def test_new_table(self, url: str, versions: Path, tables: Tables) -> None:
        tables(column("size"))

        follow.follow(url)

        assert written(versions) == ["create_things.py"]
        text = next(versions.glob("2*.py")).read_text()
        assert 'down_revision = "0001"' in text
        assert "# ###" not in text
        assert columns_of(url) == ["id", "size"]

    def test_further_changes_are_the_same_revision(
        self, url: str, versions: Path, tables: Tables
    ) -> None:
        tables(column("size"))
        follow.follow(url)
        insert(url, "1, 10")
        tables(column("size"), column("weight"))

        follow.follow(url)

        assert written(versions) == ["create_things.py"]
        assert columns_of(url) == ["id", "size", "weight"]
        # Nobody's data was lost for it, and it is what a new database gets.
        insert(url, "2, 20, 30")
        with temporary_database() as other:
            assert columns_of(other) == ["id", "size", "weight"]

    def test_committed_revision_is_left_alone(
        self, url: str, versions: Path, tables: Tables
    ) -> None:
        tables(column("size"))
        follow.follow(url)
        commit_all()
        tables(column("size"), column("weight"))

        follow.follow(url)

        assert written(versions) == ["add_weight_to_things.py", "create_things.py"]

    def test_edited_revision_is_left_alone(self, url: str, versions: Path, tables: Tables) -> None:
        tables(column("size"))
        follow.follow(url)
        first = next(versions.glob("2*.py"))
        first.write_text(first.read_text() + "# mine\n")
        tables(column("size"), column("weight"))

        follow.follow(url)

        assert first.read_text().endswith("# mine\n")
        assert len(written(versions)) == 2

    def test_loss_waits_for_db_upgrade(
        self, url: str, versions: Path, tables: Tables, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tables(column("size"), column("weight"))
        follow.follow(url)
        commit_all()
        tables(column("size"))

        for _ in range(2):  # nor is it applied the next time
            follow.follow(url)

            assert written(versions) == ["create_things.py", "drop_weight_from_things.py"]
            assert columns_of(url) == ["id", "size", "weight"]
            out = capsys.readouterr().out
            assert "It drops things.weight." in out
            assert "db upgrade" in out
        migrations.upgrade(url)
        assert columns_of(url) == ["id", "size"]
        follow.follow(url)
        assert len(written(versions)) == 2

    def test_loss_that_was_edited_waits_too(self, url: str, versions: Path, tables: Tables) -> None:
        tables(column("size"))
        follow.follow(url)
        commit_all()
        tables(column("length"))
        follow.follow(url)
        waiting = next(versions.glob("*drop*.py"))
        renamed = 'op.alter_column("things", "size", new_column_name="length")'
        text = waiting.read_text()
        waiting.write_text(
            text.partition("def upgrade")[0] + f"def upgrade() -> None:\n    {renamed}\n"
        )

        follow.follow(url)

        assert columns_of(url) == ["id", "size"]
        assert renamed in waiting.read_text()
        migrations.upgrade(url)
        follow.follow(url)
        assert columns_of(url) == ["id", "length"]
        assert len(written(versions)) == 2

    def test_loss_that_is_taken_back(self, url: str, versions: Path, tables: Tables) -> None:
        tables(column("size"))
        follow.follow(url)
        commit_all()
        tables(column("weight"))
        follow.follow(url)
        tables(column("size"))

        follow.follow(url)

        assert written(versions) == ["create_things.py"]

    def test_agreed_loss_leaves_nothing_behind(
        self, url: str, versions: Path, tables: Tables
    ) -> None:
        tables(column("size"))
        follow.follow(url)
        tables()

        follow.follow(url, agreed=["drops the table things"])

        assert written(versions) == []
        assert migrations.current(url) == ("0001",)

    def test_null_that_is_forbidden_waits_while_there_are_rows(
        self, url: str, versions: Path, tables: Tables, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tables(column("size"))
        follow.follow(url)
        insert(url, "1, NULL")
        commit_all()
        tables(column("size", nullable=False), column("weight", nullable=False))

        follow.follow(url)

        out = capsys.readouterr().out
        assert "forbids null in things.size" in out
        assert "adds things.weight, which may not be null" in out
        assert columns_of(url) == ["id", "size"]

    def test_statement_that_the_server_refuses(
        self, url: str, versions: Path, tables: Tables
    ) -> None:
        tables(column("size"))
        follow.follow(url)
        insert(url, "1, 5")
        insert(url, "2, 5")
        commit_all()
        tables(column("size", unique=True))

        with pytest.raises(MigrationError, match="could not create unique index"):
            follow.follow(url)

        assert written(versions) == ["create_things.py"]


class TestClearMessages:
    def test_two_newest(self, url: str, versions: Path) -> None:
        for name in "ab":
            (versions / f"{name}.py").write_text(f'revision = "{name}"\ndown_revision = "0001"\n')

        with pytest.raises(MigrationError, match=r"a\.py and b\.py.*db merge"):
            follow.follow(url)

    def test_database_is_ahead(self, url: str) -> None:
        server = url.replace("+asyncpg", "")
        asyncio.run(execute(server, "UPDATE alembic_version SET version_num = 'of_a_branch'"))

        with pytest.raises(MigrationError, match=r"of_a_branch.*ahead of this code.*db reset"):
            follow.follow(url)

    def test_file_was_deleted(self, url: str, versions: Path) -> None:
        (versions / "later.py").write_text('revision = "later"\ndown_revision = "gone"\n')

        with pytest.raises(MigrationError, match=r"gone is missing.*git checkout"):
            follow.follow(url)


def test_damaged_memory_is_none(url: str, versions: Path, tables: Tables) -> None:
    Path(".dev").mkdir()
    Path(".dev/migrations.json").write_text("[1")
    tables(column("size"))

    follow.follow(url)

    assert written(versions) == ["create_things.py"]


def test_server_that_gives_no_second_database(
    url: str, versions: Path, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables(column("size"))
    follow.follow(url)
    tables(column("size"), column("weight"))

    def refuse(_url: str) -> Iterator[str]:
        raise sa.exc.ProgrammingError("CREATE DATABASE", {}, Exception("permission denied"))

    monkeypatch.setattr(follow, "scratch_database", refuse)
    follow.follow(url)

    # Then it is a revision of its own.
    assert written(versions) == ["add_weight_to_things.py", "create_things.py"]
    assert columns_of(url) == ["id", "size", "weight"]


def test_history_without_revisions(versions: Path, url: str) -> None:
    (versions / "0001_initial.py").unlink()

    assert history.History(url).head is None
