"""Branches of git, each with its own migrations, and one database."""

# ruff: noqa: F811
import asyncio
import re
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa
from fastship_tooling.database import postgres
from fastship_tooling.schema_sync import branches
from fastship_tooling.schema_sync.sync import sync
from typer.testing import CliRunner

from app import migrations
from app.cli.console import CLIError
from app.cli.main import app
from tests.databases import execute
from tests.tooling.conftest import Git
from tests.tooling.schema import (
    Declare,
    add_revision,
    column,
    columns_of,
    commit_all,
    created,
    declare,  # noqa: F401
    insert,
    url,  # noqa: F401
    versions,  # noqa: F401
)

EDIT = 'def downgrade() -> None:\n    op.drop_index("never_created")\n'


@pytest.fixture(autouse=True)
def kept(folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the kept migrations. The database is that of `dev`."""
    kept = folder.parent / f"{folder.name}-kept"
    kept.mkdir()
    monkeypatch.setattr(branches, "folder_of", lambda _url: kept)
    monkeypatch.setenv("APP_ENVIRONMENT", "development")
    monkeypatch.setenv("DATABASE_URL", url)
    return kept


@pytest.fixture(autouse=True)
def main(folder: Path, git: Git, url: str, declare: Declare, versions: Path) -> None:
    """Commit the table with the column `size` on the branch `main`, and insert a row."""
    (folder / ".gitignore").write_text(".dev/\nbackups/\n__pycache__/\n")
    declare(column("size"))
    sync(url)
    insert(url, "1, 10")
    commit_all(git)
    git("branch", "-M", "main")


@pytest.fixture
def weight(main: None, git: Git, url: str, declare: Declare) -> None:
    """Create the branch `weight`, which adds a column, and commit it."""
    add_column("weight", git, url, declare)


def add_column(name: str, git: Git, url: str, declare: Declare) -> None:
    git("switch", "-c", name)
    declare(column("size"), column(name))
    sync(url)
    commit_all(git)


def values(url: str, name: str) -> list[int | None]:
    query = sa.text(f"SELECT {name} FROM things ORDER BY id")  # noqa: S608
    return migrations.on_connection(url, lambda connection: list(connection.scalars(query)))


class TestLeave:
    def test_committed(
        self,
        weight: None,
        url: str,
        declare: Declare,
        git: Git,
        versions: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        for _ in range(2):
            git("switch", "main")
            declare(column("size"))
            sync(url)
            assert columns_of(url) == ["id", "size"]
            git("switch", "weight")
            declare(column("size"), column("weight"))
            sync(url)
            assert columns_of(url) == ["id", "size", "weight"]

        assert "Migration reverted, because its file is gone: add weight to things" in (
            capsys.readouterr().out
        )
        assert values(url, "size") == [10]
        assert not Path("backups").exists()
        assert created(versions) == ["add_weight_to_things.py", "create_things.py"]

    def test_stash(self, url: str, declare: Declare, git: Git, versions: Path) -> None:
        declare(column("size"), column("weight"))
        sync(url)

        git("stash", "--include-untracked")
        declare(column("size"))
        sync(url)
        assert (columns_of(url), created(versions)) == (["id", "size"], ["create_things.py"])

        git("stash", "pop")
        declare(column("size"), column("weight"), column("length"))
        sync(url)
        # The migration still grows.
        assert columns_of(url) == ["id", "size", "weight", "length"]
        assert len(created(versions)) == 2

    def test_clean(self, url: str, declare: Declare, git: Git, versions: Path) -> None:
        declare(column("size"), column("weight"))
        sync(url)

        git("clean", "-fdx", "--exclude", ".dev")
        declare(column("size"))
        sync(url)

        assert (columns_of(url), created(versions)) == (["id", "size"], ["create_things.py"])

    def test_deleted_file(self, url: str, declare: Declare, versions: Path) -> None:
        declare(column("size"), column("weight"))
        sync(url)
        next(versions.glob("*add_weight*")).unlink()

        sync(url)

        assert created(versions) == ["add_weight_to_things.py", "create_things.py"]
        assert columns_of(url) == ["id", "size", "weight"]

    def test_detached_head(self, weight: None, url: str, declare: Declare, git: Git) -> None:
        git("checkout", "--detach", "main")
        declare(column("size"))

        sync(url)

        assert columns_of(url) == ["id", "size"]

    def test_another_branch(self, weight: None, url: str, declare: Declare, git: Git) -> None:
        git("switch", "main")
        add_column("length", git, url, declare)

        assert columns_of(url) == ["id", "size", "length"]


class TestData:
    @pytest.fixture(autouse=True)
    def left(self, weight: None, url: str, declare: Declare, git: Git) -> Path:
        """Switch from a branch whose column has a value, and return the backup."""
        insert(url, "2, 20, 30")
        git("switch", "main")
        declare(column("size"))
        sync(url)
        assert (columns_of(url), values(url, "size")) == (["id", "size"], [10, 20])
        [backup] = Path("backups").iterdir()
        return backup

    def test_return(
        self,
        left: Path,
        url: str,
        declare: Declare,
        git: Git,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        insert(url, "3, 40")
        git("switch", "weight")
        declare(column("size"), column("weight"))
        sync(url)

        # The rows that were added meanwhile are kept, unless the user restores the others.
        assert values(url, "weight") == [None, None, None]
        assert f"db restore {left}" in capsys.readouterr().out
        result = CliRunner().invoke(app, ["db", "restore", str(left), "--yes"])
        assert result.exit_code == 0, result.output
        sync(url)
        assert values(url, "weight") == [None, 30]

    def test_rejected_on_return(self, left: Path, url: str, git: Git, kept: Path) -> None:
        git("switch", "weight")
        file = next(Path("src/app/migrations/versions").glob("*add_weight*"))
        file.write_text(file.read_text().replace("nullable=True", "nullable=False"))

        with pytest.raises(CLIError, match="contains null values") as caught:
            sync(url)

        assert f"db restore {left}" in str(caught.value)


def test_migration_with_a_block(main: None, url: str, git: Git, versions: Path, kept: Path) -> None:
    git("switch", "--create", "block")
    block = 'with op.get_context().autocommit_block():\n        op.execute("ANALYZE things")'
    add_revision(versions, "block", block, below=migrations.current(url)[0])
    migrations.upgrade(url)
    sync(url)
    (versions / "block.py").unlink()

    sync(url)

    assert migrations.current(url) != ("block",)


class TestEdit:
    def test_applied(
        self,
        weight: None,
        url: str,
        declare: Declare,
        git: Git,
        versions: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        file = next(versions.glob("*add_weight*"))
        file.write_text(file.read_text().replace("def downgrade() -> None:\n", EDIT))
        commit_all(git)
        sync(url)
        assert f"{file.name} was edited after it was applied" in capsys.readouterr().out.replace(
            "\n", " "
        )
        sync(url)
        assert "was edited" not in capsys.readouterr().out

        # It is reverted as it was applied.
        git("switch", "main")
        declare(column("size"))
        sync(url)
        assert columns_of(url) == ["id", "size"]

    def test_comment(
        self, weight: None, url: str, versions: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = next(versions.glob("*add_weight*"))
        comment = "# squawk-ignore renaming-column: never deployed\ndef upgrade("
        text = file.read_text().replace("def upgrade(", comment)
        file.write_text(re.sub(r'\A"""[^\n.]+', '"""Another name', text))

        sync(url)

        assert "was edited" not in capsys.readouterr().out

    def test_not_applied(
        self, url: str, declare: Declare, versions: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        declare(column("weight"))
        sync(url)
        file = next(versions.glob("*drop_size*"))
        file.write_text(file.read_text() + "# edited\n")
        migrations.upgrade(url)

        sync(url)

        assert "was edited" not in capsys.readouterr().out


class TestConfirmed:
    def test_return(self, url: str, declare: Declare, git: Git) -> None:
        git("switch", "-c", "without_size")
        declare(column("size", nullable=True), column("weight"))
        sync(url)
        commit_all(git)
        declare(column("weight"))
        sync(url)
        migrations.upgrade(url)
        commit_all(git)
        sync(url)
        git("switch", "main")
        declare(column("size"))
        sync(url)
        assert columns_of(url) == ["id", "size"]

        git("switch", "without_size")
        declare(column("weight"))
        sync(url)

        # It need not be confirmed again.
        assert columns_of(url) == ["id", "weight"]


def test_required_column(url: str, declare: Declare, git: Git) -> None:
    declare(column("size"), sa.Column("name", sa.Text, nullable=False, server_default="x"))
    sync(url)
    commit_all(git)
    declare(column("size"), sa.Column("name", sa.Text, nullable=False))
    sync(url)
    commit_all(git)
    git("switch", "-c", "without_name")
    declare(column("size"))
    sync(url)
    migrations.upgrade(url)
    branches.remember_current(url)  # as each command does at its end
    commit_all(git)
    git("switch", "main")
    declare(column("size"), sa.Column("name", sa.Text, nullable=False))

    sync(url)
    sync(url)

    assert values(url, "name") == [""]
    with pytest.raises(asyncpg.NotNullViolationError):
        insert(url, "2, 20")


class TestMerge:
    def test_two_heads(self, weight: None, url: str, declare: Declare, git: Git) -> None:
        git("switch", "main")
        add_column("length", git, url, declare)
        git("merge", "weight", "--message", "merge")
        declare(column("size"), column("length"), column("weight"))
        with pytest.raises(CLIError, match="db merge"):
            sync(url)

        result = CliRunner().invoke(app, ["db", "merge"])
        assert result.exit_code == 0, result.output
        sync(url)
        assert columns_of(url) == ["id", "size", "length", "weight"]

        # Leave the merge again.
        commit_all(git)
        git("switch", "weight")
        declare(column("size"), column("weight"))
        sync(url)
        assert columns_of(url) == ["id", "size", "weight"]

    def test_downgrade(self, weight: None, url: str, declare: Declare, git: Git) -> None:
        git("switch", "main")
        add_column("length", git, url, declare)
        git("merge", "weight", "--message", "merge")
        CliRunner().invoke(app, ["db", "merge"])
        CliRunner().invoke(app, ["db", "upgrade"])

        result = CliRunner().invoke(app, ["db", "downgrade", "--yes"])

        assert result.exit_code == 1
        assert "or there are several, after a merge" in result.output


class TestImpossible:
    def test_external_database(
        self, weight: None, url: str, git: Git, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(branches, "folder_of", lambda _url: None)
        git("switch", "main")

        with pytest.raises(CLIError, match=r"(?s)which is not in .* switch to the code"):
            sync(url)

        assert columns_of(url) == ["id", "size", "weight"]

    def test_lost_text(self, weight: None, url: str, git: Git, kept: Path) -> None:
        for file in kept.iterdir():
            file.unlink()
        git("switch", "main")

        with pytest.raises(CLIError, match="which is not in"):
            sync(url)

    def test_rejected_downgrade(self, weight: None, url: str, declare: Declare, git: Git) -> None:
        asyncio.run(execute(url, "CREATE VIEW heavy AS SELECT * FROM things WHERE weight > 1"))
        git("switch", "main")
        declare(column("size"))

        with pytest.raises(
            CLIError, match=r"(?s)cannot be reverted: add weight.*other objects depend.*db reset"
        ):
            sync(url)

        assert columns_of(url) == ["id", "size", "weight"]
        assert not Path("backups").exists()


def test_other_server(monkeypatch: pytest.MonkeyPatch) -> None:
    assert postgres.home_of("postgresql://db.example.com:5432/app") is None
    assert postgres.home_of("postgresql://ada@127.0.0.1:1/app") is None
