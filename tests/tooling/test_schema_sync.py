"""Each test changes the models of this process, and restores them."""

# ruff: noqa: F811
import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa
from alembic import command
from fastship_tooling.database import squawk
from fastship_tooling.schema_sync import history
from fastship_tooling.schema_sync import sync as schema_sync
from fastship_tooling.schema_sync.sync import sync
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from app import migrations
from app.cli.console import CLIError
from app.cli.db import load_history
from app.cli.main import app
from app.database import Base
from tests.databases import execute, temporary_database
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


def status(*values: str) -> sa.Column[str]:
    return sa.Column("status", sa.Enum(*values, native_enum=False), nullable=False)


def checks_of(url: str) -> set[str | None]:
    def read(connection: sa.Connection) -> set[str | None]:
        return {entry["name"] for entry in sa.inspect(connection).get_check_constraints("things")}

    return migrations.on_connection(url, read)


class TestSync:
    def test_no_changes(self, url: str, versions: Path) -> None:
        sync(url)

        assert created(versions) == []

    def test_database_behind(self) -> None:
        with temporary_database("base") as url:
            sync(url)

            assert migrations.current(url) == ("0001",)

    def test_database_was_switched_on(self, versions: Path) -> None:
        for file in versions.glob("*.py"):  # an update does not bring migrations
            file.unlink()
        with temporary_database("base") as url:
            sync(url)
            sync(url)

            # The second time, nothing was missing.
            [file] = versions.glob("*.py")
            upgrade, downgrade = file.read_text().split("def downgrade")
            assert "CREATE TABLE pgqueuer" in upgrade
            assert "DROP TABLE IF EXISTS pgqueuer" in downgrade
            command.downgrade(migrations.config(url), "base")

            assert migrations.current(url) == ()

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

    def test_migration_that_needs_rows(
        self, url: str, versions: Path, declare: Declare, git: Git
    ) -> None:
        declare(column("size"))
        sync(url)
        insert(url, "1, 10")
        below = load_history(url)[0].revision
        statement = "assert op.get_bind().scalar(sa.text('SELECT count(*) FROM things'))"
        add_revision(versions, "filled", statement, below=below)
        sync(url)
        commit_all(git)
        for columns in ([column("weight")], [column("weight"), column("length")]):
            declare(column("size"), *columns)
            sync(url)

        # The history cannot be applied to an empty database, so nothing is rewritten.
        assert columns_of(url) == ["id", "size", "weight", "length"]

    def test_ended_process(self, url: str, declare: Declare) -> None:
        declare(column("size"))
        sync(url)
        (left := Path(".dev/tmp1234")).mkdir()
        with history.scratch_database(url) as scratch:
            name = make_url(scratch).database
        asyncio.run(execute(url, f'CREATE DATABASE "{name}"'))
        declare(column("size"), column("weight"))

        sync(url)

        assert not left.exists()
        found = sa.text("SELECT count(*) FROM pg_database WHERE datname = :name").bindparams(
            name=name
        )
        assert migrations.on_connection(url, lambda connection: connection.scalar(found)) == 0

    def test_value_that_is_rejected(self, url: str, declare: Declare) -> None:
        declare(sa.Column("size", sa.Integer, server_default="1"))
        sync(url)
        declare(sa.Column("size", sa.Integer, server_default=sa.text("abc")))

        with pytest.raises(
            CLIError, match=r"PostgreSQL rejects a value of the models(.|\n)*Correct the model"
        ):
            sync(url)

    def test_written_by_hand(
        self,
        url: str,
        versions: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("APP_ENVIRONMENT", "development")
        monkeypatch.setenv("DATABASE_URL", url)
        CliRunner().invoke(app, ["db", "revision", "--empty", "fill sizes"])

        sync(url)

        # It is not applied before it is written.
        assert migrations.current(url) == ("0001",)
        assert "It was created by `db revision`." in capsys.readouterr().out
        file = next(versions.glob("*fill_sizes*"))
        file.write_text(
            file.read_text().replace("pass\n", 'op.execute("CREATE VIEW sizes AS SELECT 1")\n', 1)
        )
        result = CliRunner().invoke(app, ["db", "upgrade"])
        assert result.exit_code == 0, result.output
        asyncio.run(execute(url, "DROP VIEW sizes"))

    def test_rejected_statement(
        self,
        url: str,
        versions: Path,
        declare: Declare,
        git: Git,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        declare(column("size"))
        sync(url)
        insert(url, "1, 5")
        commit_all(git)
        declare(sa.Column("size", sa.Integer, sa.ForeignKey("things.id")))

        sync(url)

        # It can be corrected, and is written again after the rows were corrected.
        assert created(versions) == ["change_constraints_of_schema.py", "create_things.py"]
        output = capsys.readouterr().out
        assert "created, but not applied" in output
        assert 'It fails: insert or update on table "things" violates foreign key' in output
        assert 'Key (size)=(5) is not present in table "things".' in output
        asyncio.run(execute(url, "UPDATE things SET size = 1"))
        sync(url)
        assert "created and applied" in capsys.readouterr().out
        sync(url)
        assert len(created(versions)) == 2


class TestUndo:
    """The migration is not committed, so the change is taken out of it again."""

    def test_column(self, url: str, versions: Path, declare: Declare) -> None:
        declare(column("size"), column("weight", server_default="7"))
        sync(url)
        insert(url, "1, 10")
        declare(column("size"))

        sync(url)

        assert created(versions) == ["create_things.py"]
        assert "weight" not in next(versions.glob("2*.py")).read_text()
        assert columns_of(url) == ["id", "size"]

    def test_everything(self, url: str, versions: Path, declare: Declare) -> None:
        declare(column("size"))
        sync(url)
        declare()

        sync(url)

        assert created(versions) == []
        assert migrations.current(url) == ("0001",)

    def test_column_with_values(self, url: str, versions: Path, declare: Declare) -> None:
        declare(column("size"), column("weight"))
        sync(url)
        insert(url, "1, 10, 20")
        declare(column("size"))

        sync(url)

        assert created(versions) == ["create_things.py", "drop_weight_from_things.py"]
        assert columns_of(url) == ["id", "size", "weight"]
        migrations.upgrade(url)
        sync(url)
        assert created(versions) == ["create_things.py"]

    def test_committed_column(self, url: str, versions: Path, declare: Declare, git: Git) -> None:
        declare(column("size"))
        sync(url)
        commit_all(git)
        declare(column("size"), column("weight"))
        sync(url)
        declare(column("weight"))

        sync(url)

        # No row is lost, but production may have some.
        assert "size" in columns_of(url)
        assert len(created(versions)) == 3


class TestConstraints:
    @pytest.fixture(autouse=True)
    def committed(self, url: str, declare: Declare, git: Git) -> None:
        declare(column("size"), column("weight"), sa.UniqueConstraint("size", "weight"))
        sync(url)
        insert(url, "1, 5, 6")
        insert(url, "2, 5, 7")
        commit_all(git)

    def test_replaced(self, url: str, declare: Declare, capsys: pytest.CaptureFixture[str]) -> None:
        declare(column("size"), column("weight", unique=True))

        sync(url)

        out = capsys.readouterr().out
        assert "created, but not applied" in out
        assert (
            "replaces the constraint things_size_weight_key of things by things_weight_key" in out
        )
        assert unique_constraints(url) == ["things_size_weight_key"]

    def test_duplicates(
        self, url: str, declare: Declare, capsys: pytest.CaptureFixture[str]
    ) -> None:
        declare(
            column("size", unique=True), column("weight"), sa.UniqueConstraint("size", "weight")
        )

        sync(url)

        assert (
            "It makes size of things unique, but some rows have the same" in capsys.readouterr().out
        )
        assert unique_constraints(url) == ["things_size_weight_key"]

    def test_added(self, url: str, declare: Declare) -> None:
        declare(
            column("size"), column("weight", unique=True), sa.UniqueConstraint("size", "weight")
        )

        sync(url)

        assert unique_constraints(url) == ["things_size_weight_key", "things_weight_key"]

    def test_replaced_foreign_key(
        self,
        url: str,
        declare: Declare,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        unique = sa.UniqueConstraint("size", "weight")
        asyncio.run(execute(url, "DELETE FROM things"))
        declare(sa.Column("size", sa.ForeignKey("things.id")), column("weight"), unique)
        sync(url)
        key = sa.ForeignKey("things.id", ondelete="CASCADE")
        declare(sa.Column("size", key), column("weight"), sa.UniqueConstraint("size", "weight"))

        sync(url)

        expected = "It replaces the constraint things_size_fkey of things by another."
        assert expected in capsys.readouterr().out

    def test_same_name(self, url: str, versions: Path, declare: Declare) -> None:
        declare(
            column("size", index=True),
            column("weight"),
            sa.UniqueConstraint("size", "weight"),
            sa.UniqueConstraint("weight", name="things_size_idx"),
        )

        with pytest.raises(CLIError, match="have the same name: things_size_idx") as caught:
            sync(url)

        assert "UniqueConstraint(weight) of things" in str(caught.value)
        assert "Index(size) of things" in str(caught.value)
        assert created(versions) == ["create_things.py"]


def unique_constraints(url: str) -> list[str]:
    def read(connection: sa.Connection) -> list[str]:
        found = sa.inspect(connection).get_unique_constraints("things")
        return sorted(str(entry["name"]) for entry in found)

    return migrations.on_connection(url, read)


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

    def test_renamed_table(
        self, url: str, declare: Declare, capsys: pytest.CaptureFixture[str]
    ) -> None:
        declare()
        key: sa.Column[int] = sa.Column("id", sa.Integer, primary_key=True)
        renamed = sa.Table("parts", Base.metadata, key, column("size"))

        try:
            sync(url)
        finally:
            Base.metadata.remove(renamed)

        out = capsys.readouterr().out
        assert "It drops the table things." in out
        assert 'keep its data: __tablename__ = "things"' in out
        assert columns_of(url) == ["id", "size"]

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

    def test_long_name(self, url: str, versions: Path, declare: Declare) -> None:
        kind = sa.Enum("draft", native_enum=False)
        declare(status("draft", "sent"), sa.Column("s" * 60, kind, nullable=True))

        sync(url)
        before = sorted(versions.iterdir())
        sync(url)

        assert sorted(versions.iterdir()) == before
        command.check(migrations.config(url))
        assert sorted(map(len, checks_of(url))) == [19, 63]

    def test_added_value_blocks_nothing(
        self,
        url: str,
        versions: Path,
        declare: Declare,
        git: Git,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        declare(status("draft", "sent", "it's"))

        sync(url)

        [file] = versions.glob("*change_constraints_of_things.py")
        upgrade, _, downgrade = file.read_text().partition("def downgrade(")
        assert "postgresql_not_valid=True" in upgrade
        assert "ALTER TABLE things VALIDATE CONSTRAINT things_status_check" in upgrade
        assert "autocommit_block" not in downgrade
        printed = capfd.readouterr().out
        assert "In production" not in printed
        assert "E701" not in printed  # of the formatter
        insert(url, "2, 'it''s'")
        with pytest.raises(asyncpg.CheckViolationError):
            insert(url, "3, 'other'")
        # With other changes, it could not be repeated if the validation failed.
        declare(status("draft", "sent", "it's", "paid"), column("size"))
        sync(url)
        assert created(versions) == ["add_size_to_things.py", "create_things.py"]
        assert "autocommit_block" not in next(versions.glob("*add_size*")).read_text()
        commit_all(git)
        command.upgrade(migrations.config(url), "head")
        assert checks_of(url) == {"things_status_check"}

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
        insert(url, "1, 10")
        declare(column("weight"))
        sync(url)
        assert len(created(versions)) == 2
    declare()

    sync(url, confirmed=["drops the table things"])

    # The table was never committed, so no migration is left.
    assert created(versions) == []
    assert migrations.current(url) == ("0001",)


def test_unavailable_database() -> None:
    with pytest.raises(CLIError, match="Cannot connect to the database at 127"):
        sync("postgresql+asyncpg://ada@127.0.0.1:1/app")


class TestInconsistentHistory:
    def test_two_heads(self, url: str, versions: Path) -> None:
        for name in "ab":
            (versions / f"{name}.py").write_text(f'revision = "{name}"\ndown_revision = "0001"\n')

        with pytest.raises(CLIError, match=r"a\.py and b\.py.*db merge"):
            sync(url)

    def test_database_ahead(self, url: str) -> None:
        change = "UPDATE alembic_version SET version_num = 'of_a_branch'"
        asyncio.run(execute(url, change))

        with pytest.raises(CLIError, match=r"of_a_branch.*not in .*\n.*`db reset`"):
            sync(url)

    def test_missing_file(self, url: str, versions: Path) -> None:
        (versions / "later.py").write_text('revision = "later"\ndown_revision = "missing"\n')

        with pytest.raises(CLIError, match=r"missing is missing.*later\.py needs it.*git checkout"):
            sync(url)

    def test_no_migrations(self, url: str, versions: Path) -> None:
        (versions / "0001_initial.py").unlink()

        assert history.History(url).head is None


class TestWarning:
    """What a migration would block or break in production."""

    @pytest.fixture(autouse=True)
    def committed(self, url: str, declare: Declare, git: Git) -> None:
        declare(column("size"))
        sync(url)
        commit_all(git)

    def test_index(self, url: str, declare: Declare, capsys: pytest.CaptureFixture[str]) -> None:
        declare(column("size", index=True))

        sync(url)

        output = capsys.readouterr().out
        assert "In production: " in output
        assert "change_indexes_of_things.py: require-concurrent-index-creation" in output
        assert "postgresql_concurrently=True" in output

    def test_new_table(
        self, url: str, declare: Declare, capsys: pytest.CaptureFixture[str]
    ) -> None:
        declare(column("size"), column("weight"))

        sync(url)

        assert "In production" not in capsys.readouterr().out

    def test_confirmed(self, url: str, versions: Path, declare: Declare) -> None:
        declare()

        sync(url, ["drops the table things"])

        [path] = versions.glob("*drop_things.py")
        assert "\n\n# squawk-ignore ban-drop-table: confirmed\ndef upgrade() " in path.read_text()
        assert squawk.check(load_history(squawk.NO_DATABASE)) == []
        sync(url)
        assert len(created(versions)) == 2
