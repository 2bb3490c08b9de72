"""Each test changes the models of this process, and restores them."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from fastship_tooling.schema_sync import history
from fastship_tooling.schema_sync import sync as schema_sync
from fastship_tooling.schema_sync.history import MigrationError
from fastship_tooling.schema_sync.sync import sync
from sqlalchemy.exc import DBAPIError

from app import migrations
from app.database import Base
from tests.databases import execute, temporary_database
from tests.tooling.conftest import Git

Declare = Callable[..., None]

VERSIONS = Path("src/app/migrations/versions").resolve()
PYPROJECT = Path("pyproject.toml").resolve()


@pytest.fixture
def url() -> Iterator[str]:
    with temporary_database() as url:
        yield url


@pytest.fixture(autouse=True)
def versions(folder: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the folder of the migrations."""
    versions = folder / "src/app/migrations/versions"
    shutil.copytree(VERSIONS, versions, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PYPROJECT, folder)
    original = migrations.config

    def config(url: str, given: Path | None = None) -> object:
        return original(url, given or versions)

    monkeypatch.setattr(migrations, "config", config)
    return versions


@pytest.fixture
def declare() -> Iterator[Declare]:
    """Return a function that declares the table `things`; without columns, it removes the table."""

    def declare_things(*columns: sa.Column[Any]) -> None:
        if "things" in Base.metadata.tables:
            Base.metadata.remove(Base.metadata.tables["things"])
        if columns:
            key: sa.Column[int] = sa.Column("id", sa.Integer, primary_key=True)
            sa.Table("things", Base.metadata, key, *columns)

    yield declare_things
    declare_things()


def status(*values: str) -> sa.Column[str]:
    return sa.Column("status", sa.Enum(*values, native_enum=False), nullable=False)


def column(name: str, **options: bool) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, **options)  # type: ignore[arg-type]


def created(versions: Path) -> list[str]:
    """Return the names of the new migrations, without their time."""
    new = {path.name for path in versions.glob("*.py")} - {p.name for p in VERSIONS.glob("*.py")}
    return sorted(name[16:] for name in new)


def columns_of(url: str) -> list[str]:
    def read(connection: sa.Connection) -> list[str]:
        return [entry["name"] for entry in sa.inspect(connection).get_columns("things")]

    return migrations.on_connection(url, read)


def checks_of(url: str) -> set[str | None]:
    def read(connection: sa.Connection) -> set[str | None]:
        return {entry["name"] for entry in sa.inspect(connection).get_check_constraints("things")}

    return migrations.on_connection(url, read)


def insert(url: str, values: str) -> None:
    asyncio.run(execute(url, f"INSERT INTO things VALUES ({values})"))  # noqa: S608


def commit_all(git: Git) -> None:
    git("init")
    git("add", "--all")
    git("commit", "--message", "feat: add things")


class TestSync:
    def test_no_changes(self, url: str, versions: Path) -> None:
        sync(url)

        assert created(versions) == []

    def test_database_behind(self) -> None:
        with temporary_database("base") as url:
            sync(url)

            assert migrations.current(url) == ("0001",)

    def test_new_table(self, url: str, versions: Path, declare: Declare) -> None:
        declare(column("size"))

        sync(url)

        assert created(versions) == ["create_things.py"]
        text = next(versions.glob("2*.py")).read_text()
        assert 'down_revision = "0001"' in text
        assert "# ###" not in text
        assert columns_of(url) == ["id", "size"]

    def test_another_change(self, url: str, versions: Path, declare: Declare) -> None:
        declare(column("size"))
        sync(url)
        insert(url, "1, 10")
        declare(column("size"), column("weight"))

        sync(url)

        # The migration was rewritten. No data is lost, and a new database gets the same table.
        assert created(versions) == ["create_things.py"]
        assert columns_of(url) == ["id", "size", "weight"]
        insert(url, "2, 20, 30")
        with temporary_database() as other:
            assert columns_of(other) == ["id", "size", "weight"]

    def test_committed_migration(
        self, url: str, versions: Path, declare: Declare, git: Git
    ) -> None:
        declare(column("size"))
        sync(url)
        commit_all(git)
        declare(column("size"), column("weight"))

        sync(url)

        assert created(versions) == ["add_weight_to_things.py", "create_things.py"]

    def test_edited_migration(self, url: str, versions: Path, declare: Declare) -> None:
        declare(column("size"))
        sync(url)
        first = next(versions.glob("2*.py"))
        first.write_text(first.read_text() + "# edited\n")
        declare(column("size"), column("weight"))

        sync(url)

        assert first.read_text().endswith("# edited\n")
        assert len(created(versions)) == 2

    def test_no_second_database(
        self, url: str, versions: Path, declare: Declare, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        declare(column("size"))
        sync(url)
        declare(column("size"), column("weight"))

        def refuse(_url: str) -> Iterator[str]:
            raise sa.exc.ProgrammingError("CREATE DATABASE", {}, Exception("permission denied"))

        monkeypatch.setattr(schema_sync, "scratch_database", refuse)
        sync(url)

        # The first migration cannot be rewritten, so there is another one.
        assert created(versions) == ["add_weight_to_things.py", "create_things.py"]
        assert columns_of(url) == ["id", "size", "weight"]

    def test_rejected_statement(self, url: str, versions: Path, declare: Declare, git: Git) -> None:
        declare(column("size"))
        sync(url)
        insert(url, "1, 5")
        insert(url, "2, 5")
        commit_all(git)
        declare(column("size", unique=True))

        with pytest.raises(MigrationError, match="could not create unique index"):
            sync(url)

        assert created(versions) == ["create_things.py"]


class TestDestructiveChange:
    @pytest.fixture(autouse=True)
    def committed(self, url: str, versions: Path, declare: Declare, git: Git) -> None:
        """Create the table with the column `size`, and commit the migration."""
        declare(column("size"))
        sync(url)
        commit_all(git)

    def test_dropped_column(
        self,
        url: str,
        versions: Path,
        declare: Declare,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        declare(column("weight"))

        for _ in range(2):
            sync(url)

            assert len(created(versions)) == 2
            assert columns_of(url) == ["id", "size"]
            out = capsys.readouterr().out
            assert "It drops things.size." in out
            assert "if you renamed the column" in out
            assert "db upgrade" in out
        migrations.upgrade(url)
        assert columns_of(url) == ["id", "weight"]
        sync(url)
        assert len(created(versions)) == 2

    def test_edited_migration(self, url: str, versions: Path, declare: Declare) -> None:
        declare(column("length"))
        sync(url)
        pending = next(versions.glob("*drop*.py"))
        rename = 'op.alter_column("things", "size", new_column_name="length")'
        head = pending.read_text().partition("def upgrade")[0]
        pending.write_text(f"{head}def upgrade() -> None:\n    {rename}\n")

        sync(url)

        assert columns_of(url) == ["id", "size"]
        assert rename in pending.read_text()
        migrations.upgrade(url)
        sync(url)
        assert columns_of(url) == ["id", "length"]
        assert len(created(versions)) == 2

    def test_reverted_change(self, url: str, versions: Path, declare: Declare) -> None:
        declare(column("weight"))
        sync(url)
        declare(column("size"))

        sync(url)

        assert created(versions) == ["create_things.py"]

    def test_not_nullable(
        self, url: str, declare: Declare, capsys: pytest.CaptureFixture[str]
    ) -> None:
        insert(url, "1, NULL")
        declare(column("size", nullable=False), column("weight", nullable=False))

        sync(url)

        out = capsys.readouterr().out
        assert "It makes things.size not nullable, but some rows are null." in out
        assert "It adds things.weight, which is not nullable, to a table with rows" in out
        assert columns_of(url) == ["id", "size"]


class TestEnum:
    """Enums are text with a check constraint. Each migration runs in both directions."""

    @pytest.fixture(autouse=True)
    def committed(self, url: str, declare: Declare, git: Git) -> None:
        declare(status("draft", "sent"))
        sync(url)
        commit_all(git)
        insert(url, "1, 'draft'")

    def test_no_change(self, url: str, versions: Path) -> None:
        sync(url)

        assert created(versions) == ["create_things.py"]

    @pytest.mark.parametrize(
        "changed",
        [
            lambda: status("draft", "sent", "paid"),
            lambda: status("draft"),
            lambda: sa.Column("status", sa.Text, nullable=False),
        ],
        ids=["added", "removed", "text"],
    )
    def test_change(
        self,
        url: str,
        versions: Path,
        declare: Declare,
        changed: Callable[[], sa.Column[str]],
    ) -> None:
        declare(changed())

        sync(url)

        assert created(versions) == ["change_constraints_of_things.py", "create_things.py"]
        head = migrations.current(url)
        command.check(migrations.config(url))
        command.downgrade(migrations.config(url), "-1")
        declare(status("draft", "sent"))
        assert checks_of(url) == {"things_status_check"}
        migrations.upgrade(url)
        assert migrations.current(url) == head

    def test_removed_value_of_a_row(
        self, url: str, declare: Declare, capsys: pytest.CaptureFixture[str]
    ) -> None:
        declare(status("sent"))

        sync(url)

        assert "created, but not applied" in capsys.readouterr().out
        assert checks_of(url) == {"things_status_check"}
        with pytest.raises(DBAPIError) as caught:
            migrations.upgrade(url)
        assert "is violated by some row. Change these rows first:" in migrations.reason(
            caught.value
        )


def test_text_to_enum(url: str, declare: Declare, git: Git) -> None:
    declare(sa.Column("status", sa.Text, nullable=False))
    sync(url)
    commit_all(git)
    insert(url, "1, 'draft'")
    declare(status("draft", "sent"))

    sync(url)

    assert checks_of(url) == {"things_status_check"}
    command.downgrade(migrations.config(url), "-1")
    assert checks_of(url) == set()


@pytest.mark.parametrize("pending", [False, True])
def test_confirmed_change(url: str, versions: Path, declare: Declare, pending: bool) -> None:
    declare(column("size"))
    sync(url)
    if pending:
        declare(column("weight"))
        sync(url)
        assert len(created(versions)) == 2
    declare()

    sync(url, confirmed=["drops the table things"])

    # The table was never committed, so no migration is left.
    assert created(versions) == []
    assert migrations.current(url) == ("0001",)


class TestInconsistentHistory:
    def test_two_heads(self, url: str, versions: Path) -> None:
        for name in "ab":
            (versions / f"{name}.py").write_text(f'revision = "{name}"\ndown_revision = "0001"\n')

        with pytest.raises(MigrationError, match=r"a\.py and b\.py.*db merge"):
            sync(url)

    def test_database_ahead(self, url: str) -> None:
        change = "UPDATE alembic_version SET version_num = 'of_a_branch'"
        asyncio.run(execute(url, change))

        with pytest.raises(MigrationError, match=r"of_a_branch.*ahead of this code.*db reset"):
            sync(url)

    def test_missing_file(self, url: str, versions: Path) -> None:
        (versions / "later.py").write_text('revision = "later"\ndown_revision = "missing"\n')

        with pytest.raises(MigrationError, match=r"missing is missing.*git checkout"):
            sync(url)

    def test_no_migrations(self, url: str, versions: Path) -> None:
        (versions / "0001_initial.py").unlink()

        assert history.History(url).head is None
